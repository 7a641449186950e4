#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>

#include "core/cuda/conv2d_dispatch.h"

namespace fastconv::cuda {
namespace {

constexpr int64_t kTile = 16;
constexpr int64_t kMaxChannels = 128;
constexpr int64_t kMaxImageChannels = 4;

// From so many channels to more, or back, cuDNN's kernels (wgmma) are near an H200's limit, and
// mma.sync, which the kernels below take for them, does not reach that rate.
constexpr int64_t kStockChannels = 64;

bool InWholeFragments(int64_t channels) { return channels % 16 == 0 && channels <= kMaxChannels; }

// What all kernels refuse.
std::string CommonRefusal(const Conv2DProblem& conv) {
  const WindowAxis &h = conv.window.h, &w = conv.window.w;
  if (AccumulationType(conv.dtype) == DataType::kFloat64) return "no kernels for float64";
  if (h.window != 3 || w.window != 3) return "only for 3x3 filters";
  if (h.stride != 1 || w.stride != 1) return "only for strides of 1";
  if (h.dilation != 1 || w.dilation != 1) return "only without dilation";
  if (conv.groups != 1) return "only for one group";
  if (h.pad_before > 2 || w.pad_before > 2) return "only for padding of at most 2";
  // Numbers of tiles, and offsets within one and its border, have 32 bits.
  constexpr int64_t kMax = std::numeric_limits<int32_t>::max();
  const int64_t tiles = conv.batch * ((h.in + 2) / kTile + 1) * ((w.in + 2) / kTile + 1);
  const int64_t channels = std::max(conv.in_channels, conv.out_channels);
  if (tiles > kMax / 2 || (kTile + 2) * (w.in + 2) * channels > kMax) {
    return "only for fewer pixels";
  }
  return "";
}

bool StockIsFaster(const Conv2DProblem& conv) {
  const auto [fewer, more] = std::minmax(conv.in_channels, conv.out_channels);
  return fewer >= kStockChannels && more > kStockChannels;
}

}  // namespace

std::string Conv3x3Refusal(const Conv2DProblem& conv) {
  const std::string refusal = CommonRefusal(conv);
  if (!refusal.empty()) return refusal;
  if (!InWholeFragments(conv.in_channels) || !InWholeFragments(conv.out_channels)) {
    return "only for multiples of 16 channels, up to " + std::to_string(kMaxChannels);
  }
  return "";
}

std::string ImageConv3x3Refusal(const Conv2DProblem& conv) {
  const std::string refusal = CommonRefusal(conv);
  if (!refusal.empty()) return refusal;
  if (conv.in_channels > kMaxImageChannels) {
    return "only for up to " + std::to_string(kMaxImageChannels) + " input channels";
  }
  if (!InWholeFragments(conv.out_channels)) {
    return "only for multiples of 16 output channels, up to " + std::to_string(kMaxChannels);
  }
  return "";
}

std::vector<DispatchEntry> ExplainConv2D(const Conv2DProblem& problem) {
  std::vector<DispatchEntry> entries;
  std::string chosen;
  const auto add = [&](const char* name, std::string refusal) {
    const bool able = refusal.empty();
    if (able && !chosen.empty()) refusal = chosen + " is preferred";
    if (able && chosen.empty()) chosen = name;
    entries.push_back({name, std::move(refusal), able});
  };
  const bool stock_is_faster = StockIsFaster(problem);
  if (stock_is_faster) add(kStock, "");
  add(kConv3x3, Conv3x3Refusal(problem));
  add(kImageConv3x3, ImageConv3x3Refusal(problem));
  if (!stock_is_faster) add(kStock, "");
  return entries;
}

}  // namespace fastconv::cuda
