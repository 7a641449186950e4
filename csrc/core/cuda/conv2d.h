// Fused 2-D convolution on a GPU: forward and both gradients, of what conv2d_dispatch.h does not
// refuse. float32, bfloat16 and float16. All pointers, those in the arguments too, are the GPU's.
#ifndef FASTCONV_CORE_CUDA_CONV2D_H_
#define FASTCONV_CORE_CUDA_CONV2D_H_

#include <cstddef>

#include "core/conv2d.h"
#include "core/cuda/conv2d_dispatch.h"
#include "core/cuda/dropout_inputs.h"
#include "core/cuda/stream.h"
#include "core/problem.h"
#include "core/status.h"

namespace fastconv::cuda {

// What float32 may be rounded to on the way into a product.
enum class FloatPrecision { kFloat32, kTf32 };

// Whether the current device runs kWarpgroupConv3x3, and this build has it.
bool HasWarpgroups();

size_t Conv2DWorkspaceBytes(Conv2DPass pass, const FusedConv2DProblem& problem);
Status RunConv2D(Conv2DPass pass, const FusedConv2DProblem& problem, const Conv2DArgs& args,
                 const DropoutInputs& dropout, FloatPrecision precision, void* workspace,
                 Stream stream);

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_CONV2D_H_
