#include "tensorflow/output_kernel.h"

#include <cstdint>
#include <utility>

#include "core/ops/tensor_checks.h"
#include "tensorflow/convert.h"
#include "tensorflow/core/framework/allocator.h"

namespace fastconv {

void* TensorScratch::Allocate(size_t bytes) {
  static_assert(tensorflow::Allocator::kAllocatorAlignment >= 64, "scratch needs 64 bytes");
  tensorflow::Tensor tensor;
  const absl::Status status = context_->allocate_temp(
      tensorflow::DT_UINT8, tensorflow::TensorShape({static_cast<int64_t>(bytes)}), &tensor);
  if (!status.ok()) return nullptr;
  tensors_.push_back(std::move(tensor));
  return tensors_.back().data();
}

absl::Status MakeView(const tensorflow::Tensor& tensor, TensorView* view) {
  view->data = tensor.data();
  return MakeSpec(tensor.dtype(), tensor.shape(), &view->spec);
}

OutputKernel::OutputKernel(tensorflow::OpKernelConstruction* construction)
    : OpKernel(construction) {
  OP_REQUIRES_OK(construction, CreateOp(*this, *construction, &definition_, &op_));
}

void OutputKernel::Compute(tensorflow::OpKernelContext* context) {
  std::vector<TensorView> inputs(context->num_inputs());
  for (size_t i = 0; i < inputs.size(); ++i) {
    OP_REQUIRES_OK(context, MakeView(context->input(i), &inputs[i]));
  }
  std::vector<TensorSpec> output_specs;
  OP_REQUIRES_OK(context, InferOutputs(*op_, SpecsOf(inputs), *this, &output_specs));
  std::vector<TensorView> outputs(output_specs.size());
  for (size_t i = 0; i < outputs.size(); ++i) {
    tensorflow::TensorShape shape;
    OP_REQUIRES_OK(context,
                   tensorflow::TensorShape::BuildTensorShape(output_specs[i].dims, &shape));
    tensorflow::Tensor* tensor = nullptr;
    if (i == 0 && definition_->in_place_input >= 0) {
      OP_REQUIRES_OK(context, context->forward_input_or_allocate_output(
                                  {definition_->in_place_input}, i, shape, &tensor));
    } else {
      OP_REQUIRES_OK(context, context->allocate_output(i, shape, &tensor));
    }
    outputs[i] = {tensor->data(), std::move(output_specs[i])};
  }
  OP_REQUIRES_OK(context, Run(context, inputs, outputs));
}

}  // namespace fastconv
