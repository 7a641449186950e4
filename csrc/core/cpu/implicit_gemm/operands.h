// How the passes read their operands from tensors.
#ifndef FASTCONV_CORE_CPU_IMPLICIT_GEMM_OPERANDS_H_
#define FASTCONV_CORE_CPU_IMPLICIT_GEMM_OPERANDS_H_

#include <algorithm>
#include <cstdint>

#include "core/conv2d.h"
#include "core/cpu/epilogue.h"
#include "core/cpu/implicit_gemm/slab.h"
#include "core/cpu/kernels/kernels.h"
#include "core/cpu/workspace.h"

namespace fastconv::cpu {

// Groups too narrow to fill a vector are computed several at a time, as one group whose filter is
// block-diagonal: the vector's other lanes would be idle anyway.
struct MergedGroups {
  int64_t count;                      // of merged groups
  int64_t size;                       // the problem's groups in each
  int64_t in_channels, out_channels;  // of each merged group

  // `channels` are those of one group that lie along vectors.
  static MergedGroups Of(const Conv2DProblem& conv, int64_t channels, int64_t lanes) {
    int64_t size = 1;
    for (int64_t candidate = 2; candidate * channels <= lanes; ++candidate) {
      if (conv.groups % candidate == 0) size = candidate;
    }
    return {conv.groups / size, size, size * conv.in_channels_per_group(),
            size * conv.out_channels_per_group()};
  }
};

// A block of the filter that one group owns, within a merged group's range of channels.
struct FilterBlock {
  int64_t in, in_count;    // input channels of the merged group
  int64_t out, out_count;  // its output channels
  int64_t filter_in;       // input channel within the filter [R][S][C/G][K]
  int64_t filter_out;      // its output channel
};

// Calls body(FilterBlock) for every group's part of the merged group's input channels
// [first_in, first_in + in_count) and output channels [first_out, first_out + out_count).
template <class Body>
void ForEachFilterBlock(const Conv2DProblem& conv, const MergedGroups& groups, int64_t group,
                        int64_t first_in, int64_t in_count, int64_t first_out, int64_t out_count,
                        const Body& body) {
  const int64_t in = conv.in_channels_per_group(), out = conv.out_channels_per_group();
  for (int64_t i = first_in / in; i < groups.size && i * in < first_in + in_count; ++i) {
    const int64_t in_begin = std::max(first_in, i * in);
    const int64_t out_begin = std::max(first_out, i * out);
    const int64_t in_end = std::min(first_in + in_count, (i + 1) * in);
    const int64_t out_end = std::min(first_out + out_count, (i + 1) * out);
    if (out_begin >= out_end) continue;
    body(FilterBlock{in_begin, in_end - in_begin, out_begin, out_end - out_begin, in_begin - i * in,
                     group * groups.out_channels + out_begin});
  }
}

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

// Rows of the gradient at the convolution's output, computed from the gradient at the block's.
// Writes [row][col][width] of the channels [first_channel, first_channel + channels).
inline void LoadGradientRows(const Kernels& kernels, const Conv2DProblem& conv,
                             const Epilogue& epilogue, const Conv2DArgs& args, int64_t image,
                             int64_t first_channel, int64_t channels, int64_t width,
                             const Band& band, void* dst) {
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
                     cols * width, width, NegativeSlope(epilogue), &pool});
}

// Where in the filter [R][S][C/G][K] a tap's block starts.
inline int64_t FilterOffset(const Conv2DProblem& conv, const Tap& tap, const FilterBlock& block) {
  const int64_t pixel = tap.filter_row * conv.window.w.window + tap.filter_col;
  return (pixel * conv.in_channels_per_group() + block.filter_in) * conv.out_channels +
         block.filter_out;
}

}  // namespace fastconv::cpu

#endif  // FASTCONV_CORE_CPU_IMPLICIT_GEMM_OPERANDS_H_
