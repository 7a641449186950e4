// The host handler of the custom calls that compile.cc emits: view, check, call. XLA has allocated
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

Status RunOp(const ffi::RemainingArgs& args, const ffi::RemainingRets& rets,
             const ffi::Dictionary& attrs, const ffi::ThreadPool& threads) {
  Call call;
  FASTCONV_RETURN_IF_ERROR(MakeCall(args, rets, attrs, &call));
  FfiThreadPool pool(threads);
  HostScratch scratch;
  return call.op->Run(call.inputs, call.outputs, {&pool, &scratch});
}

ffi::Error Handle(ffi::RemainingArgs args, ffi::RemainingRets rets, ffi::Dictionary attrs,
                  ffi::ThreadPool threads) {
  return ToFfiError(RunOp(args, rets, attrs, threads));
}
XLA_FFI_DEFINE_HANDLER(
    kHandler, Handle,
    ffi::Ffi::Bind().RemainingArgs().RemainingRets().Attrs().Ctx<ffi::ThreadPool>());

[[maybe_unused]] const bool registered = [] {
  for (const OpDefinition& op : AllOps()) {
    ffi::Ffi::RegisterStaticHandler(ffi::GetXlaFfiApi(), XlaTarget(op.name), "Host", kHandler);
  }
  return true;
}();

}  // namespace
}  // namespace fastconv
