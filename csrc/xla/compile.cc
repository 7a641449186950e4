// The one XLA lowering of all ops: a custom call to the handler of the platform (handlers.cc,
// cuda_handlers.cc).
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/ops/op.h"
#include "tensorflow/compiler/tf2xla/type_util.h"
#include "tensorflow/compiler/tf2xla/xla_op_kernel.h"
#include "tensorflow/compiler/tf2xla/xla_op_registry.h"
#include "tensorflow/convert.h"
#include "tensorflow/gpu.h"
#include "xla/hlo/builder/xla_builder.h"
#include "xla/shape_util.h"
#include "xla/target.h"

namespace fastconv {
namespace {

// An MLIR attribute. Strings are names of enumerators, which Op::Init has checked, so that none
// needs escaping; floats are written as their bits, so that none is rounded.
Status ToMlir(const AttrReader& attrs, const AttrSpec& spec, std::string* text) {
  switch (spec.kind) {
    case AttrKind::kInts: {
      std::vector<int64_t> value;
      FASTCONV_RETURN_IF_ERROR(attrs.GetInts(spec.name, &value));
      *text = absl::StrCat("array<i64", value.empty() ? "" : ": ", absl::StrJoin(value, ", "), ">");
      return Status();
    }
    case AttrKind::kFloat: {
      float value;
      FASTCONV_RETURN_IF_ERROR(attrs.GetFloat(spec.name, &value));
      uint32_t bits;
      std::memcpy(&bits, &value, sizeof(bits));
      *text = absl::StrCat("0x", absl::Hex(bits, absl::kZeroPad8), " : f32");
      return Status();
    }
    case AttrKind::kString: {
      std::string value;
      FASTCONV_RETURN_IF_ERROR(attrs.GetString(spec.name, &value));
      *text = absl::StrCat("\"", value, "\"");
      return Status();
    }
  }
  return Status(StatusCode::kInternal, "Unknown kind of attribute");
}

Status ToMlirDictionary(const AttrReader& attrs, const OpDefinition& op, std::string* dictionary) {
  std::vector<std::string> entries = {absl::StrCat(kOpAttr, " = \"", op.name, "\"")};
  for (const AttrSpec& spec : op.attrs) {
    std::string value;
    FASTCONV_RETURN_IF_ERROR(ToMlir(attrs, spec, &value));
    entries.push_back(absl::StrCat(spec.name, " = ", value));
  }
  *dictionary = absl::StrCat("{", absl::StrJoin(entries, ", "), "}");
  return Status();
}

class CustomCallKernel final : public tensorflow::XlaOpKernel {
 public:
  explicit CustomCallKernel(tensorflow::OpKernelConstruction* construction)
      : XlaOpKernel(construction) {
    const OpDefinition* definition;
    OP_REQUIRES_OK(construction, CreateOp(*this, *construction, &definition, &op_));
    target_ = XlaTarget(definition->name);
    if (definition->in_place_in_xla) in_place_input_ = definition->in_place_input;
    OP_REQUIRES_OK(construction, ToAbslStatus(ToMlirDictionary(TensorFlowAttrReader(construction),
                                                               *definition, &attributes_)));
    on_gpu_ = construction->device_type() == tensorflow::DeviceType(tensorflow::DEVICE_GPU_XLA_JIT);
  }

