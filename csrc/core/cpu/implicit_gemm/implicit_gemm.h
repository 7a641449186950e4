// Convolution as matrix products over slabs (geometry.h): every size, stride, dilation, group
// count, padding and type.
#ifndef FASTCONV_CORE_CPU_IMPLICIT_GEMM_IMPLICIT_GEMM_H_
#define FASTCONV_CORE_CPU_IMPLICIT_GEMM_IMPLICIT_GEMM_H_

#include <memory>

#include "core/conv2d.h"
#include "core/cpu/kernels/kernels.h"

namespace fastconv::cpu {

std::unique_ptr<Conv2DPlan> MakeImplicitGemmForward(const char* name, const Kernels& kernels,
                                                    const FusedConv2DProblem& problem,
                                                    int num_threads);
std::unique_ptr<Conv2DPlan> MakeImplicitGemmBackwardInput(const char* name, const Kernels& kernels,
                                                          const FusedConv2DProblem& problem,
                                                          int num_threads);
std::unique_ptr<Conv2DPlan> MakeImplicitGemmBackwardFilter(const char* name, const Kernels& kernels,
                                                           const FusedConv2DProblem& problem,
                                                           int num_threads);

}  // namespace fastconv::cpu

#endif  // FASTCONV_CORE_CPU_IMPLICIT_GEMM_IMPLICIT_GEMM_H_
