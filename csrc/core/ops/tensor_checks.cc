#include "core/ops/tensor_checks.h"

#include "core/shape.h"

namespace fastconv {
namespace {

bool Compatible(const TensorSpec& spec, const std::vector<int64_t>& dims) {
  if (!spec.known_rank) return true;
  if (spec.dims.size() != dims.size()) return false;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (spec.dims[i] != dims[i] && spec.dims[i] != kUnknown && dims[i] != kUnknown) return false;
  }
  return true;
}

}  // namespace

std::string ToString(const std::vector<int64_t>& dims) {
  std::string text = "[";
  for (size_t i = 0; i < dims.size(); ++i) {
    if (i > 0) text += ", ";
    text += dims[i] == kUnknown ? "?" : std::to_string(dims[i]);
  }
  return text + "]";
}

std::string ToString(const TensorSpec& spec) {
  return spec.known_rank ? ToString(spec.dims) : "<unknown>";
}

TensorSpec MakeSpec(DataType dtype, std::vector<int64_t> dims) {
  TensorSpec spec;
  spec.dtype = dtype;
  spec.dims = std::move(dims);
  return spec;
}

std::vector<TensorSpec> SpecsOf(const std::vector<TensorView>& views) {
  std::vector<TensorSpec> specs;
  specs.reserve(views.size());
  for (const TensorView& view : views) specs.push_back(view.spec);
  return specs;
}

Status GetDims(const char* name, const TensorSpec& spec, size_t rank, std::vector<int64_t>* dims) {
  if (spec.known_rank && spec.dims.size() != rank) {
    return InvalidArgument(std::string(name) + " must have rank " + std::to_string(rank) +
                           ". Received: shape " + ToString(spec));
  }
  *dims = spec.known_rank ? spec.dims : std::vector<int64_t>(rank, kUnknown);
  return Status();
}

Status CheckType(const char* name, const TensorSpec& spec, DataType dtype) {
  if (spec.dtype == dtype) return Status();
  return InvalidArgument(std::string(name) + " must be of type " + Name(dtype) +
                         ". Received: " + Name(spec.dtype));
}

Status CheckFloating(const char* name, const TensorSpec& spec) {
  switch (spec.dtype) {
    case DataType::kFloat32:
    case DataType::kBFloat16:
    case DataType::kFloat16:
    case DataType::kFloat64:
      return Status();
    case DataType::kUint8:
    case DataType::kInt32:
      break;
  }
  return InvalidArgument(
      std::string(name) +
      " must be of type float32, bfloat16, float16 or float64. Received: " + Name(spec.dtype));
}

Status CheckTensor(const char* name, const TensorSpec& spec, const TensorSpec& expected) {
  FASTCONV_RETURN_IF_ERROR(CheckType(name, spec, expected.dtype));
  if (Compatible(spec, expected.dims)) return Status();
  return InvalidArgument(std::string(name) + " must have shape " + ToString(expected) +
                         ". Received: shape " + ToString(spec));
}

Status CheckOptional(const char* name, const TensorSpec& spec, const TensorSpec& expected) {
  return IsAbsent(spec) ? CheckType(name, spec, expected.dtype) : CheckTensor(name, spec, expected);
}

bool IsAbsent(const TensorSpec& spec) {
  return spec.known_rank && spec.dims == std::vector<int64_t>{0};
}

TensorSpec BlockOutput(DataType dtype, const std::vector<int64_t>& map, const MaxPoolSpec& pool) {
  if (!pool.enabled) return MakeSpec(dtype, map);
  return MakeSpec(dtype, {map[0], pool.window.h.out, pool.window.w.out, map[3]});
}

TensorSpec CodeOutput(const std::vector<int64_t>& map, const MaxPoolSpec& pool) {
  return pool.enabled ? BlockOutput(pool.code_type, map, pool) : MakeSpec(pool.code_type, {0});
}

}  // namespace fastconv
