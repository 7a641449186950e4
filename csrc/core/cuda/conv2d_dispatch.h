// Which implementation a convolution on a GPU takes. Known without CUDA.
#ifndef FASTCONV_CORE_CUDA_CONV2D_DISPATCH_H_
#define FASTCONV_CORE_CUDA_CONV2D_DISPATCH_H_

#include <string>
#include <vector>

#include "core/conv2d.h"
#include "core/problem.h"

namespace fastconv::cuda {

inline constexpr char kConv3x3[] = "conv3x3:tensor_cores";
// The same on GPUs of compute capability 9.0, by their own tensor-core instructions.
inline constexpr char kWarpgroupConv3x3[] = "conv3x3:warpgroup";
// For maps of up to four channels, such as the images that a network reads.
inline constexpr char kImageConv3x3[] = "image_conv3x3:tensor_cores";
// The convolution of TensorFlow, behind it what cuDNN leaves of the epilogue as a pass of its own.
inline constexpr char kStock[] = "stock";

// Why an implementation does not take the convolution, whose passes go together; empty: it does.
std::string Conv3x3Refusal(const Conv2DProblem& problem);
std::string ImageConv3x3Refusal(const Conv2DProblem& problem);

// Why kWarpgroupConv3x3 does not take a pass; float32 it takes only where that may be rounded to
// TF32.
std::string WarpgroupConv3x3Refusal(Conv2DPass pass, const FusedConv2DProblem& problem);

// The list without kWarpgroupConv3x3, best first; all passes choose alike.
std::vector<DispatchEntry> ExplainConv2D(const Conv2DProblem& problem);
// The whole list. What of it the GPU runs: HasWarpgroups() (conv2d.h), and whether float32 may be
// rounded.
std::vector<DispatchEntry> ExplainConv2D(Conv2DPass pass, const FusedConv2DProblem& problem,
                                         bool has_warpgroups, bool allow_tf32);

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_CONV2D_DISPATCH_H_
