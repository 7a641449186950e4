#include <string>
#include <utility>
#include <vector>

#include "core/cuda/conv2d_dispatch.h"

namespace fastconv::cuda {

std::string WarpgroupConv3x3Refusal(Conv2DPass pass, const FusedConv2DProblem& problem) {
  const Conv2DProblem& conv = problem.conv;
  const std::string refusal = Conv3x3Refusal(conv);
  if (!refusal.empty()) return refusal;
  if (pass == Conv2DPass::kBackwardFilter) return "not for the gradient of the filter";
  if (problem.batch_statistics) return "only without statistics of the batch";
  if (conv.in_channels != conv.out_channels) return "only for as many channels out as in";
  const int64_t channels = conv.in_channels;
  const bool float32 = conv.dtype == DataType::kFloat32;
  if (channels != 32 && (float32 || channels != 64)) {
    return float32 ? "float32 only with 32 channels" : "only for 32 or 64 channels";
  }
  const WindowAxis& w = conv.window.w;
  const int64_t width = pass == Conv2DPass::kForward ? w.in : w.out;
  if (!float32 && channels == 32 && width % 2 != 0) {
    return "32 channels of 16 bits only for maps of even width";  // read in pairs of pixels
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
