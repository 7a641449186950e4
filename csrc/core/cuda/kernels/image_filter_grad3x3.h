// The filter's gradient of a 3x3 convolution with stride 1 whose input has up to four channels, on
// tensor cores; see filter_grad3x3.h.
//
// A block has 32 output channels; of the tiles of 16x16 pixels, every so many. Each of its four
// warps has four rows of the tile.
#ifndef FASTCONV_CORE_CUDA_KERNELS_IMAGE_FILTER_GRAD3X3_H_
#define FASTCONV_CORE_CUDA_KERNELS_IMAGE_FILTER_GRAD3X3_H_

#include <cstdint>

#include "core/cuda/device/matrix.h"
#include "core/cuda/kernels/dz_sum.h"
#include "core/cuda/kernels/filter_grad3x3.h"
#include "core/cuda/kernels/filter_grad_sums.h"
#include "core/cuda/kernels/image_tile.h"
#include "core/cuda/kernels/tile.h"
#include "core/cuda/kernels/tile_load.h"

namespace fastconv::cuda {

// Of a multiprocessor; as many as registers allow: those of an activation's y are the most.
constexpr int ImageFilterGradBlocks(bool of_float, Folded folded) {
  return of_float && folded == Folded::kActivation ? 2 : 3;
}

template <class T, Precision kPrecision, Folded kFolded>
struct ImageFilterGrad3x3 {
  using Args = FilterGrad3x3Args;
  using Sums = FilterGradSums<T, kPrecision, kCellValues / 16>;
  static constexpr int kOutputs = Sums::kOutputs;
  static constexpr int kThreads = kTile / Sums::kRows * kWarpSize;
  static constexpr int kElement = static_cast<int>(sizeof(T));
  static constexpr int kMinBlocks = ImageFilterGradBlocks(kElement == 4, kFolded);

  // Rows of fragments lie in different banks.
  static constexpr int kGap = kElement == 4 ? 32 : 16;
  static constexpr int kCellPitch = kCellValues * kElement + kGap;
  static constexpr int kDzPitch = kOutputs * kElement + kGap;
  using Cells = ImageTile<T, kCellPitch, kThreads>;
  static constexpr int kDzBytes = kTile * kTile * kDzPitch;
  // Of float, two are more than what every GPU has for two blocks.
  static constexpr int kSlots = kElement == 4 ? 1 : 2;
  static constexpr int kSharedBytes = Cells::kBytes + kSlots * kDzBytes;
  static constexpr int kSums = 3 * kCellValues * kOutputs;
  using DzLoad = TileLoad<T, kFolded, kTile, kTile, kOutputs * kElement, kDzPitch, Team<kThreads>>;
  using BiasSum = DzSum<DzLoad, kThreads>;
  static_assert((kSums + BiasSum::kSharedValues) * static_cast<int>(sizeof(float)) <= kSharedBytes,
                "sums take a tile's place");

  static FASTCONV_DEVICE void Run(const Args& args) {
    ImageFilterGrad3x3 thread(args);
    thread.Tiles();
    thread.StoreSums();
  }

 private:
  FASTCONV_DEVICE explicit ImageFilterGrad3x3(const Args& args)
      : args_(args),
        cells_(SharedMemory()),
        first_output_(BlockIndex().y * kOutputs),
        row_(WarpIndex() * Sums::kRows),
        load_(args.folded) {
    sums_.Clear();
  }

  FASTCONV_DEVICE void Tiles() {
    const int first = BlockIndex().x, step = GridSize().x;
    int slot = 0;
    LoadCells(first);
    if (kSlots > 1) BeginDz(first, slot);
    Cells::ClearLastPixels(cells_);
    for (int tile = first; tile < args_.tiles; tile += step) {
      if (kSlots > 1) FinishDz(slot);
      SyncThreads();  // nobody needs the tile before
      if (kSlots == 1) BeginDz(tile, slot);
      pixels_.Store(cells_);
      if (kSlots == 1) FinishDz(slot);
      SyncThreads();
      LoadCells(tile + step);
      if (kSlots > 1) BeginDz(tile + step, slot ^ 1);
      sums_.template AddRows<kCellPitch, kDzPitch>(
          cells_ + row_ * Cells::kRowBytes, Cells::kRowBytes, Dz(slot) + row_ * kTile * kDzPitch);
      if (kSlots > 1) slot ^= 1;
    }
    SyncThreads();
  }

  FASTCONV_DEVICE unsigned char* Dz(int slot) const {
    return cells_ + Cells::kBytes + slot * kDzBytes;
  }

  FASTCONV_DEVICE void LoadCells(int index) {
    if (index >= args_.tiles) return;
    const Tile tile = TileAt(index, args_.tile_rows, args_.tile_columns);
    pixels_.Load({args_.x, args_.height, args_.width, args_.channels, /*first_channel=*/0},
                 tile.image, tile.row - args_.pad_h, tile.column - args_.pad_w);
  }

  FASTCONV_DEVICE void BeginDz(int index, int slot) {
    if (index >= args_.tiles) return;
    const Tile tile = TileAt(index, args_.tile_rows, args_.tile_columns);
    const MapPart dz = {args_.dz, args_.out_height, args_.out_width, args_.outputs, first_output_};
    load_.Begin(dz, tile.image, tile.row, tile.column, Dz(slot));
    CommitCopies();
  }

  FASTCONV_DEVICE void FinishDz(int slot) {
    WaitForCopies<0>();
    if (args_.sum_dz) {
      dz_sum_.FinishAndAdd(load_, Dz(slot));
    } else {
      load_.Finish(Dz(slot));
    }
  }

  // All warps are done with the tiles.
  FASTCONV_DEVICE void StoreSums() {
    float* sums = reinterpret_cast<float*>(cells_);
    for (int turn = 0; turn < kTile; turn += Sums::kRows) {
      if (row_ == turn) sums_.AddTo(sums, kCellValues * kOutputs, turn == 0);
      SyncThreads();
    }
    const int rows = 9 * args_.channels + (args_.sum_dz ? 1 : 0);
    float* to = args_.partials + static_cast<int64_t>(BlockIndex().x) * rows * args_.outputs;
    for (int i = ThreadIndex(); i < kSums; i += kThreads) {
      const int r = i / (kCellValues * kOutputs), value = i / kOutputs % kCellValues;
      const int s = value / kImageChannels, channel = value % kImageChannels;
      const int output = first_output_ + i % kOutputs;
      if (s >= 3 || channel >= args_.channels || output >= args_.outputs) continue;
      to[((3 * r + s) * args_.channels + channel) * args_.outputs + output] =
          sums[r * kCellValues * kOutputs + Sums::Place(value, i % kOutputs)];
    }
    if (args_.sum_dz) {
      dz_sum_.Store(sums + kSums, args_.outputs - first_output_,
                    to + 9 * args_.channels * args_.outputs + first_output_);
    }
  }

  const Args& args_;
  unsigned char* const cells_;
  const int first_output_;
  const int row_;  // of the tile
  Cells pixels_;
  Sums sums_;
  DzLoad load_;
  BiasSum dz_sum_;
};

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_KERNELS_IMAGE_FILTER_GRAD3X3_H_
