// The kernel of every op that computes outputs: view, check, allocate, call. What it is called on
// is for those who derive from it.
#ifndef FASTCONV_TENSORFLOW_OUTPUT_KERNEL_H_
#define FASTCONV_TENSORFLOW_OUTPUT_KERNEL_H_

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "core/ops/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/tensor.h"

namespace fastconv {

// Temporary tensors in the memory of the kernel's device, which TensorFlow frees when the kernel is
// done with them.
class TensorScratch final : public ScratchAllocator {
 public:
  explicit TensorScratch(tensorflow::OpKernelContext* context) : context_(context) {}

  void* Allocate(size_t bytes) override;

 private:
  tensorflow::OpKernelContext* context_;
  std::vector<tensorflow::Tensor> tensors_;
};

absl::Status MakeView(const tensorflow::Tensor& tensor, TensorView* view);

class OutputKernel : public tensorflow::OpKernel {
 public:
  explicit OutputKernel(tensorflow::OpKernelConstruction* construction);

  void Compute(tensorflow::OpKernelContext* context) override;

 protected:
  virtual absl::Status Run(tensorflow::OpKernelContext* context,
                           const std::vector<TensorView>& inputs,
                           const std::vector<TensorView>& outputs) const = 0;
  const Op& op() const { return *op_; }

 private:
  const OpDefinition* definition_;
  std::unique_ptr<Op> op_;
};

}  // namespace fastconv

#endif  // FASTCONV_TENSORFLOW_OUTPUT_KERNEL_H_
