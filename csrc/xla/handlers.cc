// The host handlers of the custom calls that compile.cc emits: view, check, call. XLA has allocated
// the results.
#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "core/ops/op.h"
#include "core/status.h"
#include "core/thread_pool.h"
#include "tensorflow/core/framework/allocator.h"
#include "xla/call.h"
#include "xla/ffi/api/ffi.h"
#include "xla/target.h"

namespace fastconv {
namespace {

class FfiThreadPool final : public ThreadPool {
 public:
  explicit FfiThreadPool(ffi::ThreadPool pool)
      : pool_(pool), num_threads_(static_cast<int>(std::max<int64_t>(1, pool_.num_threads()))) {}

  int num_threads() const override { return num_threads_; }
  void Schedule(std::function<void()> task) override { pool_.Schedule(std::move(task)); }

 private:
  ffi::ThreadPool pool_;
  int num_threads_;
};

class HostScratch final : public ScratchAllocator {
 public:
  HostScratch() = default;
  HostScratch(const HostScratch&) = delete;
  HostScratch& operator=(const HostScratch&) = delete;
  ~HostScratch() override {
    for (void* block : blocks_) tensorflow::cpu_allocator()->DeallocateRaw(block);
  }

  void* Allocate(size_t bytes) override {
    void* block = tensorflow::cpu_allocator()->AllocateRaw(/*alignment=*/64, bytes);
    if (block != nullptr) blocks_.push_back(block);
    return block;
  }

 private:
  std::vector<void*> blocks_;
};

Status RunOp(const char* name, const ffi::RemainingArgs& args, const ffi::RemainingRets& rets,
             const ffi::Dictionary& attrs, const ffi::ThreadPool& threads) {
  Call call;
  FASTCONV_RETURN_IF_ERROR(MakeCall(name, args, rets, attrs, &call));
  FfiThreadPool pool(threads);
  HostScratch scratch;
  return call.op->Run(call.inputs, call.outputs, {&pool, &scratch});
}

#define FASTCONV_REGISTER_HANDLER(name)                                                            \
  ffi::Error Handle##name(ffi::RemainingArgs args, ffi::RemainingRets rets, ffi::Dictionary attrs, \
                          ffi::ThreadPool threads) {                                               \
    return ToFfiError(RunOp(#name, args, rets, attrs, threads));                                   \
  }                                                                                                \
  XLA_FFI_DEFINE_HANDLER(                                                                          \
      k##name##Handler, Handle##name,                                                              \
      ffi::Ffi::Bind().RemainingArgs().RemainingRets().Attrs().Ctx<ffi::ThreadPool>());            \
  XLA_FFI_REGISTER_HANDLER(ffi::GetXlaFfiApi(), XlaTarget(#name), "Host", k##name##Handler)

FASTCONV_REGISTER_HANDLER(FusedConv2D);
FASTCONV_REGISTER_HANDLER(FusedConv2DBackpropInput);
FASTCONV_REGISTER_HANDLER(FusedConv2DBackpropFilter);
FASTCONV_REGISTER_HANDLER(Conv2DBatchStatistics);
FASTCONV_REGISTER_HANDLER(FusedBatchNorm);
FASTCONV_REGISTER_HANDLER(FusedBatchNormGradReduce);
FASTCONV_REGISTER_HANDLER(FusedBatchNormGradApply);
FASTCONV_REGISTER_HANDLER(FusedEpilogue);
FASTCONV_REGISTER_HANDLER(FusedEpilogueGrad);
FASTCONV_REGISTER_HANDLER(MaxPool);
FASTCONV_REGISTER_HANDLER(MaxPoolGrad);
FASTCONV_REGISTER_HANDLER(Dropout);
FASTCONV_REGISTER_HANDLER(FusedDense);
FASTCONV_REGISTER_HANDLER(FusedDenseBackpropInput);
FASTCONV_REGISTER_HANDLER(FusedDenseBackpropKernel);
FASTCONV_REGISTER_HANDLER(UpdateWeight);

#undef FASTCONV_REGISTER_HANDLER

}  // namespace
}  // namespace fastconv
