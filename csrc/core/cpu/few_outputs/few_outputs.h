// Convolutions to so few channels that the vectors of other algorithms would be nearly empty: the
// input gradient of an image's three channels, the last layer of a network that makes images.
#ifndef FASTCONV_CORE_CPU_FEW_OUTPUTS_FEW_OUTPUTS_H_
#define FASTCONV_CORE_CPU_FEW_OUTPUTS_FEW_OUTPUTS_H_

#include <memory>
#include <string>

#include "core/conv2d.h"
#include "core/cpu/conv2d/tap_algorithm.h"

namespace fastconv::cpu {

// Empty, or why the algorithm is not able to do the problem.
std::string FewOutputsForwardInability(const FusedConv2DProblem& problem);
std::string FewOutputsBackwardInputInability(const FusedConv2DProblem& problem);
// Empty, or why implicit GEMM does it faster; see docs/dispatch.md.
std::string FewOutputsDisadvantage(Conv2DPass pass, const FusedConv2DProblem& problem);

std::unique_ptr<TapAlgorithm> MakeFewOutputs(TapProblem problem);

}  // namespace fastconv::cpu

#endif  // FASTCONV_CORE_CPU_FEW_OUTPUTS_FEW_OUTPUTS_H_
