// Bias or normalisation, and activation: forward and derivative side by side.
#ifndef FASTCONV_CORE_CUDA_KERNELS_STAGE_H_
#define FASTCONV_CORE_CUDA_KERNELS_STAGE_H_

#include <cmath>

#include "core/cuda/kernels/block_args.h"
#include "core/cuda/kernels/values.h"

namespace fastconv::cuda {

// The kind of activation, the same for all threads, is asked for once: no branches per value.
template <int kCount>
FASTCONV_DEVICE void Activate(const ActivationArgs& activation, float (&v)[kCount]) {
  if (activation.linear) return;
  if (activation.slope == 0) {
    FASTCONV_UNROLL
    for (int i = 0; i < kCount; ++i) v[i] = v[i] < 0 ? 0 : v[i];  // keeps NaN, and -inf becomes 0
  } else {
    FASTCONV_UNROLL
    for (int i = 0; i < kCount; ++i) v[i] = v[i] > 0 ? v[i] : v[i] * activation.slope;
  }
}

// gradient * activation'(what came in); at 0 the negative side's slope, as in TensorFlow.
FASTCONV_DEVICE float ActivationGradient(const ActivationArgs& activation, bool positive,
                                         float gradient) {
  return activation.linear || positive ? gradient : gradient * activation.slope;
}

template <int kVector>
FASTCONV_DEVICE void LoadChannels(const float* vector, int channel, float otherwise,
                                  float (&values)[kVector]) {
  if (vector != nullptr) return LoadValues(vector + channel, values);
  FASTCONV_UNROLL
  for (int i = 0; i < kVector; ++i) values[i] = otherwise;
}

// What a run of channels has in common.
template <class T, int kVector>
struct Stage {
  float mean[kVector], inverse_deviation[kVector], scale[kVector], shift[kVector];

  FASTCONV_DEVICE Stage(const Affine& affine, int channel) {
    LoadChannels(affine.mean, channel, 0, mean);
    LoadChannels(affine.gamma, channel, 1, scale);
    LoadChannels(affine.variance, channel, 1, inverse_deviation);
    if (affine.bias != nullptr) {
      LoadValues(static_cast<const T*>(affine.bias) + channel, shift);
    } else {
      LoadChannels(affine.beta, channel, 0, shift);
    }
    if (affine.variance == nullptr) return;
    FASTCONV_UNROLL
    for (int i = 0; i < kVector; ++i) {
      inverse_deviation[i] = 1.0f / std::sqrt(inverse_deviation[i] + affine.epsilon);
      scale[i] *= inverse_deviation[i];
    }
  }

  // Not z * scale + (shift - mean * scale): that cancels when the mean is far from 0.
  FASTCONV_DEVICE float operator()(int i, float z) const {
    return (z - mean[i]) * scale[i] + shift[i];
  }
};

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_KERNELS_STAGE_H_
