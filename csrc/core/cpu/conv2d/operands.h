// How the passes read their operands from tensors.
#ifndef FASTCONV_CORE_CPU_CONV2D_OPERANDS_H_
#define FASTCONV_CORE_CPU_CONV2D_OPERANDS_H_

#include <cstdint>

#include "core/conv2d.h"
#include "core/cpu/conv2d/slab.h"
#include "core/cpu/conv2d/tap_algorithm.h"
#include "core/cpu/dropout.h"
#include "core/cpu/epilogue.h"
#include "core/cpu/kernels/kernels.h"
#include "core/cpu/workspace.h"

namespace fastconv::cpu {

// A row of x, channels [first_channel, first_channel + channels), into a slab.
inline void LoadInputRow(const Kernels& kernels, const Conv2DProblem& conv, const void* x,
                         int64_t image, int64_t first_channel, int64_t channels,
                         const Slab::Row& row) {
  const Window2D& window = conv.window;
  const int64_t pixel = (image * window.h.in + row.row) * window.w.in + row.first_col;
  kernels.load_rows({At(x, pixel * conv.in_channels + first_channel, SizeOf(conv.dtype)),
                     row.col_step * conv.in_channels, row.dst, channels, row.cols, channels,
                     channels});
}

// x as algorithms find it that read it in place.
inline TapAlgorithm::InputPlace InputMap(const Conv2DProblem& conv, const void* x) {
  const int64_t row_stride = conv.window.w.in * conv.in_channels;
  return {x, conv.window.h.in * row_stride, row_stride, conv.in_channels};
}

// Rows of the gradient at the convolution's output, computed from the gradient at the block's.
// Writes [row][col][width] of the channels [first_channel, first_channel + channels), rows
// dst_row_stride apart.
inline void LoadGradientRows(const Kernels& kernels, const Conv2DProblem& conv,
                             const Epilogue& epilogue, const DropoutStage& dropout,
                             const Conv2DArgs& args, int64_t image, int64_t first_channel,
                             int64_t channels, int64_t width, const Band& band, void* dst,
                             int64_t dst_row_stride) {
  const MaxPoolSpec& pool = epilogue.pool;
  const Window2D& map = pool.enabled ? pool.window : conv.window;
  const int64_t cols = conv.window.w.out;
  const size_t element_bytes = SizeOf(conv.dtype);
  const int64_t first = image * map.h.out * map.w.out * conv.out_channels + first_channel;
  const bool by_sign = epilogue.activation != Activation::kLinear && !pool.enabled;
  kernels.grad_rows({At(args.dy, first, element_bytes),
                     by_sign ? At(static_cast<const void*>(args.y), first, element_bytes) : nullptr,
                     At(static_cast<const void*>(args.code), first, SizeOf(pool.code_type)),
                     conv.out_channels, band.first_row, band.rows, cols, channels, width, dst,
                     dst_row_stride, width, NegativeSlope(epilogue), &pool,
                     dropout.pooled_gradient_scale()});
  dropout.Backward(dst, dst_row_stride, width, {image, band, first_channel, channels});
}

// Where in the filter [R][S][C/G][K] a tap's channels start: input channel `in` and output channel
// `out` of a group.
inline int64_t FilterOffset(const Conv2DProblem& conv, const Tap& tap, int64_t group, int64_t in,
                            int64_t out) {
  const int64_t pixel = tap.filter_row * conv.window.w.window + tap.filter_col;
  return (pixel * conv.in_channels_per_group() + in) * conv.out_channels +
         group * conv.out_channels_per_group() + out;
}

}  // namespace fastconv::cpu

#endif  // FASTCONV_CORE_CPU_CONV2D_OPERANDS_H_
