// Exchange among the four threads that hold a row of a fragment.
#ifndef FASTCONV_CORE_CUDA_KERNELS_QUAD_H_
#define FASTCONV_CORE_CUDA_KERNELS_QUAD_H_

#include "core/cuda/device/device.h"

namespace fastconv::cuda {

// Thread m of a quad comes with values v[0..3] and leaves with value m of threads 0 to 3. Whole
// warps call it.
FASTCONV_DEVICE void TransposeQuad(float (&v)[4]) {
  const int member = LaneIndex() % 4;
  FASTCONV_UNROLL
  for (int distance = 1; distance <= 2; distance *= 2) {
    const bool upper = (member & distance) != 0;
    // Of each pair of values that lie `distance` apart, the one that belongs to the partner.
    FASTCONV_UNROLL
    for (int i = 0; i < 4; ++i) {
      if ((i & distance) != 0) continue;
      const float received = ShuffleXor(upper ? v[i] : v[i + distance], distance);
      if (upper) {
        v[i] = received;
      } else {
        v[i + distance] = received;
      }
    }
  }
}

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_KERNELS_QUAD_H_
