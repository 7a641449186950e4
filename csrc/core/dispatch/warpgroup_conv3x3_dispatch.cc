#include <string>
#include <utility>
#include <vector>

#include "core/cuda/conv2d_dispatch.h"

namespace fastconv::cuda {

std::string WarpgroupConv3x3Refusal(Conv2DPass pass, const FusedConv2DProblem& problem) {
  const Conv2DProblem& conv = problem.conv;
  const std::string refusal = Conv3x3Refusal(conv);
  if (!refusal.empty()) return refusal;
  const auto taken = [](int64_t channels) { return channels == 32 || channels == 64; };
  if (!taken(conv.in_channels) || !taken(conv.out_channels)) return "only for 32 or 64 channels";
  const bool of_filter = pass == Conv2DPass::kBackwardFilter;
  if (of_filter && conv.in_channels != conv.out_channels) {
    return "gradient of the filter only for as many channels out as in";
  }
  if (conv.dtype == DataType::kFloat32) {
    return of_filter ? "float32 not for the gradient of the filter" : "";
  }
  // Both maps are read in pairs of pixels.
  const WindowAxis& w = conv.window.w;
  if (of_filter && conv.in_channels == 32 && (w.in % 2 != 0 || w.out % 2 != 0)) {
    return "gradient of the filter of 32 channels only for maps of even width";
  }
  return "";
}

std::vector<DispatchEntry> ExplainConv2D(Conv2DPass pass, const FusedConv2DProblem& problem,
                                         bool has_warpgroups, bool allow_tf32) {
  std::string refusal = WarpgroupConv3x3Refusal(pass, problem);
  if (refusal.empty() && problem.conv.dtype == DataType::kFloat32 && !allow_tf32) {
    refusal = "float32 only where TF32 is allowed";
  }
  const bool able = refusal.empty() && has_warpgroups;
  if (refusal.empty() && !able) refusal = "only on GPUs of compute capability 9.0";
  std::vector<DispatchEntry> entries = {{kWarpgroupConv3x3, refusal, able}};
  for (DispatchEntry& entry : ExplainConv2D(problem.conv)) {
    if (able && entry.refusal.empty()) {
      entry.refusal = std::string(kWarpgroupConv3x3) + " is preferred";
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace fastconv::cuda
