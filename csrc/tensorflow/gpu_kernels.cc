// The GPU kernel of all ops that run on a stream; in builds with CUDA.
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/cuda/stream.h"
#include "core/ops/op.h"
#include "core/ops/tensor_checks.h"
#include "core/ops/workspace.h"
#include "tensorflow/convert.h"
#include "tensorflow/core/framework/device_base.h"
#include "tensorflow/core/framework/kernel_def_builder.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/platform/tensor_float_32_utils.h"
#include "tensorflow/gpu.h"
#include "tensorflow/output_kernel.h"
#include "xla/stream_executor/stream.h"

namespace fastconv {
namespace {

class GpuKernel final : public OutputKernel {
 public:
  using OutputKernel::OutputKernel;

 protected:
  absl::Status Run(tensorflow::OpKernelContext* context, const std::vector<TensorView>& inputs,
                   const std::vector<TensorView>& outputs) const override {
    void* stream = context->op_device_context()->stream()->platform_specific_handle().stream;
    size_t bytes = 0;
    TF_RETURN_IF_ERROR(ToAbslStatus(op().StreamWorkspaceBytes(SpecsOf(inputs), &bytes)));
    TensorScratch scratch(context);
    void* workspace = nullptr;
    TF_RETURN_IF_ERROR(ToAbslStatus(AllocateWorkspace(&scratch, bytes, &workspace)));
    return ToAbslStatus(op().RunOnStream(inputs, outputs,
                                         {static_cast<cuda::Stream>(stream), workspace,
                                          tensorflow::tensor_float_32_execution_enabled()}));
  }
};

[[maybe_unused]] const bool registered = [] {
  for (const std::string& name : GpuOps()) {
    const tensorflow::KernelDef* definition = tensorflow::KernelDefBuilder(name.c_str())
                                                  .Device(tensorflow::DEVICE_GPU)
                                                  .TypeConstraint("T", kGpuTypes)
                                                  .Build();
    tensorflow::kernel_factory::OpKernelRegistrar(
        definition, "GpuKernel",
        [](tensorflow::OpKernelConstruction* construction) -> tensorflow::OpKernel* {
          return new GpuKernel(construction);
        });
  }
  return true;
}();

}  // namespace

std::vector<std::string> GpuOps() {
  const char* value = std::getenv("FASTCONV_GPU");
  std::vector<std::string> names;
  if (value == nullptr || std::string(value) != "on") return names;
  for (const OpDefinition& op : AllOps()) {
    if (op.runs_on_stream) names.push_back(std::string(kTensorFlowPrefix) + op.name);
  }
  return names;
}

}  // namespace fastconv
