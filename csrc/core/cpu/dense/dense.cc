#include "core/dense.h"

#include "core/cpu/dense/passes.h"

namespace fastconv {

std::unique_ptr<FusedDensePlan> MakeFusedDensePlan(DensePass pass, const FusedDenseProblem& problem,
                                                   int num_threads) {
  switch (pass) {
    case DensePass::kForward:
      return cpu::MakeDenseForward(problem, num_threads);
    case DensePass::kBackwardInput:
      return cpu::MakeDenseBackwardInput(problem, num_threads);
    case DensePass::kBackwardKernel:
      return cpu::MakeDenseBackwardKernel(problem, num_threads);
  }
  return nullptr;
}

}  // namespace fastconv
