// Fused dense layer: plan, then run.
#ifndef FASTCONV_CORE_DENSE_H_
#define FASTCONV_CORE_DENSE_H_

#include <cstddef>
#include <memory>

#include "core/problem.h"
#include "core/thread_pool.h"

namespace fastconv {

enum class DensePass { kForward, kBackwardInput, kBackwardKernel };

constexpr const char* Name(DensePass pass) {
  switch (pass) {
    case DensePass::kForward:
      return "forward";
    case DensePass::kBackwardInput:
      return "backward_input";
    case DensePass::kBackwardKernel:
      return "backward_kernel";
  }
  return "unknown";
}

// Pointers of one call; dense row-major tensors of the problem's dtype: x, dx [batch, inputs],
// kernel, dkernel [inputs, units], bias, dbias [units], y, dy [batch, units]. What a pass does not
// name stays null.
//   kForward:        x, kernel, bias (if has_bias) -> y
//   kBackwardInput:  kernel, dy, y (if the activation is not linear) -> dx
//   kBackwardKernel: x, dy, y likewise -> dkernel, dbias
struct FusedDenseArgs {
  const void* x = nullptr;
  const void* kernel = nullptr;
  const void* bias = nullptr;
  void* y = nullptr;  // read in the backward passes
  const void* dy = nullptr;
  void* dx = nullptr;
  void* dkernel = nullptr;
  void* dbias = nullptr;
};

// The work of one pass, decided once: how it is cut, how much memory. Results are the same bits for
// any number of threads.
class FusedDensePlan {
 public:
  virtual ~FusedDensePlan() = default;
  virtual size_t workspace_bytes() const = 0;  // to be aligned to 64 bytes
  virtual void Execute(const FusedDenseArgs& args, void* workspace, ThreadPool* pool) const = 0;
};

// Inputs and units are at least 1, the batch may be empty.
std::unique_ptr<FusedDensePlan> MakeFusedDensePlan(DensePass pass, const FusedDenseProblem& problem,
                                                   int num_threads);

}  // namespace fastconv

#endif  // FASTCONV_CORE_DENSE_H_