  void Compile(tensorflow::XlaOpKernelContext* context) override {
    std::vector<TensorSpec> inputs(context->num_inputs());
    std::vector<xla::XlaOp> operands(inputs.size());
    // Kernels read and write row-major memory; XLA transposes where it has chosen otherwise.
    std::vector<xla::Shape> operand_shapes(inputs.size());
    int64_t num_variables = 0;  // the first inputs; results are their new values
    for (size_t i = 0; i < inputs.size(); ++i) {
      tensorflow::DataType type = context->input_type(i);
      if (type == tensorflow::DT_RESOURCE) {
        tensorflow::TensorShape variable_shape;
        OP_REQUIRES_OK(context, context->GetVariableTypeAndShape(i, &type, &variable_shape));
        OP_REQUIRES_OK(context, context->ReadVariableInput(i, type, nullptr, &operands[i]));
        ++num_variables;
      } else {
        operands[i] = context->Input(i);
      }
      const absl::StatusOr<xla::Shape> shape = context->builder()->GetShape(operands[i]);
      OP_REQUIRES_OK(context, shape.status());
      OP_REQUIRES(
          context, shape->is_static(),
          absl::UnimplementedError(absl::StrCat("XLA must know the sizes of ", type_string_view(),
                                                "'s inputs. Received: ", shape->ToString())));
      OP_REQUIRES_OK(context, FromTensorFlow(type, &inputs[i].dtype));
      inputs[i].dims.assign(shape->dimensions().begin(), shape->dimensions().end());
      operand_shapes[i] =
          xla::ShapeUtil::MakeShapeWithDescendingLayout(shape->element_type(), shape->dimensions());
    }
    std::vector<TensorSpec> outputs;
    OP_REQUIRES_OK(context, InferOutputs(*op_, inputs, *this, &outputs));
    std::vector<xla::Shape> output_shapes;
    for (size_t i = 0; i < outputs.size(); ++i) {
      xla::PrimitiveType type;
      OP_REQUIRES_OK(context,
                     tensorflow::DataTypeToPrimitiveType(ToTensorFlow(outputs[i].dtype), &type));
      output_shapes.push_back(xla::ShapeUtil::MakeShapeWithDescendingLayout(type, outputs[i].dims));
    }
    // XLA plans the memory for one more result, which nobody reads, as for any: it stays where a
    // CUDA graph has recorded it. What the handler needs on its GPU is known of the current one,
    // for which XLA compiles.
    size_t workspace_bytes = 0;
    if (on_gpu_) {
      OP_REQUIRES_OK(context, ToAbslStatus(op_->StreamWorkspaceBytes(inputs, &workspace_bytes)));
    }
    if (workspace_bytes > 0) {
      output_shapes.push_back(
          xla::ShapeUtil::MakeShape(xla::U8, {static_cast<int64_t>(workspace_bytes)}));
    }
    const bool is_tuple = output_shapes.size() > 1;
    // Results that take an operand's memory.
    std::vector<Alias> aliases;
    const auto add_alias = [&aliases, is_tuple](int64_t output, int64_t input) {
      aliases.push_back({is_tuple ? xla::ShapeIndex{output} : xla::ShapeIndex{}, {input, {}}});
    };
    for (int64_t i = 0; i < num_variables; ++i) add_alias(i, i);
    if (in_place_input_ >= 0) add_alias(0, in_place_input_);
    const xla::XlaOp call = xla::CustomCallWithLayout(
        context->builder(), target_, operands,
        is_tuple ? xla::ShapeUtil::MakeTupleShape(output_shapes) : output_shapes[0], operand_shapes,
        attributes_, /*has_side_effect=*/false, aliases,
        /*literal=*/nullptr, xla::CustomCallSchedule::SCHEDULE_NONE,
        xla::CustomCallApiVersion::API_VERSION_TYPED_FFI);
    for (size_t i = 0; i < outputs.size(); ++i) {
      const xla::XlaOp result = is_tuple ? xla::GetTupleElement(call, i) : call;
      if (num_variables == 0) {
        context->SetOutput(i, result);
      } else {
        OP_REQUIRES_OK(context, context->AssignVariable(i, ToTensorFlow(outputs[i].dtype), result));
      }
    }
  }

 private:
  // Index of a result, and number of an operand with an index into that.
  using Alias = std::pair<xla::ShapeIndex, std::pair<int64_t, xla::ShapeIndex>>;

  std::unique_ptr<Op> op_;
  std::string target_;
  std::string attributes_;
  bool on_gpu_ = false;
  int in_place_input_ = -1;  // negative: none
};

#define FASTCONV_REGISTER_XLA_KERNEL(name) \
  REGISTER_XLA_OP(Name("Fastconv>" name).Device(tensorflow::DEVICE_CPU_XLA_JIT), CustomCallKernel)

FASTCONV_REGISTER_XLA_KERNEL("FusedConv2D");
FASTCONV_REGISTER_XLA_KERNEL("FusedConv2DBackpropInput");
FASTCONV_REGISTER_XLA_KERNEL("FusedConv2DBackpropFilter");
FASTCONV_REGISTER_XLA_KERNEL("Conv2DBatchStatistics");
FASTCONV_REGISTER_XLA_KERNEL("FusedBatchNorm");
FASTCONV_REGISTER_XLA_KERNEL("FusedBatchNormGradReduce");
FASTCONV_REGISTER_XLA_KERNEL("FusedBatchNormGradApply");
FASTCONV_REGISTER_XLA_KERNEL("FusedEpilogue");
FASTCONV_REGISTER_XLA_KERNEL("FusedEpilogueGrad");
FASTCONV_REGISTER_XLA_KERNEL("MaxPool");
FASTCONV_REGISTER_XLA_KERNEL("MaxPoolGrad");
FASTCONV_REGISTER_XLA_KERNEL("Dropout");
FASTCONV_REGISTER_XLA_KERNEL("FusedDense");
FASTCONV_REGISTER_XLA_KERNEL("FusedDenseBackpropInput");
FASTCONV_REGISTER_XLA_KERNEL("FusedDenseBackpropKernel");
FASTCONV_REGISTER_XLA_KERNEL("UpdateWeight");

#undef FASTCONV_REGISTER_XLA_KERNEL

#ifdef FASTCONV_WITH_CUDA
[[maybe_unused]] const bool registered_on_gpu = [] {
  for (const std::string& name : GpuOps()) {
    tensorflow::XlaOpRegistrar(
        tensorflow::XlaOpRegistrationBuilder::Name(name)
            .Device(tensorflow::DEVICE_GPU_XLA_JIT)
            .TypeConstraint("T", kGpuTypes)
            .Build([](tensorflow::OpKernelConstruction* construction) -> tensorflow::OpKernel* {
              return new CustomCallKernel(construction);
            }));
  }
  return true;
}();
#endif

}  // namespace
}  // namespace fastconv
