// The filter's gradient of a 3x3 convolution with stride 1, on tensor cores:
//   dfilter[r][s][c][k] = sum over images and pixels of x[h + r - pad][w + s - pad][c] *
//   dz[h][w][k].
//
// A block has 32 input and 32 output channels and consists of two teams; each has, of the tiles of
// 8x16 pixels, every so many, and waits for the other one only at the end: while one waits for its
// next tile, the other multiplies. Of a team's six warps each has a filter column s and four rows
// of the tile: a fragment of x serves the three filter rows. A team's sums are added up in the
// order of warps, those of the teams go to the block's own partial result; another kernel adds
// those up. Sums of dz, the gradient of the bias, are taken on its way into shared memory.
#ifndef FASTCONV_CORE_CUDA_KERNELS_FILTER_GRAD3X3_H_
#define FASTCONV_CORE_CUDA_KERNELS_FILTER_GRAD3X3_H_

#include <algorithm>
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
  int blocks;                   // grid.x
  int output_blocks;            // block.y = channel block * output_blocks + output block
  int slots;                    // for tiles in shared memory, of a team
};

constexpr int kFilterGradTeams = 2, kFilterGradTileRows = 8;
constexpr int kFilterGradSide = 32;  // channels of a block, in and out

template <class T, Precision kPrecision, Folded kFolded>
struct FilterGrad3x3 {
  using Args = FilterGrad3x3Args;
  static constexpr int kSide = kFilterGradSide;
  using Sums = FilterGradSums<T, kPrecision, kSide / 16>;
  static constexpr int kTileRows = kFilterGradTileRows;
  static constexpr int kRowWarps = kTileRows / Sums::kRows;  // of a team
  using Team = cuda::Team<3 * kRowWarps * kWarpSize, kFilterGradTeams>;
  static constexpr int kThreads = Team::kTeams * Team::kThreads;
  static constexpr int kMinBlocks = 1;

  static constexpr int kElement = static_cast<int>(sizeof(T));
  // Rows of fragments lie in different banks.
  static constexpr int kPitch = kSide * kElement + (kElement == 4 ? 32 : 16);
  static constexpr int kHalo = kTile + 2;
  static constexpr int kXBytes = (kTileRows + 2) * kHalo * kPitch;
  static constexpr int kTileBytes = kXBytes + kTileRows * kTile * kPitch;
  // With a second one the next tile comes while this one is multiplied. Then registers hold what
  // folds it, and of an activation of float there are too few.
  static constexpr int kMaxSlots = kElement == 4 && kFolded == Folded::kActivation ? 1 : 2;

  static constexpr int kSums = 9 * kSide * kSide;
  using DzLoad = TileLoad<T, kFolded, kTileRows, kTile, kSide * kElement, kPitch, Team>;
  using BiasSum = DzSum<DzLoad, kThreads>;
  static constexpr int kSumBytes =
      (Team::kTeams * kSums + BiasSum::kSharedValues) * static_cast<int>(sizeof(float));

  static constexpr int SharedBytes(int slots) {  // sums take the tiles' place
    return std::max(Team::kTeams * slots * kTileBytes, kSumBytes);
  }

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
        column_(UniformWarpIndex() % 3),
        row_(UniformWarpIndex() / 3 % kRowWarps * Sums::kRows),
        sums_dz_(args.sum_dz && first_channel_ == 0),
        load_(args.folded) {
    sums_.Clear();
  }

  FASTCONV_DEVICE void Tiles() {
    const bool ahead = kMaxSlots > 1 && args_.slots > 1;
    const int step = GridSize().x * Team::kTeams;
    int tile = BlockIndex().x * Team::kTeams + Team::Index(), slot = 0;
    Fetch(tile, slot);
    for (; tile < args_.tiles; tile += step) {
      WaitForCopies<0>();
      FinishDz(Pixels(slot) + kXBytes);
      Team::Sync();  // behind it all have left the other slot
      if (ahead) Fetch(tile + step, slot ^ 1);
      const unsigned char* const pixels = Pixels(slot);
      sums_.template AddRows<kPitch, kPitch>(pixels + (row_ * kHalo + column_) * kPitch,
                                             kHalo * kPitch,
                                             pixels + kXBytes + row_ * kTile * kPitch);
      if (ahead) {
        slot ^= 1;
      } else {
        Team::Sync();  // before the slot is filled again
        Fetch(tile + step, slot);
      }
    }
    SyncThreads();
  }

  FASTCONV_DEVICE unsigned char* Pixels(int slot) const {
    return shared_ + (Team::Index() * args_.slots + slot) * kTileBytes;
  }

  FASTCONV_DEVICE void Fetch(int index, int slot) {
    if (index >= args_.tiles) return;
    const Tile tile = TileAt<kTileRows>(index, args_.tile_rows, args_.tile_columns);
    unsigned char* to = Pixels(slot);
    const MapPart x = {args_.x, args_.height, args_.width, args_.channels, first_channel_};
    FetchPixels<T, kTileRows + 2, kHalo, kSide * kElement, kPitch, Team>(
        x, tile.image, tile.row - args_.pad_h, tile.column - args_.pad_w, to);
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
    float* const sums = reinterpret_cast<float*>(shared_);
    for (int turn = 0; turn < kRowWarps; ++turn) {
      if (row_ == turn * Sums::kRows) {
        sums_.AddTo(sums + Team::Index() * kSums + column_ * kSide * kSide, 3 * kSide * kSide,
                    turn == 0);
      }
      SyncThreads();
    }
    const int rows = 9 * args_.channels + (args_.sum_dz ? 1 : 0);
    float* to = args_.partials + static_cast<int64_t>(BlockIndex().x) * rows * args_.outputs;
    for (int i = ThreadIndex() * kRun; i < kSums; i += kThreads * kRun) {
      const int tap = i / (kSide * kSide), channel = i / kSide % kSide, output = i % kSide;
      if (first_channel_ + channel >= args_.channels || first_output_ + output >= args_.outputs) {
        continue;
      }
      const float* const from = sums + tap * kSide * kSide + Sums::Place(channel, output);
      float sum[kRun], other[kRun];
      LoadElements(from, sum);
      LoadElements(from + kSums, other);
      FASTCONV_UNROLL
      for (int k = 0; k < kRun; ++k) sum[k] += other[k];
      StoreElements(sum,
                    to +
                        (static_cast<int64_t>(tap) * args_.channels + first_channel_ + channel) *
                            args_.outputs +
                        first_output_ + output);
    }
    if (sums_dz_) {
      dz_sum_.Store(sums + Team::kTeams * kSums, args_.outputs - first_output_,
                    to + 9 * args_.channels * args_.outputs + first_output_);
    }
  }

  static constexpr int kRun = 4;  // outputs that a thread stores at once

  const Args& args_;
  unsigned char* const shared_;
  const int first_channel_, first_output_;
  const int column_, row_;  // of the filter; of the team's tile
  const bool sums_dz_;
  Sums sums_;
  DzLoad load_;
  BiasSum dz_sum_;
};

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_KERNELS_FILTER_GRAD3X3_H_
