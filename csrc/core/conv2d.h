// Fused 2-D convolution: plan, then run.
#ifndef FASTCONV_CORE_CONV2D_H_
#define FASTCONV_CORE_CONV2D_H_

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "core/problem.h"
#include "core/status.h"
#include "core/thread_pool.h"

namespace fastconv {

enum class Conv2DPass { kForward, kBackwardInput, kBackwardFilter };

constexpr const char* Name(Conv2DPass pass) {
  switch (pass) {
    case Conv2DPass::kForward:
      return "forward";
    case Conv2DPass::kBackwardInput:
      return "backward_input";
    case Conv2DPass::kBackwardFilter:
      return "backward_filter";
  }
  return "unknown";
}

// Pointers of one call; dense row-major tensors. What a pass does not name stays null.
//   kForward:        x, filter, bias (if has_bias) -> y, code (if pooled), mean and variance (if
//   batch_statistics) kBackwardInput:  filter, dy, y (if the activation is not linear and nothing
//   is pooled), code (if
//                    pooled) -> dx
//   kBackwardFilter: x, dy, y, code as above -> dfilter, dbias (null: not wanted)
// dy is the gradient at the output of the whole block. mean, variance have the accumulation type,
// code its code type, all others the problem's dtype.
struct Conv2DArgs {
  const void* x = nullptr;
  const void* filter = nullptr;
  const void* bias = nullptr;
  void* y = nullptr;     // read in the backward passes
  void* code = nullptr;  // read in the backward passes
  void* mean = nullptr;
  void* variance = nullptr;
  const void* dy = nullptr;
  void* dx = nullptr;
  void* dfilter = nullptr;
  void* dbias = nullptr;
};

// The work of one pass, decided once: which implementation, how it is cut, how much memory.
// A pure function of the problem, the machine and the number of threads, so that results repeat.
class Conv2DPlan {
 public:
  virtual ~Conv2DPlan() = default;
  virtual const char* implementation() const = 0;  // "implicit_gemm:avx512"
  virtual size_t workspace_bytes() const = 0;      // to be aligned to 64 bytes
  virtual Status Execute(const Conv2DArgs& args, void* workspace, ThreadPool* pool) const = 0;
};

// Takes the first implementation of the dispatch list that accepts the problem or, for tests and
// benchmarks, the one named `implementation` ("implicit_gemm:avx2") if it is able.
Status MakeConv2DPlan(Conv2DPass pass, const FusedConv2DProblem& problem, int num_threads,
                      std::unique_ptr<Conv2DPlan>* plan, const std::string& implementation = "");

// One line of the dispatch list: chosen (refusal empty, the first such line) or why not: it is not
// able to do the problem, or it is and another one is faster.
struct DispatchEntry {
  std::string implementation;
  std::string refusal;
  bool able;
};
std::vector<DispatchEntry> ExplainConv2D(Conv2DPass pass, const FusedConv2DProblem& problem);

}  // namespace fastconv

#endif  // FASTCONV_CORE_CONV2D_H_
