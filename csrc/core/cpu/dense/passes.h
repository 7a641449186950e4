// The passes of a dense layer.
//
// Its kernel is read, or its gradient written, once, in blocks of neighbouring rows, as that takes
// as much time as the products when the batch is small.
#ifndef FASTCONV_CORE_CPU_DENSE_PASSES_H_
#define FASTCONV_CORE_CPU_DENSE_PASSES_H_

#include <algorithm>
#include <cstdint>
#include <memory>

#include "core/cpu/kernels/kernels.h"
#include "core/dense.h"

namespace fastconv::cpu {

// [0, count) in blocks of `size`, the last one what is left.
struct Blocks {
  int64_t size, count;

  int64_t number() const { return (count + size - 1) / size; }
  int64_t first(int64_t block) const { return block * size; }
  int64_t length(int64_t block) const { return std::min(size, count - first(block)); }
};

// A range of memory that is asked for in equal parts, one with each of some calls of a kernel.
class ReadAhead {
 public:
  ReadAhead() = default;
  ReadAhead(const void* begin, int64_t bytes, int64_t parts)
      : begin_(static_cast<const char*>(begin)), lines_(bytes / kLine), parts_(parts) {}

  const void* begin(int64_t part) const { return begin_ + line(part) * kLine; }
  int64_t lines(int64_t part) const { return line(part + 1) - line(part); }

 private:
  static constexpr int64_t kLine = 64;
  int64_t line(int64_t part) const { return part < parts_ ? lines_ * part / parts_ : lines_; }

  const char* begin_ = nullptr;
  int64_t lines_ = 0;
  int64_t parts_ = 1;
};

std::unique_ptr<FusedDensePlan> MakeDenseForward(const FusedDenseProblem& problem, int num_threads);
std::unique_ptr<FusedDensePlan> MakeDenseBackwardInput(const FusedDenseProblem& problem,
                                                       int num_threads);
std::unique_ptr<FusedDensePlan> MakeDenseBackwardKernel(const FusedDenseProblem& problem,
                                                        int num_threads);

}  // namespace fastconv::cpu

#endif  // FASTCONV_CORE_CPU_DENSE_PASSES_H_
