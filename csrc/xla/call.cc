#include "xla/call.h"

#include <string>
#include <string_view>

#include "core/ops/tensor_checks.h"
#include "xla/target.h"

namespace fastconv {
namespace {

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

Status ViewOf(const ffi::AnyBuffer& buffer, TensorView* view) {
  const auto dims = buffer.dimensions();
  view->data = buffer.untyped_data();
  view->spec.dims.assign(dims.begin(), dims.end());
  return FromFfi(buffer.element_type(), &view->spec.dtype);
}

}  // namespace

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

Status MakeCall(const ffi::RemainingArgs& args, const ffi::RemainingRets& rets,
                const ffi::Dictionary& attrs, Call* call) {
  const DictionaryAttrReader reader(attrs);
  std::string name;
  FASTCONV_RETURN_IF_ERROR(reader.GetString(kOpAttr, &name));
  const OpDefinition* definition = FindOp(name);
  if (definition == nullptr) return InvalidArgument("No such op. Received: " + name);
  call->op = definition->create();
  FASTCONV_RETURN_IF_ERROR(call->op->Init(reader));
  call->inputs.resize(args.size());
  for (size_t i = 0; i < args.size(); ++i) {
    FASTCONV_RETURN_IF_ERROR(ViewOf(*args.get<ffi::AnyBuffer>(i), &call->inputs[i]));
  }
  std::vector<TensorSpec> expected;
  FASTCONV_RETURN_IF_ERROR(call->op->InferOutputs(SpecsOf(call->inputs), &expected));
  if (rets.size() != expected.size() && rets.size() != expected.size() + 1) {
    return InvalidArgument(name + " has " + std::to_string(expected.size()) +
                           " results. Received: " + std::to_string(rets.size()));
  }
  call->outputs.resize(expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    FASTCONV_RETURN_IF_ERROR(ViewOf(**rets.get<ffi::AnyBuffer>(i), &call->outputs[i]));
    FASTCONV_RETURN_IF_ERROR(CheckTensor("result", call->outputs[i].spec, expected[i]));
  }
  if (rets.size() > expected.size()) {
    const ffi::AnyBuffer workspace = **rets.get<ffi::AnyBuffer>(expected.size());
    call->workspace = workspace.untyped_data();
    call->workspace_bytes = workspace.size_bytes();
  }
  return Status();
}

}  // namespace fastconv
