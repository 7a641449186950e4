// The one CPU kernel of all ops: view, check, allocate, call.
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "core/ops/op.h"
#include "core/thread_pool.h"
#include "tensorflow/convert.h"
#include "tensorflow/core/framework/allocator.h"
#include "tensorflow/core/framework/device_base.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/platform/threadpool.h"

namespace fastconv {
namespace {

// The worker threads of the device, as tf.config.threading sets them.
class DeviceThreadPool final : public ThreadPool {
 public:
  explicit DeviceThreadPool(const tensorflow::DeviceBase& device)
      : threads_(*device.tensorflow_cpu_worker_threads()) {}

  int num_threads() const override { return threads_.num_threads; }
  void Schedule(std::function<void()> task) override {
    threads_.workers->Schedule(std::move(task));
  }

 private:
  const tensorflow::DeviceBase::CpuWorkerThreads& threads_;
};

// Temporary tensors, which TensorFlow frees when the kernel is done with them.
class TensorScratch final : public ScratchAllocator {
 public:
  explicit TensorScratch(tensorflow::OpKernelContext* context) : context_(context) {}

  void* Allocate(size_t bytes) override {
    static_assert(tensorflow::Allocator::kAllocatorAlignment >= 64, "scratch needs 64 bytes");
    tensorflow::Tensor tensor;
    const absl::Status status = context_->allocate_temp(
        tensorflow::DT_UINT8, tensorflow::TensorShape({static_cast<int64_t>(bytes)}), &tensor);
    if (!status.ok()) return nullptr;
    tensors_.push_back(std::move(tensor));
    return tensors_.back().data();
  }

 private:
  tensorflow::OpKernelContext* context_;
  std::vector<tensorflow::Tensor> tensors_;
};

class CpuKernel final : public tensorflow::OpKernel {
 public:
  explicit CpuKernel(tensorflow::OpKernelConstruction* construction) : OpKernel(construction) {
    OP_REQUIRES_OK(construction, CreateOp(*this, *construction, &definition_, &op_));
  }

  void Compute(tensorflow::OpKernelContext* context) override {
    std::vector<TensorView> inputs(context->num_inputs());
    std::vector<TensorSpec> input_specs(inputs.size());
    for (size_t i = 0; i < inputs.size(); ++i) {
      const tensorflow::Tensor& tensor = context->input(i);
      OP_REQUIRES_OK(context, MakeSpec(tensor.dtype(), tensor.shape(), &input_specs[i]));
      inputs[i] = {tensor.data(), input_specs[i]};
    }
    std::vector<TensorSpec> output_specs;
    OP_REQUIRES_OK(context, InferOutputs(*op_, input_specs, *this, &output_specs));
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
    DeviceThreadPool pool(*context->device());
    TensorScratch scratch(context);
    OP_REQUIRES_OK(context, ToAbslStatus(op_->Run(inputs, outputs, {&pool, &scratch})));
  }

 private:
  const OpDefinition* definition_;
  std::unique_ptr<Op> op_;
};

#define FASTCONV_REGISTER_CPU_KERNEL(name) \
  REGISTER_KERNEL_BUILDER(Name("Fastconv>" name).Device(tensorflow::DEVICE_CPU), CpuKernel)

FASTCONV_REGISTER_CPU_KERNEL("FusedConv2D");
FASTCONV_REGISTER_CPU_KERNEL("FusedConv2DBackpropInput");
FASTCONV_REGISTER_CPU_KERNEL("FusedConv2DBackpropFilter");
FASTCONV_REGISTER_CPU_KERNEL("Conv2DBatchStatistics");
FASTCONV_REGISTER_CPU_KERNEL("FusedBatchNorm");
FASTCONV_REGISTER_CPU_KERNEL("FusedBatchNormGradReduce");
FASTCONV_REGISTER_CPU_KERNEL("FusedBatchNormGradApply");
FASTCONV_REGISTER_CPU_KERNEL("MaxPool");
FASTCONV_REGISTER_CPU_KERNEL("MaxPoolGrad");
FASTCONV_REGISTER_CPU_KERNEL("Dropout");

#undef FASTCONV_REGISTER_CPU_KERNEL

}  // namespace
}  // namespace fastconv
