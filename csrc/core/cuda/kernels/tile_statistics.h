// Statistics per channel of the map that a kernel makes, tile by tile, from the values in its
// registers: sums of deviations from a shift, and of their squares. The shift, which a block keeps,
// is the mean of its first tile; it lies among the values, so that nothing cancels. MergeStatistics
// (statistics.h) makes mean and variance of what the blocks leave.
#ifndef FASTCONV_CORE_CUDA_KERNELS_TILE_STATISTICS_H_
#define FASTCONV_CORE_CUDA_KERNELS_TILE_STATISTICS_H_

#include <cstdint>

#include "core/cuda/kernels/column_sums.h"
#include "core/cuda/kernels/statistics.h"
#include "core/cuda/kernels/tile.h"
#include "core/cuda/kernels/values.h"
#include "core/cuda/kernels/warp_sums.h"

namespace fastconv::cuda {

// What a thread adds up of a tile: 8 channels of its pixels.
struct TileDeviations {
  float shift[8], sum[8], squares[8];

  FASTCONV_DEVICE explicit TileDeviations(const float* shifts) {
    LoadValues(shifts, shift);
    FASTCONV_UNROLL
    for (int c = 0; c < 8; ++c) sum[c] = squares[c] = 0;
  }
  FASTCONV_DEVICE void Add(const float (&v)[8]) {
    FASTCONV_UNROLL
    for (int c = 0; c < 8; ++c) {
      const float deviation = v[c] - shift[c];
      sum[c] += deviation;
      squares[c] += deviation * deviation;
    }
  }
};

// Of a block whose warps each have rows of a tile and 32 of its kOutputs channels, in `Sums`
// (warp_sums.h).
template <class T, class Sums, int kOutputs>
class TileStatistics {
  static constexpr int kRowWarps = kTile / Sums::kRows;  // that share channels

 public:
  static constexpr int kSharedBytes =
      (1 + 2 * kRowWarps) * kOutputs * static_cast<int>(sizeof(float));

  // `row_warp`: among those that share channels; `output`: the warp's first channel.
  FASTCONV_DEVICE TileStatistics(unsigned char* shared, int row_warp, int output)
      : shifts_(reinterpret_cast<float*>(shared)), row_warp_(row_warp), output_(output) {}

  // Stores what the block has of a tile, from the channel `first_output` on, and adds up what is
  // stored. All threads call it.
  FASTCONV_DEVICE void StoreMap(const Conv3x3Args& args, const Sums& sums, const Tile& tile,
                                int first_output, bool first_tile) {
    const Tile of_warp = {tile.image, tile.row + row_warp_ * Sums::kRows, tile.column};
    const int output = first_output + output_;
    if (first_tile) {
      float total[8] = {};
      sums.ForEachPixel(args, of_warp, output, [&](int64_t, const float(&v)[8]) {
        FASTCONV_UNROLL
        for (int c = 0; c < 8; ++c) total[c] += Rounded<T>(v[c]);
      });
      SetShift(total, PixelsOf(args, tile, Sums::kRows));
    }
    TileDeviations deviations(shifts_ + output_ + LaneIndex() % 4 * 8);
    sums.ForEachPixel(args, of_warp, output, [&](int64_t offset, float(&v)[8]) {
      StoreValues(v, static_cast<T*>(args.y) + offset);
      FASTCONV_UNROLL
      for (int c = 0; c < 8; ++c) v[c] = Rounded<T>(v[c]);
      deviations.Add(v);
    });
    sum_ += SumColumns(deviations.sum);
    squares_ += SumColumns(deviations.squares);
    pixels_ += PixelsOf(args, tile, kTile);
  }

  // The block's, to args.statistics. All threads call it, after the last tile.
  FASTCONV_DEVICE void StoreSums(const Conv3x3Args& args, int first_output) {
    float* sums = shifts_ + kOutputs;  // [kRowWarps][sum, squares][kOutputs]
    sums[row_warp_ * 2 * kOutputs + Column()] = sum_;
    sums[(row_warp_ * 2 + 1) * kOutputs + Column()] = squares_;
    SyncThreads();
    const int column = ThreadIndex(), output = first_output + column;
    if (column >= kOutputs || output >= args.outputs) return;
    float sum = 0, squares = 0;
    FASTCONV_UNROLL
    for (int warp = 0; warp < kRowWarps; ++warp) {
      sum += sums[warp * 2 * kOutputs + column];
      squares += sums[(warp * 2 + 1) * kOutputs + column];
    }
    float* to = args.statistics +
                static_cast<int64_t>(BlockIndex().x) * kStatisticsValues * args.outputs + output;
    to[0] = static_cast<float>(pixels_);
    to[args.outputs] = shifts_[column];
    to[2 * args.outputs] = sum;
    to[3 * args.outputs] = squares;
  }

 private:
  // `total`: what a thread has of the first tile. The first of the warps that share channels has
  // `pixels` of it.
  FASTCONV_DEVICE void SetShift(float (&total)[8], int pixels) {
    const float sum = SumColumns(total);
    if (row_warp_ == 0) shifts_[Column()] = sum / static_cast<float>(pixels);
    SyncThreads();
  }

  // On the map, of the tile's first rows.
  static FASTCONV_DEVICE int PixelsOf(const Conv3x3Args& args, const Tile& tile, int rows) {
    const int below = args.out_height - tile.row, right = args.out_width - tile.column;
    return (below < rows ? below : rows) * (right < kTile ? right : kTile);
  }

  // Of the block's, the one whose sums SumColumns leaves in this thread.
  FASTCONV_DEVICE int Column() const { return output_ + LaneIndex() % 4 * 8 + LaneIndex() / 4; }

  float* const shifts_;  // [kOutputs]
  const int row_warp_, output_;
  float sum_ = 0, squares_ = 0;
  int pixels_ = 0;
};

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_KERNELS_TILE_STATISTICS_H_
