// Which implementation a convolution on a GPU takes. Known without CUDA.
#ifndef FASTCONV_CORE_CUDA_CONV2D_DISPATCH_H_
#define FASTCONV_CORE_CUDA_CONV2D_DISPATCH_H_

#include <string>
#include <vector>

#include "core/conv2d.h"
#include "core/problem.h"

namespace fastconv::cuda {

inline constexpr char kConv3x3[] = "conv3x3:tensor_cores";
// The convolution of TensorFlow, with the epilogue as a pass of its own.
inline constexpr char kStock[] = "stock";

// Why no kernel takes the convolution, whose passes go together; empty: there is one.
std::string Conv2DRefusal(const Conv2DProblem& problem);

// The list, best first; all passes choose alike.
std::vector<DispatchEntry> ExplainConv2D(const Conv2DProblem& problem);

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_CONV2D_DISPATCH_H_
