// Convolution as matrix products over slabs: every problem.
#ifndef FASTCONV_CORE_CPU_IMPLICIT_GEMM_IMPLICIT_GEMM_H_
#define FASTCONV_CORE_CPU_IMPLICIT_GEMM_IMPLICIT_GEMM_H_

#include <memory>

#include "core/cpu/conv2d/filter_grad_algorithm.h"
#include "core/cpu/conv2d/tap_algorithm.h"

namespace fastconv::cpu {

std::unique_ptr<TapAlgorithm> MakeImplicitGemm(TapProblem problem);
std::unique_ptr<FilterGradAlgorithm> MakeImplicitGemmFilterGrad(FilterGradProblem problem);

}  // namespace fastconv::cpu

#endif  // FASTCONV_CORE_CPU_IMPLICIT_GEMM_IMPLICIT_GEMM_H_
