// Statistics per channel of what a warp stores, like tile_statistics.h, where lanes 4 apart have
// the same channels.
#ifndef FASTCONV_CORE_CUDA_KERNELS_WARP_STATISTICS_H_
#define FASTCONV_CORE_CUDA_KERNELS_WARP_STATISTICS_H_

#include <cstdint>

#include "core/cuda/device/device.h"
#include "core/cuda/kernels/column_sums.h"
#include "core/cuda/kernels/statistics.h"

namespace fastconv::cuda {

// Sums of deviations from a shift and of their squares; kValues channels of a lane's pixels. A
// lane's shift is its first pixel. Without branches: those would make products under way wait.
template <int kValues>
class WarpStatistics {
 public:
  FASTCONV_DEVICE WarpStatistics() {
    FASTCONV_UNROLL
    for (int i = 0; i < kValues; ++i) shift_[i] = sum_[i] = squares_[i] = 0;
  }

  // A pixel, where that is `present`.
  FASTCONV_DEVICE void Add(const float (&v)[kValues], bool present) {
    const bool first = present && pixels_ == 0;
    FASTCONV_UNROLL
    for (int i = 0; i < kValues; ++i) {
      shift_[i] = first ? v[i] : shift_[i];
      const float deviation = present ? v[i] - shift_[i] : 0;
      sum_[i] += deviation;
      squares_[i] += deviation * deviation;
    }
    pixels_ += present ? 1 : 0;
  }

  // All lanes call it. `partial`: [kStatisticsValues][channels]; channel_of(value) of the lane.
  template <class ChannelOf>
  FASTCONV_DEVICE void Store(float* partial, int channels, const ChannelOf& channel_of) const {
    const float mine = static_cast<float>(pixels_), pixels = OfAllLanes(mine);
    FASTCONV_UNROLL
    for (int first = 0; first < kValues; first += kColumns) {
      float sums[kColumns], squares[kColumns], shift = 0;
      FASTCONV_UNROLL
      for (int i = 0; i < kColumns; ++i) {
        const int value = first + i;
        const float common = OfAllLanes(mine * shift_[value]) / (pixels == 0 ? 1 : pixels);
        const float distance = shift_[value] - common;
        sums[i] = sum_[value] + mine * distance;
        squares[i] = squares_[value] + distance * (2 * sum_[value] + mine * distance);
        if (LaneIndex() / 4 == i) shift = common;
      }
      // Column LaneIndex() / 4 of the four lanes' that have the same channels.
      float* const to = partial + channel_of(first + LaneIndex() / 4);
      to[0] = pixels;
      to[channels] = shift;
      to[2 * channels] = SumColumns(sums);
      to[3 * channels] = SumColumns(squares);
    }
  }

 private:
  static constexpr int kColumns = 8;
  static_assert(kValues % kColumns == 0, "columns are added up by eight");

  static FASTCONV_DEVICE float OfAllLanes(float v) {
    FASTCONV_UNROLL
    for (int lanes = 4; lanes < kWarpSize; lanes *= 2) v += ShuffleXor(v, lanes);
    return v;
  }

  float shift_[kValues], sum_[kValues], squares_[kValues];
  int pixels_ = 0;
};

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_KERNELS_WARP_STATISTICS_H_
