// Fused 2-D convolution on a GPU: forward and both gradients, for the problems that a kernel here
// takes. float32, bfloat16 and float16. All pointers, those in the arguments too, are the GPU's.
#ifndef FASTCONV_CORE_CUDA_CONV2D_H_
#define FASTCONV_CORE_CUDA_CONV2D_H_

#include <cstddef>
#include <string>

#include "core/conv2d.h"
#include "core/cuda/dropout_inputs.h"
#include "core/cuda/stream.h"
#include "core/problem.h"
#include "core/status.h"

namespace fastconv::cuda {

// The name of the implementation, as in the dispatch list of the CPU.
inline constexpr char kConv3x3[] = "conv3x3:tensor_cores";

// Why no kernel takes the convolution, whose passes go together; empty: there is one.
std::string Conv2DRefusal(const Conv2DProblem& problem);

// What float32 may be rounded to on the way into a product.
enum class FloatPrecision { kFloat32, kTf32 };

size_t Conv2DWorkspaceBytes(Conv2DPass pass, const FusedConv2DProblem& problem);
Status RunConv2D(Conv2DPass pass, const FusedConv2DProblem& problem, const Conv2DArgs& args,
                 const DropoutInputs& dropout, FloatPrecision precision, void* workspace,
                 Stream stream);

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_CONV2D_H_
