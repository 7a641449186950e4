// Sums over the threads of a warp that hold the same columns of a tile.
#ifndef FASTCONV_CORE_CUDA_KERNELS_COLUMN_SUMS_H_
#define FASTCONV_CORE_CUDA_KERNELS_COLUMN_SUMS_H_

#include "core/cuda/device/device.h"

namespace fastconv::cuda {

// A warp holds rows of kWarpSize columns; a thread has kValues of them side by side, from
// (lane % kSharers) * kValues on, where kSharers = kWarpSize / kValues. What each column adds up to
// goes to one thread: of lane l, the column (l % kSharers) * kValues + l / kSharers. Whole warps
// call it; the order of the sum is fixed.
template <int kValues>
FASTCONV_DEVICE float SumColumns(float (&v)[kValues]) {
  constexpr int kSharers = kWarpSize / kValues;
  const int place = LaneIndex() / kSharers;
  FASTCONV_UNROLL
  for (int half = kValues / 2; half > 0; half /= 2) {
    const bool upper = (place & half) != 0;
    FASTCONV_UNROLL
    for (int i = 0; i < half; ++i) {
      const float received = ShuffleXor(upper ? v[i] : v[i + half], half * kSharers);
      v[i] = (upper ? v[i + half] : v[i]) + received;
    }
  }
  return v[0];
}

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_KERNELS_COLUMN_SUMS_H_
