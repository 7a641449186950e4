// Convolutions of many narrow groups, depthwise ones above all: vectors whose lanes belong to
// several groups.
#ifndef FASTCONV_CORE_CPU_GROUPED_GROUPED_H_
#define FASTCONV_CORE_CPU_GROUPED_GROUPED_H_

#include <memory>
#include <string>

#include "core/conv2d.h"
#include "core/cpu/conv2d/filter_grad_algorithm.h"
#include "core/cpu/conv2d/tap_algorithm.h"

namespace fastconv::cpu {

// Empty, or why the algorithm is not able to do the problem.
std::string GroupedInability(const FusedConv2DProblem& problem);
// Empty, or why implicit GEMM does it faster; see docs/dispatch.md.
std::string GroupedDisadvantage(Conv2DPass pass, const FusedConv2DProblem& problem);

std::unique_ptr<TapAlgorithm> MakeGrouped(TapProblem problem);
std::unique_ptr<FilterGradAlgorithm> MakeGroupedFilterGrad(FilterGradProblem problem);

}  // namespace fastconv::cpu

#endif  // FASTCONV_CORE_CPU_GROUPED_GROUPED_H_
