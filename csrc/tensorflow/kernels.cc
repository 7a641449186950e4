// The CPU kernels of all ops. One is for ops that compute outputs, the other for those that update
// variables.
#include <functional>
#include <set>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/ops/op.h"
#include "core/ops/tensor_checks.h"
#include "core/thread_pool.h"
#include "tensorflow/convert.h"
#include "tensorflow/core/framework/device_base.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/resource_mgr.h"
#include "tensorflow/core/framework/resource_var.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/platform/mutex.h"
#include "tensorflow/core/platform/threadpool.h"
#include "tensorflow/output_kernel.h"

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

class CpuKernel : public OutputKernel {
 public:
  using OutputKernel::OutputKernel;

 protected:
  absl::Status Run(tensorflow::OpKernelContext* context, const std::vector<TensorView>& inputs,
                   const std::vector<TensorView>& outputs) const override {
    DeviceThreadPool pool(*context->device());
    TensorScratch scratch(context);
    return ToAbslStatus(op().Run(inputs, outputs, {&pool, &scratch}));
  }
};

// Updates the variables that the first inputs are handles of, in place unless somebody still reads
// what they hold.
class CpuVariableKernel final : public CpuKernel {
 public:
  using CpuKernel::CpuKernel;

  void Compute(tensorflow::OpKernelContext* context) override {
    std::vector<tensorflow::core::RefCountPtr<tensorflow::Var>> variables;
    for (int i = 0; i < context->num_inputs(); ++i) {
      if (context->input_dtype(i) != tensorflow::DT_RESOURCE) break;
      const tensorflow::ResourceHandle& handle = tensorflow::HandleFromInput(context, i);
      OP_REQUIRES_OK(context, LookupResource(context, handle, &variables.emplace_back()));
    }
    const std::vector<tensorflow::mutex_lock> locks = Lock(variables);
    std::vector<TensorView> inputs(context->num_inputs());
    for (size_t i = 0; i < inputs.size(); ++i) {
      const bool is_variable = i < variables.size();
      OP_REQUIRES(context, !is_variable || variables[i]->is_initialized,
                  absl::FailedPreconditionError(
                      absl::StrCat("A variable must be initialized before its update. Received: ",
                                   tensorflow::HandleFromInput(context, i).name())));
      OP_REQUIRES_OK(
          context, MakeView(is_variable ? *variables[i]->tensor() : context->input(i), &inputs[i]));
    }
    std::vector<TensorSpec> output_specs;
    OP_REQUIRES_OK(context, InferOutputs(op(), SpecsOf(inputs), *this, &output_specs));
    std::vector<TensorView> outputs(variables.size());
    std::vector<tensorflow::Tensor> copies(variables.size());
    for (size_t i = 0; i < variables.size(); ++i) {
      const tensorflow::Tensor& tensor = *variables[i]->tensor();
      outputs[i] = inputs[i];
      if (tensor.RefCountIsOne() && !variables[i]->copy_on_read_mode.load()) continue;
      OP_REQUIRES_OK(context, context->allocate_temp(tensor.dtype(), tensor.shape(), &copies[i]));
      outputs[i].data = copies[i].data();
    }
    OP_REQUIRES_OK(context, Run(context, inputs, outputs));
    for (size_t i = 0; i < variables.size(); ++i) {
      if (outputs[i].data != inputs[i].data) *variables[i]->tensor() = std::move(copies[i]);
    }
  }

 private:
  // In the order of addresses, as everyone locks who locks several (resource_var.h).
  static std::vector<tensorflow::mutex_lock> Lock(
      const std::vector<tensorflow::core::RefCountPtr<tensorflow::Var>>& variables) {
    std::set<tensorflow::mutex*> mutexes;
    for (const auto& variable : variables) mutexes.insert(variable->mu());
    std::vector<tensorflow::mutex_lock> locks;
    locks.reserve(mutexes.size());
    for (tensorflow::mutex* mutex : mutexes) locks.emplace_back(*mutex);
    return locks;
  }
};

#define FASTCONV_REGISTER_KERNEL(name, kernel) \
  REGISTER_KERNEL_BUILDER(Name("Fastconv>" name).Device(tensorflow::DEVICE_CPU), kernel)
#define FASTCONV_REGISTER_CPU_KERNEL(name) FASTCONV_REGISTER_KERNEL(name, CpuKernel)

FASTCONV_REGISTER_CPU_KERNEL("FusedConv2D");
FASTCONV_REGISTER_CPU_KERNEL("FusedConv2DBackpropInput");
FASTCONV_REGISTER_CPU_KERNEL("FusedConv2DBackpropFilter");
FASTCONV_REGISTER_CPU_KERNEL("Conv2DBatchStatistics");
FASTCONV_REGISTER_CPU_KERNEL("FusedBatchNorm");
FASTCONV_REGISTER_CPU_KERNEL("FusedBatchNormGradReduce");
FASTCONV_REGISTER_CPU_KERNEL("FusedBatchNormGradApply");
FASTCONV_REGISTER_CPU_KERNEL("FusedEpilogue");
FASTCONV_REGISTER_CPU_KERNEL("FusedEpilogueGrad");
FASTCONV_REGISTER_CPU_KERNEL("MaxPool");
FASTCONV_REGISTER_CPU_KERNEL("MaxPoolGrad");
FASTCONV_REGISTER_CPU_KERNEL("Dropout");
FASTCONV_REGISTER_CPU_KERNEL("FusedDense");
FASTCONV_REGISTER_CPU_KERNEL("FusedDenseBackpropInput");
FASTCONV_REGISTER_CPU_KERNEL("FusedDenseBackpropKernel");
FASTCONV_REGISTER_KERNEL("UpdateWeight", CpuVariableKernel);

#undef FASTCONV_REGISTER_CPU_KERNEL
#undef FASTCONV_REGISTER_KERNEL

}  // namespace
}  // namespace fastconv
