// Winograd's algorithms F(4x4, 3x3), F(5x5, 3x3), F(6x6, 3x3), F(2x2, 5x5) and F(4x4, 5x5): a third
// to a sixth of the multiplications, for 3x3 and 5x5 filters without stride or dilation.
#ifndef FASTCONV_CORE_CPU_WINOGRAD_WINOGRAD_H_
#define FASTCONV_CORE_CPU_WINOGRAD_WINOGRAD_H_

#include <memory>
#include <string>

#include "core/conv2d.h"
#include "core/cpu/conv2d/tap_algorithm.h"

namespace fastconv::cpu {

// Empty, or why Winograd's algorithm is not able to do the problem.
std::string WinogradInability(const FusedConv2DProblem& problem);
// Empty, or why implicit GEMM does it faster; see docs/dispatch.md.
std::string WinogradDisadvantage(Conv2DPass pass, const FusedConv2DProblem& problem);

std::unique_ptr<TapAlgorithm> MakeWinograd(TapProblem problem);

// The input gradient as the transpose of the forward algorithm: tiles of output gradients, whose
// results overlap. Fewer tiles where padding makes the input gradient's map much the larger one.
// Empty, or why MakeWinograd's is as fast.
std::string WinogradAdjointDisadvantage(Conv2DPass pass, const FusedConv2DProblem& problem);
std::unique_ptr<TapAlgorithm> MakeWinogradAdjoint(TapProblem problem);

std::unique_ptr<Conv2DPlan> MakeWinogradBackwardFilter(const char* name, const Kernels& kernels,
                                                       const FusedConv2DProblem& problem,
                                                       int num_threads);

}  // namespace fastconv::cpu

#endif  // FASTCONV_CORE_CPU_WINOGRAD_WINOGRAD_H_
