// The passes, over any algorithm.
#ifndef FASTCONV_CORE_CPU_CONV2D_PASSES_H_
#define FASTCONV_CORE_CPU_CONV2D_PASSES_H_

#include <memory>

#include "core/conv2d.h"
#include "core/cpu/conv2d/filter_grad_algorithm.h"
#include "core/cpu/conv2d/tap_algorithm.h"

namespace fastconv::cpu {

std::unique_ptr<Conv2DPlan> MakeForward(const char* name, const Kernels& kernels,
                                        const FusedConv2DProblem& problem, int num_threads,
                                        MakeTapAlgorithm make_algorithm);
std::unique_ptr<Conv2DPlan> MakeBackwardInput(const char* name, const Kernels& kernels,
                                              const FusedConv2DProblem& problem, int num_threads,
                                              MakeTapAlgorithm make_algorithm);

std::unique_ptr<Conv2DPlan> MakeBackwardFilter(const char* name, const Kernels& kernels,
                                               const FusedConv2DProblem& problem, int num_threads,
                                               MakeFilterGradAlgorithm make_algorithm);

}  // namespace fastconv::cpu

#endif  // FASTCONV_CORE_CPU_CONV2D_PASSES_H_
