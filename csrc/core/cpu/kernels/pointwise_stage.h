// What is done with every value at the end of a kernel; plain data (pointwise.h computes it).
#ifndef FASTCONV_CORE_CPU_KERNELS_POINTWISE_STAGE_H_
#define FASTCONV_CORE_CPU_KERNELS_POINTWISE_STAGE_H_

#include "core/problem.h"

namespace fastconv::cpu {

// Per-channel parameters and activation: activation((v - mean) * scale + shift), without mean and
// scale activation(v + shift). The parameters are Acc, zero-filled to whole vectors.
struct PointwiseStage {
  const void* mean;   // null
  const void* scale;  // together with mean
  const void* shift;
  Activation activation;
  double negative_slope;
};

}  // namespace fastconv::cpu

#endif  // FASTCONV_CORE_CPU_KERNELS_POINTWISE_STAGE_H_
