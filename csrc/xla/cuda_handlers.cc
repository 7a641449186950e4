// The CUDA handler of the custom calls that compile.cc emits, in builds with CUDA. All buffers lie
// in the GPU's memory. XLA may record what the handler starts in a CUDA graph, and start that later
// instead of calling the handler: nothing here may belong to one call alone. So scratch memory is a
// result of the custom call, not of ffi::ScratchAllocator, which frees it when the handler returns.
#include <string>

#include "core/cuda/stream.h"
#include "core/ops/op.h"
#include "core/ops/tensor_checks.h"
#include "core/status.h"
#include "tensorflow/core/platform/tensor_float_32_utils.h"
#include "xla/call.h"
#include "xla/ffi/api/ffi.h"
#include "xla/target.h"

namespace fastconv {
namespace {

Status RunOp(const ffi::RemainingArgs& args, const ffi::RemainingRets& rets,
             const ffi::Dictionary& attrs, cuda::Stream stream) {
  Call call;
  FASTCONV_RETURN_IF_ERROR(MakeCall(args, rets, attrs, &call));
  size_t bytes = 0;
  FASTCONV_RETURN_IF_ERROR(call.op->StreamWorkspaceBytes(SpecsOf(call.inputs), &bytes));
  if (call.workspace_bytes < bytes) {
    return Status(
        StatusCode::kInternal,
        "The program was compiled for another GPU: scratch memory of " + std::to_string(bytes) +
            " bytes is needed on this one. Received: " + std::to_string(call.workspace_bytes));
  }
  return call.op->RunOnStream(
      call.inputs, call.outputs,
      {stream, call.workspace, tensorflow::tensor_float_32_execution_enabled()});
}

ffi::Error Handle(ffi::RemainingArgs args, ffi::RemainingRets rets, ffi::Dictionary attrs,
                  cuda::Stream stream) {
  return ToFfiError(RunOp(args, rets, attrs, stream));
}
XLA_FFI_DEFINE_HANDLER(kHandler, Handle,
                       ffi::Ffi::Bind()
                           .RemainingArgs()
                           .RemainingRets()
                           .Attrs()
                           .Ctx<ffi::PlatformStream<cuda::Stream>>(),
                       {ffi::Traits::kCmdBufferCompatible});

[[maybe_unused]] const bool registered = [] {
  for (const OpDefinition& op : AllOps()) {
    if (!op.runs_on_stream) continue;
    ffi::Ffi::RegisterStaticHandler(ffi::GetXlaFfiApi(), XlaTarget(op.name), "CUDA", kHandler);
  }
  return true;
}();

}  // namespace
}  // namespace fastconv
