#include "core/ops/attrs.h"

#include <cmath>
#include <string>

#include "core/ops/tensor_checks.h"

namespace fastconv {
namespace {

template <size_t kSize>
Status ReadInts(const AttrReader& attrs, const char* name, std::array<int64_t, kSize>* value) {
  std::vector<int64_t> values;
  FASTCONV_RETURN_IF_ERROR(attrs.GetInts(name, &values));
  if (values.size() != kSize) {
    return InvalidArgument(std::string("`") + name + "` must have " + std::to_string(kSize) +
                           " values. Received: " + ToString(values));
  }
  std::copy(values.begin(), values.end(), value->begin());
  return Status();
}

Status RequirePositive(const char* name, const std::array<int64_t, 2>& value) {
  if (value[0] >= 1 && value[1] >= 1) return Status();
  return InvalidArgument(std::string("`") + name +
                         "` must be at least 1. Received: " + ToString({value[0], value[1]}));
}

Status ReadPadding(const AttrReader& attrs, const char* name, bool allow_explicit,
                   Padding* padding) {
  std::string value;
  FASTCONV_RETURN_IF_ERROR(attrs.GetString(name, &value));
  if (value == "VALID") {
    *padding = Padding::kValid;
  } else if (value == "SAME") {
    *padding = Padding::kSame;
  } else if (value == "EXPLICIT" && allow_explicit) {
    *padding = Padding::kExplicit;
  } else {
    return InvalidArgument(std::string("`") + name + "` must be VALID" +
                           (allow_explicit ? ", SAME or EXPLICIT" : " or SAME") +
                           ". Received: " + value);
  }
  return Status();
}

WindowAxis MakeAxis(int64_t in, int64_t window, int64_t stride) {
  WindowAxis axis;
  axis.in = in;
  axis.window = window;
  axis.stride = stride;
  return axis;
}

}  // namespace

std::vector<AttrSpec> ConvAttrs::Specs() {
  return {{"strides", AttrKind::kInts},
          {"dilations", AttrKind::kInts},
          {"padding", AttrKind::kString},
          {"explicit_paddings", AttrKind::kInts}};
}

Status ConvAttrs::Read(const AttrReader& attrs) {
  FASTCONV_RETURN_IF_ERROR(ReadInts(attrs, "strides", &strides));
  FASTCONV_RETURN_IF_ERROR(RequirePositive("strides", strides));
  FASTCONV_RETURN_IF_ERROR(ReadInts(attrs, "dilations", &dilations));
  FASTCONV_RETURN_IF_ERROR(RequirePositive("dilations", dilations));
  FASTCONV_RETURN_IF_ERROR(ReadPadding(attrs, "padding", /*allow_explicit=*/true, &padding));
  if (padding == Padding::kExplicit) {
    return ReadInts(attrs, "explicit_paddings", &explicit_paddings);
  }
  std::vector<int64_t> none;
  FASTCONV_RETURN_IF_ERROR(attrs.GetInts("explicit_paddings", &none));
  if (!none.empty()) {
    return InvalidArgument(
        "`explicit_paddings` must be empty unless `padding` is EXPLICIT. Received: " +
        ToString(none));
  }
  return Status();
}

Status ConvAttrs::MakeProblem(const TensorSpec& x, const TensorSpec& filter,
                              Conv2DProblem* problem) const {
  std::vector<int64_t> x_dims, filter_dims;
  FASTCONV_RETURN_IF_ERROR(CheckFloating("x", x));
  FASTCONV_RETURN_IF_ERROR(CheckType("filter", filter, x.dtype));
  FASTCONV_RETURN_IF_ERROR(GetDims("x", x, 4, &x_dims));
  FASTCONV_RETURN_IF_ERROR(GetDims("filter", filter, 4, &filter_dims));
  problem->dtype = x.dtype;
  problem->batch = x_dims[0];
  problem->in_channels = x_dims[3];
  problem->out_channels = filter_dims[3];
  problem->groups = kUnknown;
  if (x_dims[3] == 0 || filter_dims[2] == 0 || filter_dims[3] == 0) {
    return InvalidArgument("x and filter must have channels. Received: x of shape " + ToString(x) +
                           ", filter of shape " + ToString(filter));
  }
  if (x_dims[3] != kUnknown && filter_dims[2] != kUnknown) {
    if (x_dims[3] % filter_dims[2] != 0) {
      return InvalidArgument(
          "The channels of x must be a multiple of the filter's input channels. Received: x of "
          "shape " +
          ToString(x) + ", filter of shape " + ToString(filter));
    }
    problem->groups = x_dims[3] / filter_dims[2];
    if (filter_dims[3] != kUnknown && filter_dims[3] % problem->groups != 0) {
      return InvalidArgument("The filter's output channels must be a multiple of the " +
                             std::to_string(problem->groups) + " groups. Received: x of shape " +
                             ToString(x) + ", filter of shape " + ToString(filter));
    }
  }

  problem->window.h = MakeAxis(x_dims[1], filter_dims[0], strides[0]);
  problem->window.h.dilation = dilations[0];
  problem->window.h.pad_before = explicit_paddings[0];
  problem->window.h.pad_after = explicit_paddings[1];
  problem->window.w = MakeAxis(x_dims[2], filter_dims[1], strides[1]);
  problem->window.w.dilation = dilations[1];
  problem->window.w.pad_before = explicit_paddings[2];
  problem->window.w.pad_after = explicit_paddings[3];
  FASTCONV_RETURN_IF_ERROR(ResolveAxis("height", padding, &problem->window.h));
  return ResolveAxis("width", padding, &problem->window.w);
}

std::vector<AttrSpec> PoolAttrs::Specs() {
  return {{"pool_size", AttrKind::kInts},
          {"pool_strides", AttrKind::kInts},
          {"pool_padding", AttrKind::kString},
          {"code_type", AttrKind::kString}};
}

Status PoolAttrs::Read(const AttrReader& attrs) {
  std::vector<int64_t> sizes, steps;
  FASTCONV_RETURN_IF_ERROR(attrs.GetInts("pool_size", &sizes));
  FASTCONV_RETURN_IF_ERROR(attrs.GetInts("pool_strides", &steps));
  enabled = !sizes.empty() || !steps.empty();
  if (enabled) {
    FASTCONV_RETURN_IF_ERROR(ReadInts(attrs, "pool_size", &size));
    FASTCONV_RETURN_IF_ERROR(RequirePositive("pool_size", size));
    FASTCONV_RETURN_IF_ERROR(ReadInts(attrs, "pool_strides", &strides));
    FASTCONV_RETURN_IF_ERROR(RequirePositive("pool_strides", strides));
  }
  FASTCONV_RETURN_IF_ERROR(ReadPadding(attrs, "pool_padding", /*allow_explicit=*/false, &padding));

  std::string type;
  FASTCONV_RETURN_IF_ERROR(attrs.GetString("code_type", &type));
  if (type == Name(DataType::kUint8)) {
    code_type = DataType::kUint8;
  } else if (type == Name(DataType::kInt32)) {
    code_type = DataType::kInt32;
  } else {
    return InvalidArgument("`code_type` must be uint8 or int32. Received: " + type);
  }
  // Divided, so that no product can overflow.
  if (enabled && code_type == DataType::kUint8 &&
      size[0] > MaxPoolSpec::kMaxUint8Positions / size[1]) {
    return InvalidArgument("`code_type` must be int32 for pooling windows of more than " +
                           std::to_string(MaxPoolSpec::kMaxUint8Positions) +
                           " positions. Received: uint8 with `pool_size` " + ToString(sizes));
  }
  return Status();
}

Status PoolAttrs::MakeSpec(int64_t height, int64_t width, MaxPoolSpec* spec) const {
  spec->enabled = enabled;
  spec->code_type = code_type;
  if (!enabled) return Status();
  spec->window.h = MakeAxis(height, size[0], strides[0]);
  spec->window.w = MakeAxis(width, size[1], strides[1]);
  FASTCONV_RETURN_IF_ERROR(ResolveAxis("pooled height", padding, &spec->window.h));
  return ResolveAxis("pooled width", padding, &spec->window.w);
}

std::vector<AttrSpec> ActivationAttrs::Specs() {
  return {{"activation", AttrKind::kString}, {"negative_slope", AttrKind::kFloat}};
}

Status ActivationAttrs::Read(const AttrReader& attrs) {
  std::string name;
  FASTCONV_RETURN_IF_ERROR(attrs.GetString("activation", &name));
  FASTCONV_RETURN_IF_ERROR(attrs.GetFloat("negative_slope", &negative_slope));
  if (!(negative_slope >= 0.0f) || std::isinf(negative_slope)) {
    return InvalidArgument("`negative_slope` must be finite and not negative. Received: " +
                           std::to_string(negative_slope));
  }
  if (name == "linear") {
    kind = Activation::kLinear;
  } else if (name == "relu") {
    kind = Activation::kRelu;
  } else if (name == "leaky_relu") {
    kind = Activation::kLeakyRelu;
  } else {
    return InvalidArgument("`activation` must be linear, relu or leaky_relu. Received: " + name);
  }
  if (kind != Activation::kLeakyRelu) negative_slope = 0.0f;
  return Status();
}

void ActivationAttrs::Set(Epilogue* epilogue) const {
  epilogue->activation = kind;
  epilogue->negative_slope = negative_slope;
}

std::vector<AttrSpec> BlockAttrs::Specs() {
  return Concat(Concat(ActivationAttrs::Specs(), {{"dropout", AttrKind::kString}}),
                PoolAttrs::Specs());
}

Status BlockAttrs::Read(const AttrReader& attrs) {
  FASTCONV_RETURN_IF_ERROR(activation.Read(attrs));
  std::string name;
  FASTCONV_RETURN_IF_ERROR(attrs.GetString("dropout", &name));
  if (name == "none") {
    dropout = DropoutKind::kNone;
  } else if (name == "elements") {
    dropout = DropoutKind::kElements;
  } else if (name == "channels") {
    dropout = DropoutKind::kChannels;
  } else {
    return InvalidArgument("`dropout` must be none, elements or channels. Received: " + name);
  }
  return pool.Read(attrs);
}

Status BlockAttrs::CheckDropout(const std::vector<TensorSpec>& inputs) const {
  const bool present = dropout != DropoutKind::kNone;
  FASTCONV_RETURN_IF_ERROR(CheckTensor(
      "dropout_rate", inputs[inputs.size() - 2],
      MakeSpec(DataType::kFloat64, present ? std::vector<int64_t>() : std::vector<int64_t>{0})));
  return CheckTensor("dropout_seed", inputs.back(), MakeSpec(DataType::kInt32, {present ? 2 : 0}));
}

Status BlockAttrs::ReadDropout(const std::vector<TensorView>& inputs, DropoutSpec* spec) const {
  spec->kind = dropout;
  if (dropout == DropoutKind::kNone) return Status();
  spec->rate = *static_cast<const double*>(inputs[inputs.size() - 2].data);
  const int32_t* seed = static_cast<const int32_t*>(inputs.back().data);
  spec->seed[0] = seed[0];
  spec->seed[1] = seed[1];
  if (spec->rate >= 0 && spec->rate <= 1) return Status();
  return InvalidArgument("`dropout_rate` must be at least 0 and at most 1. Received: " +
                         std::to_string(spec->rate));
}

cuda::DropoutInputs BlockAttrs::DropoutInputsOf(const std::vector<TensorView>& inputs) {
  return {static_cast<const double*>(inputs[inputs.size() - 2].data),
          static_cast<const int32_t*>(inputs.back().data)};
}

Status BlockAttrs::MakeEpilogue(int64_t height, int64_t width, Epilogue* epilogue) const {
  activation.Set(epilogue);
  return pool.MakeSpec(height, width, &epilogue->pool);
}

std::vector<AttrSpec> Concat(std::vector<AttrSpec> first, const std::vector<AttrSpec>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

}  // namespace fastconv
