// The CUDA handlers of the custom calls that compile.cc emits, in builds with CUDA. All buffers lie
// in the GPU's memory; XLA may record what a handler starts in a CUDA graph, and start that
// instead.
#include <optional>

#include "core/cuda/stream.h"
#include "core/ops/op.h"
#include "core/status.h"
#include "tensorflow/core/platform/tensor_float_32_utils.h"
#include "xla/call.h"
#include "xla/ffi/api/ffi.h"
#include "xla/target.h"

namespace fastconv {
namespace {

class DeviceScratch final : public ScratchAllocator {
 public:
  explicit DeviceScratch(ffi::ScratchAllocator* allocator) : allocator_(*allocator) {}

  void* Allocate(size_t bytes) override {
    return allocator_.Allocate(bytes, /*alignment=*/256).value_or(nullptr);
  }

 private:
  ffi::ScratchAllocator& allocator_;
};

Status RunOp(const char* name, const ffi::RemainingArgs& args, const ffi::RemainingRets& rets,
             const ffi::Dictionary& attrs, cuda::Stream stream, ffi::ScratchAllocator* allocator) {
  Call call;
  FASTCONV_RETURN_IF_ERROR(MakeCall(name, args, rets, attrs, &call));
  DeviceScratch scratch(allocator);
  return call.op->RunOnStream(call.inputs, call.outputs,
                              {stream, &scratch, tensorflow::tensor_float_32_execution_enabled()});
}

#define FASTCONV_REGISTER_HANDLER(name)                                                            \
  ffi::Error Handle##name(ffi::RemainingArgs args, ffi::RemainingRets rets, ffi::Dictionary attrs, \
                          cuda::Stream stream, ffi::ScratchAllocator scratch) {                    \
    return ToFfiError(RunOp(#name, args, rets, attrs, stream, &scratch));                          \
  }                                                                                                \
  XLA_FFI_DEFINE_HANDLER(k##name##Handler, Handle##name,                                           \
                         ffi::Ffi::Bind()                                                          \
                             .RemainingArgs()                                                      \
                             .RemainingRets()                                                      \
                             .Attrs()                                                              \
                             .Ctx<ffi::PlatformStream<cuda::Stream>>()                             \
                             .Ctx<ffi::ScratchAllocator>(),                                        \
                         {ffi::Traits::kCmdBufferCompatible});                                     \
  XLA_FFI_REGISTER_HANDLER(ffi::GetXlaFfiApi(), XlaTarget(#name), "CUDA", k##name##Handler)

FASTCONV_REGISTER_HANDLER(FusedConv2D);
FASTCONV_REGISTER_HANDLER(FusedConv2DBackpropInput);
FASTCONV_REGISTER_HANDLER(FusedConv2DBackpropFilter);
FASTCONV_REGISTER_HANDLER(Conv2DBatchStatistics);
FASTCONV_REGISTER_HANDLER(FusedBatchNorm);
FASTCONV_REGISTER_HANDLER(FusedBatchNormGradReduce);
FASTCONV_REGISTER_HANDLER(FusedBatchNormGradApply);
FASTCONV_REGISTER_HANDLER(MaxPool);
FASTCONV_REGISTER_HANDLER(MaxPoolGrad);
FASTCONV_REGISTER_HANDLER(Dropout);

#undef FASTCONV_REGISTER_HANDLER

}  // namespace
}  // namespace fastconv
