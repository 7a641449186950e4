#include "core/cpu/conv2d/geometry.h"

#include <algorithm>

namespace fastconv::cpu {
namespace {

struct AxisTap {
  int64_t filter_index;
  int64_t offset;
};

struct AxisPhase {
  int64_t count, first, step;
  std::vector<AxisTap> taps;
};

AxisPhase ForwardAxis(const WindowAxis& axis) {
  AxisPhase phase{axis.out, 0, 1, {}};
  for (int64_t r = 0; r < axis.window; ++r) {
    phase.taps.push_back({r, r * axis.dilation - axis.pad_before});
  }
  return phase;
}

// Output i met input x = i * stride - pad + r * dilation, so x = p + m * stride meets the output
// m + (p + pad - r * dilation) / stride where that division leaves no rest.
std::vector<AxisPhase> BackwardInputAxis(const WindowAxis& axis) {
  std::vector<AxisPhase> phases;
  for (int64_t p = 0; p < std::min(axis.stride, axis.in); ++p) {
    AxisPhase phase{(axis.in - p + axis.stride - 1) / axis.stride, p, axis.stride, {}};
    for (int64_t r = axis.window - 1; r >= 0; --r) {
      const int64_t distance = p + axis.pad_before - r * axis.dilation;
      if (distance % axis.stride == 0) phase.taps.push_back({r, distance / axis.stride});
    }
    phases.push_back(std::move(phase));
  }
  return phases;
}

Phase Cross(const AxisPhase& h, const AxisPhase& w) {
  Phase phase{h.count, w.count, h.first, h.step, w.first, w.step, {}};
  for (const AxisTap& row : h.taps) {
    for (const AxisTap& col : w.taps) {
      phase.taps.push_back({row.filter_index, col.filter_index, row.offset, col.offset});
    }
  }
  return phase;
}

}  // namespace

TapConvolution ForwardTaps(const Window2D& window) {
  return {window.h.in,     window.w.in, window.h.stride,
          window.w.stride, false,       {Cross(ForwardAxis(window.h), ForwardAxis(window.w))}};
}

TapConvolution BackwardInputTaps(const Window2D& window) {
  TapConvolution convolution{window.h.out, window.w.out, 1, 1, true, {}};
  for (const AxisPhase& h : BackwardInputAxis(window.h)) {
    for (const AxisPhase& w : BackwardInputAxis(window.w)) {
      convolution.phases.push_back(Cross(h, w));
    }
  }
  return convolution;
}

ChannelChunks ChannelChunks::Of(int64_t channels) {
  // Pixels of a tile lie `size` elements apart; beyond 1 KiB too few cache sets would hold them.
  constexpr int64_t kMaxSize = 256;
  constexpr int64_t kMultiple = 16;
  const int64_t count = (channels + kMaxSize - 1) / kMaxSize;
  const int64_t even = (channels + count - 1) / count;
  return {channels, count == 1 ? channels : (even + kMultiple - 1) / kMultiple * kMultiple};
}

}  // namespace fastconv::cpu
