// 3x3 convolution, stride 1, of a map of up to four channels on tensor cores, with bias, activation
// and 2x2 max pooling in the registers that hold the sums.
//
// A block keeps the filter for 32 channels in shared memory, computes tiles of 16x16 pixels, and
// loads the next tile while it computes one.
#ifndef FASTCONV_CORE_CUDA_KERNELS_IMAGE_CONV3X3_H_
#define FASTCONV_CORE_CUDA_KERNELS_IMAGE_CONV3X3_H_

#include <cstdint>

#include "core/cuda/device/matrix.h"
#include "core/cuda/kernels/image_tile.h"
#include "core/cuda/kernels/tile.h"
#include "core/cuda/kernels/tile_statistics.h"
#include "core/cuda/kernels/warp_sums.h"

namespace fastconv::cuda {

template <class T, Precision kPrecision, Conv3x3Result kResult>
struct ImageConv3x3 {
  using Args = Conv3x3Args;
  using Sums = WarpSums<T, kPrecision, OutputOrder::kDealt>;
  static constexpr int kOutputs = Sums::kOutputs;
  static constexpr int kThreads = kTile / Sums::kRows * kWarpSize;

  static constexpr int kElement = static_cast<int>(sizeof(T));
  static constexpr int kDepth = Sums::Product::kDepth;
  // Pitches put 8 rows of a fragment into different banks.
  static constexpr int kCellPitch = kCellValues * kElement + 16;
  static constexpr int kFilterPitch = kOutputs * kElement + (kElement == 4 ? 32 : 16);
  using Cells = ImageTile<T, kCellPitch, kThreads>;
  static constexpr int kFilterRows = 3 * kCellValues;
  static constexpr int kSlotBytes = Cells::kBytes + kFilterRows * kFilterPitch;
  static constexpr bool kStatistics = kResult == Conv3x3Result::kMapAndStatistics;
  static constexpr bool kPooled = kResult == Conv3x3Result::kPooledMap;
  // As many as registers allow.
  static constexpr int kMinBlocks = kPrecision == Precision::kFull ? 2
                                    : kElement == 4 || kStatistics ? 3
                                                                   : 4;
  using Statistics = TileStatistics<T, Sums, kOutputs>;
  static constexpr int kSharedBytes =
      kSlotBytes + (kStatistics ? Statistics::kSharedBytes
                    : kPooled   ? static_cast<int>(sizeof(DropoutState))
                                : 0);

  static FASTCONV_DEVICE void Run(const Args& args) {
    ImageConv3x3 thread(args);
    thread.Tiles();
    if constexpr (kStatistics) thread.statistics_.StoreSums(args, thread.first_output_);
  }

 private:
  using FilterFragments = typename Sums::FilterFragments;

  FASTCONV_DEVICE explicit ImageConv3x3(const Args& args)
      : args_(args),
        cells_(SharedMemory()),
        filter_(SharedMemory() + Cells::kBytes),
        first_output_(BlockIndex().y * kOutputs),
        warp_row_(WarpIndex() * Sums::kRows),
        statistics_(cells_ + kSlotBytes, WarpIndex(), /*output=*/0) {}

  FASTCONV_DEVICE void Tiles() {
    const int step = GridSize().x;
    const int first = BlockIndex().x;
    if (first >= args_.tiles) return;
    Tile next = Load(first);
    Cells::ClearLastPixels(cells_);
    StoreFilter();
    if constexpr (kPooled) {
      if (ThreadIndex() == 0) Dropout() = DropoutStateOf<T>(args_.dropout);
    }
    for (int index = first; index < args_.tiles; index += step) {
      SyncThreads();  // nobody needs the tile before
      pixels_.Store(cells_);
      SyncThreads();
      const Tile tile = next;
      if (index + step < args_.tiles) next = Load(index + step);
      sums_.Clear();
      Multiply();
      if constexpr (kStatistics) {
        statistics_.StoreMap(args_, sums_, tile, first_output_, index == first);
      } else {
        const Tile of_warp = {tile.image, tile.row + warp_row_, tile.column};
        if constexpr (kPooled) {
          sums_.StorePooledMap(args_, of_warp, first_output_, Dropout());
        } else {
          sums_.template StoreMap</*kAnyOutputs=*/false>(args_, of_warp, first_output_);
        }
      }
    }
  }

  FASTCONV_DEVICE DropoutState& Dropout() const {
    return *reinterpret_cast<DropoutState*>(cells_ + kSlotBytes);
  }

  FASTCONV_DEVICE Tile Load(int index) {
    const Tile tile = TileAt(index, args_.tile_rows, args_.tile_columns);
    pixels_.Load({args_.x, args_.height, args_.width, args_.channels, /*first_channel=*/0},
                 tile.image, tile.row - args_.pad_h, tile.column - args_.pad_w);
    return tile;
  }

  // As cells are, with zeros where there is no channel or pixel; channels in the order of the sums.
  FASTCONV_DEVICE void StoreFilter() {
    const T* filter = static_cast<const T*>(args_.filter);
    T* to = reinterpret_cast<T*>(filter_);
    for (int i = ThreadIndex(); i < kFilterRows * kOutputs; i += kThreads) {
      const int row = i / kOutputs, column = i % kOutputs;
      const int r = row / kCellValues, s = row % kCellValues / kImageChannels;
      const int channel = row % kImageChannels, output = first_output_ + DealtOutput(column);
      const bool present = s < 3 && channel < args_.channels && output < args_.outputs;
      const int from = ((3 * r + s) * args_.channels + channel) * args_.outputs + output;
      to[row * (kFilterPitch / kElement) + column] = present ? filter[from] : T{};
    }
  }

  FASTCONV_DEVICE void Multiply() {
    using Product = typename Sums::Product;
    const int lane = LaneIndex();
    const unsigned char* cells = cells_ + lane / 16 * 16 + warp_row_ * Cells::kRowBytes +
                                 Sums::Pixel(lane % 16) * kCellPitch;
    FASTCONV_UNROLL
    for (int depth = 0; depth < kCellValues; depth += kDepth) {
      sums_.AddColumn(cells + depth * kElement, Cells::kRowBytes, [&](int r, FilterFragments& b) {
        const unsigned char* row = filter_ + (r * kCellValues + depth) * kFilterPitch;
        FASTCONV_UNROLL
        for (int j = 0; j < Sums::kNTiles; j += 2) {
          Product::LoadRows(row + 8 * j * kElement, kFilterPitch, &b[j], &b[j + 1]);
        }
      });
    }
  }

  const Args& args_;
  unsigned char* const cells_;
  unsigned char* const filter_;
  const int first_output_;  // of the block
  const int warp_row_;      // in the tile
  Cells pixels_;
  Sums sums_;
  Statistics statistics_;
};

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_KERNELS_IMAGE_CONV3X3_H_
