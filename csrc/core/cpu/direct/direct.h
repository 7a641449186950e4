// Convolutions from few input channels, the first layer of a network above all: each output's sum
// is made, finished and written without a stop in memory.
#ifndef FASTCONV_CORE_CPU_DIRECT_DIRECT_H_
#define FASTCONV_CORE_CPU_DIRECT_DIRECT_H_

#include <memory>
#include <string>

#include "core/conv2d.h"
#include "core/cpu/conv2d/filter_grad_algorithm.h"
#include "core/cpu/conv2d/tap_algorithm.h"

namespace fastconv::cpu {

// Empty, or why the algorithm is not able to do the problem.
std::string DirectForwardInability(const FusedConv2DProblem& problem);
std::string DirectFilterGradInability(const FusedConv2DProblem& problem);
// Empty, or why implicit GEMM does it faster; see docs/dispatch.md.
std::string DirectDisadvantage(Conv2DPass pass, const FusedConv2DProblem& problem);

std::unique_ptr<TapAlgorithm> MakeDirect(TapProblem problem);
std::unique_ptr<FilterGradAlgorithm> MakeDirectFilterGrad(FilterGradProblem problem);

}  // namespace fastconv::cpu

#endif  // FASTCONV_CORE_CPU_DIRECT_DIRECT_H_
