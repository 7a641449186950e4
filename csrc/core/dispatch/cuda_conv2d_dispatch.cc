#include <cstdint>
#include <limits>

#include "core/cuda/conv2d_dispatch.h"

namespace fastconv::cuda {
namespace {

constexpr int64_t kTile = 16;
constexpr int64_t kMaxChannels = 128;

}  // namespace

std::string Conv2DRefusal(const Conv2DProblem& conv) {
  const WindowAxis &h = conv.window.h, &w = conv.window.w;
  if (AccumulationType(conv.dtype) == DataType::kFloat64) return "no kernels for float64";
  if (h.window != 3 || w.window != 3) return "only for 3x3 filters";
  if (h.stride != 1 || w.stride != 1) return "only for strides of 1";
  if (h.dilation != 1 || w.dilation != 1) return "only without dilation";
  if (conv.groups != 1) return "only for one group";
  if (h.pad_before > 2 || w.pad_before > 2) return "only for padding of at most 2";
  const auto fits = [](int64_t channels) { return channels % 16 == 0 && channels <= kMaxChannels; };
  if (!fits(conv.in_channels) || !fits(conv.out_channels)) {
    return "only for multiples of 16 channels, up to " + std::to_string(kMaxChannels);
  }
  const int64_t tiles = conv.batch * ((h.in + 2) / kTile + 1) * ((w.in + 2) / kTile + 1);
  if (tiles > std::numeric_limits<int32_t>::max() / 2) return "only for fewer pixels";
  return "";
}

std::vector<DispatchEntry> ExplainConv2D(const Conv2DProblem& problem) {
  const std::string refusal = Conv2DRefusal(problem);
  const bool able = refusal.empty();
  return {{kConv3x3, refusal, able},
          {kStock, able ? std::string(kConv3x3) + " is preferred" : "", true}};
}

}  // namespace fastconv::cuda
