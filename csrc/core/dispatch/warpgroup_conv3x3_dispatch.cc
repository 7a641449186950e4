#include <string>
#include <utility>
#include <vector>

#include "core/cuda/conv2d_dispatch.h"

namespace fastconv::cuda {

std::string WarpgroupConv3x3Refusal(Conv2DPass pass, const FusedConv2DProblem& problem) {
  const Conv2DProblem& conv = problem.conv;
  const std::string refusal = Conv3x3Refusal(conv);
  if (!refusal.empty()) return refusal;
  if (problem.batch_statistics) return "only without statistics of the batch";
  if (conv.in_channels != conv.out_channels) return "only for as many channels out as in";
  const int64_t channels = conv.in_channels;
  if (conv.dtype == DataType::kFloat32) {
    if (pass == Conv2DPass::kBackwardFilter) return "float32 not for the gradient of the filter";
    if (channels != 32) return "float32 only with 32 channels";
    const Epilogue& epilogue = problem.epilogue;
    const bool drops = epilogue.pool.enabled && epilogue.dropout.kind != DropoutKind::kNone;
    return pass == Conv2DPass::kForward && drops ? "float32 only without dropout behind a pooling"
                                                 : "";
  }
  if (channels != 32 && channels != 64) return "only for 32 or 64 channels";
  // Maps are read in pairs of pixels.
  const WindowAxis& w = conv.window.w;
  const bool reads_x = pass != Conv2DPass::kBackwardInput, reads_dz = pass != Conv2DPass::kForward;
  if (channels == 32 && ((reads_x && w.in % 2 != 0) || (reads_dz && w.out % 2 != 0))) {
    return "32 channels of 16 bits only for maps of even width";
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
