// What is to be computed: plain descriptions, constant for a call, no pointers.
#ifndef FASTCONV_CORE_PROBLEM_H_
#define FASTCONV_CORE_PROBLEM_H_

#include <cstdint>

#include "core/dtype.h"
#include "core/shape.h"

namespace fastconv {

enum class Activation { kLinear, kRelu, kLeakyRelu };

// What an optimizer makes of a weight and its slots (weight_update.h).
enum class UpdateRule {
  kSgd,
  kMomentum,
  kNesterov,
  kRmsprop,
  kRmspropMomentum,
  kCenteredRmsprop,
  kCenteredRmspropMomentum,
  kAdadelta,
  kAdagrad,
  kAdam,
  kAmsgrad,
  kAdamax,
  kNadam,
};

// Max pooling of a feature map. Beside the maxima it yields one code per pooled cell: the position
// of the first maximum in its window (row * window.w + column) and, in the code type's top bit,
// whether the maximum is positive (backward needs no more: not the map, not the activation). All
// bits of the position set: dropout took the cell, no position gets its gradient.
struct MaxPoolSpec {
  bool enabled = false;
  Window2D window;                        // in = size of the map, out = size of the pooled map
  DataType code_type = DataType::kUint8;  // kUint8 up to 127 positions, kInt32 beyond

  static constexpr int64_t kMaxUint8Positions = 127;
  int64_t positions() const { return window.h.window * window.w.window; }
};

// A 2-D convolution, NHWC activations and HWIO filters, TensorFlow's cross-correlation:
//   z[n, i, j, k] = sum over r, s, c of
//     x[n, i * stride - pad + r * dilation, j * ..., g * C/G + c] * filter[r, s, c, k],
// where g = k / (K/G) is the group of output channel k.
struct Conv2DProblem {
  DataType dtype = DataType::kFloat32;
  int64_t batch = 0;
  int64_t in_channels = 0;
  int64_t out_channels = 0;
  int64_t groups = 1;
  Window2D window;

  int64_t in_channels_per_group() const { return in_channels / groups; }
  int64_t out_channels_per_group() const { return out_channels / groups; }
  int64_t filter_size() const {
    return window.h.window * window.w.window * in_channels_per_group() * out_channels;
  }
  int64_t output_pixels() const { return batch * window.h.out * window.w.out; }
};

// Dropout of a block's output: with probability `rate` a value becomes 0, else it is multiplied by
// 1 / (1 - rate). Which ones depends on the seed and on their place alone, so that backward draws
// the mask again; both draw TensorFlow's stateless numbers (cpu/kernels/dropout.h).
enum class DropoutKind {
  kNone,
  kElements,  // each value on its own
  kChannels   // whole channels of an image: "spatial"
};

struct DropoutSpec {
  DropoutKind kind = DropoutKind::kNone;
  double rate = 0;  // in [0, 1]
  int32_t seed[2] = {0, 0};
};

// Stages after the convolution: y = dropout(pool(activation(z + bias))).
struct Epilogue {
  bool has_bias = false;
  Activation activation = Activation::kLinear;
  float negative_slope = 0.0f;  // of kLeakyRelu, >= 0
  MaxPoolSpec pool;
  DropoutSpec dropout;
};

struct FusedConv2DProblem {
  Conv2DProblem conv;
  Epilogue epilogue;
  // Forward only: also the mean and the population variance of z + bias over N, H, W, per channel.
  // Needs a linear epilogue without pooling and dropout.
  bool batch_statistics = false;
};

// Batch normalisation of z [rows = N*H*W, channels] by its own statistics, then the epilogue:
//   y = dropout(pool(activation(gamma * (z - mean) / sqrt(variance + epsilon) + beta))).
struct FusedBatchNormProblem {
  DataType dtype = DataType::kFloat32;
  int64_t batch = 0;
  int64_t height = 0;
  int64_t width = 0;
  int64_t channels = 0;
  float epsilon = 1e-3f;
  bool has_gamma = true;
  bool has_beta = true;
  Epilogue epilogue;  // has_bias is unused
};

// The stages after a convolution that another library computes: z [batch, height, width, channels].
struct FusedEpilogueProblem {
  DataType dtype = DataType::kFloat32;
  int64_t batch = 0;
  int64_t height = 0;
  int64_t width = 0;
  int64_t channels = 0;
  Epilogue epilogue;
};

// A dense layer: y = activation(x [batch, inputs] * kernel [inputs, units] + bias). Its epilogue
// has neither pooling nor dropout.
struct FusedDenseProblem {
  DataType dtype = DataType::kFloat32;
  int64_t batch = 0;
  int64_t inputs = 0;
  int64_t units = 0;
  Epilogue epilogue;
};

struct MaxPoolProblem {
  DataType dtype = DataType::kFloat32;
  int64_t batch = 0;
  int64_t channels = 0;
  MaxPoolSpec pool;
};

}  // namespace fastconv

#endif  // FASTCONV_CORE_PROBLEM_H_
