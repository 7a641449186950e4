// The host handlers of the custom calls that compile.cc emits: view, check, call. XLA has allocated
// the results.
#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/ops/op.h"
#include "core/ops/tensor_checks.h"
#include "core/status.h"
#include "core/thread_pool.h"
#include "tensorflow/core/framework/allocator.h"
#include "xla/ffi/api/ffi.h"
#include "xla/target.h"

// Of xla/ffi/ffi_api.h, which needs MLIR headers that TensorFlow's package lacks.
namespace xla::ffi {
const XLA_FFI_Api* GetXlaFfiApi();
}  // namespace xla::ffi

namespace fastconv {
namespace {

namespace ffi = ::xla::ffi;

ffi::Error ToFfiError(const Status& status) {
  switch (status.code()) {
    case StatusCode::kOk:
      return ffi::Error::Success();
    case StatusCode::kInvalidArgument:
      return ffi::Error(ffi::ErrorCode::kInvalidArgument, status.message());
    case StatusCode::kUnimplemented:
      return ffi::Error(ffi::ErrorCode::kUnimplemented, status.message());
    case StatusCode::kResourceExhausted:
      return ffi::Error(ffi::ErrorCode::kResourceExhausted, status.message());
    case StatusCode::kInternal:
      return ffi::Error(ffi::ErrorCode::kInternal, status.message());
  }
  return ffi::Error(ffi::ErrorCode::kInternal, status.message());
}

Status FromFfi(ffi::DataType type, DataType* dtype) {
  switch (type) {
    case ffi::DataType::F32:
      *dtype = DataType::kFloat32;
      return Status();
    case ffi::DataType::BF16:
      *dtype = DataType::kBFloat16;
      return Status();
    case ffi::DataType::F16:
      *dtype = DataType::kFloat16;
      return Status();
    case ffi::DataType::F64:
      *dtype = DataType::kFloat64;
      return Status();
    case ffi::DataType::U8:
      *dtype = DataType::kUint8;
      return Status();
    case ffi::DataType::S32:
      *dtype = DataType::kInt32;
      return Status();
    default:
      return InvalidArgument("No kernel takes buffers of this type. Received: XLA type " +
                             std::to_string(static_cast<int>(type)));
  }
}

class DictionaryAttrReader final : public AttrReader {
 public:
  explicit DictionaryAttrReader(const ffi::Dictionary& attrs) : attrs_(attrs) {}

  Status GetInts(const char* name, std::vector<int64_t>* value) const override {
    const auto span = attrs_.get<ffi::Span<const int64_t>>(name);
    if (!span) return Missing(name, span.error());
    value->assign(span->begin(), span->end());
    return Status();
  }
  Status GetFloat(const char* name, float* value) const override {
    const auto number = attrs_.get<float>(name);
    if (!number) return Missing(name, number.error());
    *value = *number;
    return Status();
  }
  Status GetString(const char* name, std::string* value) const override {
    const auto text = attrs_.get<std::string_view>(name);
    if (!text) return Missing(name, text.error());
    *value = std::string(*text);
    return Status();
  }

 private:
  static Status Missing(const char* name, const ffi::Error& error) {
    return InvalidArgument(std::string("Attribute ") + name + ": " + error.message());
  }

  const ffi::Dictionary& attrs_;
};

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

Status ViewOf(const ffi::AnyBuffer& buffer, TensorView* view) {
  const auto dims = buffer.dimensions();
  view->data = buffer.untyped_data();
  view->spec.dims.assign(dims.begin(), dims.end());
  return FromFfi(buffer.element_type(), &view->spec.dtype);
}

Status RunOp(const char* name, const ffi::RemainingArgs& args, const ffi::RemainingRets& rets,
             const ffi::Dictionary& attrs, const ffi::ThreadPool& threads) {
  const std::unique_ptr<Op> op = FindOp(name)->create();
  FASTCONV_RETURN_IF_ERROR(op->Init(DictionaryAttrReader(attrs)));
  std::vector<TensorView> inputs(args.size()), outputs(rets.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    FASTCONV_RETURN_IF_ERROR(ViewOf(*args.get<ffi::AnyBuffer>(i), &inputs[i]));
  }
  std::vector<TensorSpec> expected;
  FASTCONV_RETURN_IF_ERROR(op->InferOutputs(SpecsOf(inputs), &expected));
  for (size_t i = 0; i < outputs.size(); ++i) {
    FASTCONV_RETURN_IF_ERROR(ViewOf(**rets.get<ffi::AnyBuffer>(i), &outputs[i]));
    FASTCONV_RETURN_IF_ERROR(CheckTensor("result", outputs[i].spec, expected[i]));
  }
  FfiThreadPool pool(threads);
  HostScratch scratch;
  return op->Run(inputs, outputs, {&pool, &scratch});
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
