// The filter's gradient of a 3x3 convolution with stride 1, on tensor cores:
//   dfilter[r][s][c][k] = sum over images and pixels of x[h + r - pad][w + s - pad][c] *
//   dz[h][w][k].
//
// A block has 32 input and 32 output channels; of the tiles of 16x16 pixels, every so many. Of its
// twelve warps each has a filter column s and four rows of the tile: a fragment of x serves the
// three filter rows. The block's sums are added up in the order of warps and go to its own partial
// result; another kernel adds those up.
// Sums of dz, the gradient of the bias, are taken on its way into shared memory.
#ifndef FASTCONV_CORE_CUDA_KERNELS_FILTER_GRAD3X3_H_
#define FASTCONV_CORE_CUDA_KERNELS_FILTER_GRAD3X3_H_

#include <cstdint>

#include "core/cuda/device/matrix.h"
#include "core/cuda/kernels/dz_sum.h"
#include "core/cuda/kernels/filter_grad_sums.h"
#include "core/cuda/kernels/tile.h"
#include "core/cuda/kernels/tile_load.h"

namespace fastconv::cuda {

struct FilterGrad3x3Args {
  const void* x;   // [images][height][width][channels]
  const void* dz;  // [images][out_height][out_width][outputs], or what it is made of
  FoldedArgs folded;
  float* partials;  // [block.x][9 * channels][outputs] and, if sum_dz, a row with sums of dz
  bool sum_dz;      // the gradient of the bias
  int height, width, channels;
  int out_height, out_width, outputs;
  int pad_h, pad_w;
  int tile_rows, tile_columns;  // of an image
  int tiles;                    // of all images
  int output_blocks;            // block.y = channel block * output_blocks + output block
};

template <class T, Precision kPrecision, Folded kFolded>
struct FilterGrad3x3 {
  using Args = FilterGrad3x3Args;
  static constexpr int kSide = 32;  // channels of a block, of either kind
  using Sums = FilterGradSums<T, kPrecision, kSide / 16>;
  static constexpr int kRowWarps = kTile / Sums::kRows;
  static constexpr int kThreads = 3 * kRowWarps * kWarpSize;
  static constexpr int kMinBlocks = 1;

  static constexpr int kElement = static_cast<int>(sizeof(T));
  // Rows of fragments lie in different banks.
  static constexpr int kPitch = kSide * kElement + (kElement == 4 ? 32 : 16);
  static constexpr int kHalo = kTile + 2;
  static constexpr int kXBytes = kHalo * kHalo * kPitch;
  static constexpr int kTileBytes = kXBytes + kTile * kTile * kPitch;
  // Of float, two tiles are more than what every GPU has.
  static constexpr int kSlots = kElement == 4 ? 1 : 2;
  static constexpr int kSharedBytes = kSlots * kTileBytes;
  static constexpr int kSums = 9 * kSide * kSide;
  using DzLoad = TileLoad<T, kFolded, kTile, kSide * kElement, kPitch, kThreads>;
  using BiasSum = DzSum<DzLoad, kThreads>;
  static_assert((kSums + BiasSum::kSharedValues) * static_cast<int>(sizeof(float)) <= kSharedBytes,
                "sums take a tile's place");

  static FASTCONV_DEVICE void Run(const Args& args) {
    FilterGrad3x3 thread(args);
    thread.Tiles();
    thread.StoreSums();
  }

 private:
  FASTCONV_DEVICE explicit FilterGrad3x3(const Args& args)
      : args_(args),
        shared_(SharedMemory()),
        first_channel_(BlockIndex().y / args.output_blocks * kSide),
        first_output_(BlockIndex().y % args.output_blocks * kSide),
        column_(WarpIndex() % 3),
        row_(WarpIndex() / 3 * Sums::kRows),
        sums_dz_(args.sum_dz && first_channel_ == 0),
        load_(args.folded) {
    sums_.Clear();
  }

  FASTCONV_DEVICE void Tiles() {
    const int first = BlockIndex().x, step = GridSize().x;
    int slot = 0;
    if (kSlots > 1) Fetch(first, slot);
    for (int tile = first; tile < args_.tiles; tile += step) {
      if (kSlots == 1) Fetch(tile, slot);
      WaitForCopies<0>();
      FinishDz(shared_ + slot * kTileBytes + kXBytes);
      SyncThreads();  // behind it all have left the other slot
      if (kSlots > 1) Fetch(tile + step, slot ^ 1);
      const unsigned char* pixels = shared_ + slot * kTileBytes;
      sums_.template AddRows<kPitch, kPitch>(pixels + (row_ * kHalo + column_) * kPitch,
                                             kHalo * kPitch,
                                             pixels + kXBytes + row_ * kTile * kPitch);
      if constexpr (kSlots > 1) {
        slot ^= 1;
      } else {
        SyncThreads();  // before the slot is filled again
      }
    }
    SyncThreads();
  }

  FASTCONV_DEVICE void Fetch(int index, int slot) {
    if (index >= args_.tiles) return;
    const Tile tile = TileAt(index, args_.tile_rows, args_.tile_columns);
    unsigned char* to = shared_ + slot * kTileBytes;
    const MapPart x = {args_.x, args_.height, args_.width, args_.channels, first_channel_};
    FetchPixels<T, kHalo, kSide * kElement, kPitch, kThreads>(x, tile.image, tile.row - args_.pad_h,
                                                              tile.column - args_.pad_w, to);
    const MapPart dz = {args_.dz, args_.out_height, args_.out_width, args_.outputs, first_output_};
    load_.Begin(dz, tile.image, tile.row, tile.column, to + kXBytes);
    CommitCopies();
  }

  FASTCONV_DEVICE void FinishDz(unsigned char* dz) {
    if (!sums_dz_) return load_.Finish(dz);
    dz_sum_.FinishAndAdd(load_, dz);
  }

  // All warps are done with the tiles.
  FASTCONV_DEVICE void StoreSums() {
    float* sums = reinterpret_cast<float*>(shared_);
    for (int turn = 0; turn < kRowWarps; ++turn) {
      if (row_ == turn * Sums::kRows) {
        sums_.AddTo(sums + column_ * kSide * kSide, 3 * kSide * kSide, turn == 0);
      }
      SyncThreads();
    }
    const int rows = 9 * args_.channels + (args_.sum_dz ? 1 : 0);
    float* to = args_.partials + static_cast<int64_t>(BlockIndex().x) * rows * args_.outputs;
    for (int i = ThreadIndex(); i < kSums; i += kThreads) {
      const int tap = i / (kSide * kSide);
      const int channel = first_channel_ + i / kSide % kSide, output = first_output_ + i % kSide;
      if (channel >= args_.channels || output >= args_.outputs) continue;
      to[(static_cast<int64_t>(tap) * args_.channels + channel) * args_.outputs + output] = sums[i];
    }
    if (sums_dz_) {
      dz_sum_.Store(sums + kSums, args_.outputs - first_output_,
                    to + 9 * args_.channels * args_.outputs + first_output_);
    }
  }

  const Args& args_;
  unsigned char* const shared_;
  const int first_channel_, first_output_;
  const int column_, row_;  // of the filter; of the tile
  const bool sums_dz_;
  Sums sums_;
  DzLoad load_;
  BiasSum dz_sum_;
};

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_KERNELS_FILTER_GRAD3X3_H_
