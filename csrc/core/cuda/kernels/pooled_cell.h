// Max pooling of one cell.
#ifndef FASTCONV_CORE_CUDA_KERNELS_POOLED_CELL_H_
#define FASTCONV_CORE_CUDA_KERNELS_POOLED_CELL_H_

#include <cmath>

#include "core/cuda/device/device.h"

namespace fastconv::cuda {

// The maximum of a window and where it is: the first element that no other exceeds.
template <int kVector>
struct PooledCell {
  float maximum[kVector];
  int position[kVector];

  // Where nothing beats -inf (all NaN, say), `first` counts.
  FASTCONV_DEVICE explicit PooledCell(int first) {
    FASTCONV_UNROLL
    for (int i = 0; i < kVector; ++i) {
      maximum[i] = -INFINITY;
      position[i] = first;
    }
  }
  FASTCONV_DEVICE void Add(int i, float v, int at) {
    if (!(v > maximum[i])) return;  // false for NaN, and for a later equal
    maximum[i] = v;
    position[i] = at;
  }
};

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_KERNELS_POOLED_CELL_H_
