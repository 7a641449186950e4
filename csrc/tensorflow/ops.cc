// Signatures of the TensorFlow ops; csrc/README.md has them as a table.
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/ops/op.h"
#include "core/shape.h"
#include "tensorflow/convert.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace fastconv {
namespace {

using ::tensorflow::shape_inference::DimensionHandle;
using ::tensorflow::shape_inference::InferenceContext;
using ::tensorflow::shape_inference::ShapeHandle;

static_assert(InferenceContext::kUnknownDim == kUnknown, "unknown sizes pass as they are");

// A shape function sees attributes and shapes only; the op's definition says which type or which
// attribute is the type of which input.
absl::Status GetInputs(const std::string& name, InferenceContext* context,
                       std::vector<TensorSpec>* inputs) {
  const tensorflow::OpDef* definition;
  TF_RETURN_IF_ERROR(tensorflow::OpRegistry::Global()->LookUpOpDef(
      absl::StrCat(kTensorFlowPrefix, name), &definition));
  inputs->resize(context->num_inputs());
  for (int i = 0; i < context->num_inputs(); ++i) {
    TensorSpec& spec = (*inputs)[i];
    const tensorflow::OpDef::ArgDef& argument = definition->input_arg(i);
    tensorflow::DataType type = argument.type();
    if (!argument.type_attr().empty()) {
      TF_RETURN_IF_ERROR(context->GetAttr(argument.type_attr(), &type));
    }
    TF_RETURN_IF_ERROR(FromTensorFlow(type, &spec.dtype));
    const ShapeHandle shape = context->input(i);
    spec.known_rank = context->RankKnown(shape);
    for (int d = 0; spec.known_rank && d < context->Rank(shape); ++d) {
      spec.dims.push_back(context->Value(context->Dim(shape, d)));
    }
  }
  return absl::OkStatus();
}

tensorflow::OpShapeInferenceFn ShapeFunction(const char* name) {
  return [name](InferenceContext* context) -> absl::Status {
    const std::unique_ptr<Op> op = FindOp(name)->create();
    TF_RETURN_IF_ERROR(ToAbslStatus(op->Init(TensorFlowAttrReader(context))));
    std::vector<TensorSpec> inputs, outputs;
    TF_RETURN_IF_ERROR(GetInputs(name, context, &inputs));
    TF_RETURN_IF_ERROR(ToAbslStatus(op->InferOutputs(inputs, &outputs)));
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (!outputs[i].known_rank) {
        context->set_output(i, context->UnknownShape());
        continue;
      }
      std::vector<DimensionHandle> dims;
      for (int64_t size : outputs[i].dims) dims.push_back(context->MakeDim(size));
      context->set_output(i, context->MakeShape(dims));
    }
    return absl::OkStatus();
  };
}

constexpr char kTypeAttr[] = "T: {float, bfloat16, half, double}";
constexpr char kSumTypeAttr[] = "U: {float, double} = DT_FLOAT";

// Groups of attributes, as core/ops/attrs.h has them.
#define FASTCONV_CONV_ATTRS()                                   \
  Attr("strides: list(int) = [1, 1]")                           \
      .Attr("dilations: list(int) = [1, 1]")                    \
      .Attr("padding: {'VALID', 'SAME', 'EXPLICIT'} = 'VALID'") \
      .Attr("explicit_paddings: list(int) = []")

#define FASTCONV_POOL_ATTRS()                            \
  Attr("pool_size: list(int) = []")                      \
      .Attr("pool_strides: list(int) = []")              \
      .Attr("pool_padding: {'VALID', 'SAME'} = 'VALID'") \
      .Attr("code_type: {uint8, int32} = DT_UINT8")

#define FASTCONV_ACTIVATION_ATTRS()                               \
  Attr("activation: {'linear', 'relu', 'leaky_relu'} = 'linear'") \
      .Attr("negative_slope: float = 0.0")

#define FASTCONV_BLOCK_ATTRS()                                    \
  FASTCONV_ACTIVATION_ATTRS()                                     \
      .Attr("dropout: {'none', 'elements', 'channels'} = 'none'") \
      .FASTCONV_POOL_ATTRS()

// The last inputs of an op with a block.
#define FASTCONV_DROPOUT_INPUTS() Input("dropout_rate: double").Input("dropout_seed: int32")

REGISTER_OP("Fastconv>FusedConv2D")
    .Attr(kTypeAttr)
    .FASTCONV_CONV_ATTRS()
    .FASTCONV_BLOCK_ATTRS()
    .Input("x: T")
    .Input("filter: T")
    .Input("bias: T")
    .FASTCONV_DROPOUT_INPUTS()
    .Output("y: T")
    .Output("code: code_type")
    .SetShapeFn(ShapeFunction("FusedConv2D"))
    .Doc(R"(
y = dropout(pool(activation(conv2d(x, filter) + bias))).

x: NHWC.
filter: HWIO; the channels of x divided by its I are the groups.
bias: One per output channel, or shape [0] for none.
code: One per pooled cell, for the gradients; shape [0] without pooling.
strides: Along height and width, as all pairs here.
explicit_paddings: top, bottom, left, right; empty unless padding is EXPLICIT.
pool_size: Empty for no pooling.
code_type: int32 for pooling windows of more than 127 positions.
dropout: Of single elements or of whole channels of an image.
dropout_rate: Probability of a 0, or shape [0] without dropout.
dropout_seed: Two numbers, as tf.random.stateless_uniform takes them, or shape [0].
)");

REGISTER_OP("Fastconv>FusedConv2DBackpropInput")
    .Attr(kTypeAttr)
    .FASTCONV_CONV_ATTRS()
    .FASTCONV_BLOCK_ATTRS()
    .Input("x: T")
    .Input("filter: T")
    .Input("y: T")
    .Input("code: code_type")
    .Input("dy: T")
    .FASTCONV_DROPOUT_INPUTS()
    .Output("dx: T")
    .SetShapeFn(ShapeFunction("FusedConv2DBackpropInput"))
    .Doc(R"(
Gradient of FusedConv2D with respect to x.

x: Read for its shape only.
y: Output of FusedConv2D where its activation is not linear and it does not pool, else shape [0].
code: Output of FusedConv2D.
dy: Gradient with respect to y.
)");

REGISTER_OP("Fastconv>FusedConv2DBackpropFilter")
    .Attr(kTypeAttr)
    .FASTCONV_CONV_ATTRS()
    .FASTCONV_BLOCK_ATTRS()
    .Input("x: T")
    .Input("filter: T")
    .Input("y: T")
    .Input("code: code_type")
    .Input("dy: T")
    .FASTCONV_DROPOUT_INPUTS()
    .Output("dfilter: T")
    .Output("dbias: T")
    .SetShapeFn(ShapeFunction("FusedConv2DBackpropFilter"))
    .Doc(R"(
Gradient of FusedConv2D with respect to filter and bias.

filter: Read for its shape only.
y: Output of FusedConv2D where its activation is not linear and it does not pool, else shape [0].
code: Output of FusedConv2D.
dy: Gradient with respect to y.
)");

REGISTER_OP("Fastconv>Conv2DBatchStatistics")
    .Attr(kTypeAttr)
    .Attr(kSumTypeAttr)
    .FASTCONV_CONV_ATTRS()
    .Input("x: T")
    .Input("filter: T")
    .Input("bias: T")
    .Output("z: T")
    .Output("mean: U")
    .Output("variance: U")
    .SetShapeFn(ShapeFunction("Conv2DBatchStatistics"))
    .Doc(R"(
z = conv2d(x, filter) + bias, with its mean and population variance per channel.

bias: One per output channel, or shape [0] for none.
U: double where T is, else float.
)");

REGISTER_OP("Fastconv>FusedBatchNorm")
    .Attr(kTypeAttr)
    .Attr(kSumTypeAttr)
    .Attr("epsilon: float = 0.001")
    .Attr("synchronized: bool = false")
    .FASTCONV_BLOCK_ATTRS()
    .Input("z: T")
    .Input("mean: U")
    .Input("variance: U")
    .Input("gamma: U")
    .Input("beta: U")
    .FASTCONV_DROPOUT_INPUTS()
    .Output("y: T")
    .Output("code: code_type")
    .SetShapeFn(ShapeFunction("FusedBatchNorm"))
    .Doc(R"(
y = dropout(pool(activation(gamma * (z - mean) / sqrt(variance + epsilon) + beta))).

gamma: One per channel, or shape [0] for 1.
beta: One per channel, or shape [0] for 0.
code: One per pooled cell, for the gradients; shape [0] without pooling.
synchronized: Whether mean and variance are those of all replicas; only the gradient reads it.
)");

REGISTER_OP("Fastconv>FusedBatchNormGradReduce")
    .Attr(kTypeAttr)
    .Attr(kSumTypeAttr)
    .Attr("epsilon: float = 0.001")
    .FASTCONV_BLOCK_ATTRS()
    .Input("z: T")
    .Input("mean: U")
    .Input("variance: U")
    .Input("gamma: U")
    .Input("beta: U")
    .Input("code: code_type")
    .Input("dy: T")
    .FASTCONV_DROPOUT_INPUTS()
    .Output("dgamma: U")
    .Output("dbeta: U")
    .SetShapeFn(ShapeFunction("FusedBatchNormGradReduce"))
    .Doc(R"(
First half of the gradient of FusedBatchNorm: the sums over this replica's samples.

code: Output of FusedBatchNorm.
dy: Gradient with respect to y.
)");

REGISTER_OP("Fastconv>FusedBatchNormGradApply")
    .Attr(kTypeAttr)
    .Attr(kSumTypeAttr)
    .Attr("epsilon: float = 0.001")
    .FASTCONV_BLOCK_ATTRS()
    .Input("z: T")
    .Input("mean: U")
    .Input("variance: U")
    .Input("gamma: U")
    .Input("beta: U")
    .Input("code: code_type")
    .Input("dy: T")
    .Input("dgamma: U")
    .Input("dbeta: U")
    .Input("count: U")
    .FASTCONV_DROPOUT_INPUTS()
    .Output("dz: T")
    .SetShapeFn(ShapeFunction("FusedBatchNormGradApply"))
    .Doc(R"(
Second half of the gradient of FusedBatchNorm: with respect to z, statistics included.

dgamma: Sum of FusedBatchNormGradReduce's output over the replicas.
dbeta: Likewise.
count: Samples per channel behind mean, variance and the sums, over all replicas.
)");

REGISTER_OP("Fastconv>FusedEpilogue")
    .Attr(kTypeAttr)
    .FASTCONV_BLOCK_ATTRS()
    .Input("z: T")
    .Input("bias: T")
    .FASTCONV_DROPOUT_INPUTS()
    .Output("y: T")
    .Output("code: code_type")
    .SetShapeFn(ShapeFunction("FusedEpilogue"))
    .Doc(R"(
y = dropout(pool(activation(z + bias))).

z: NHWC, the result of a convolution.
bias: One per channel, or shape [0] for none.
code: One per pooled cell, for the gradient; shape [0] without pooling.
)");

REGISTER_OP("Fastconv>FusedEpilogueGrad")
    .Attr(kTypeAttr)
    .FASTCONV_BLOCK_ATTRS()
    .Input("z: T")
    .Input("bias: T")
    .Input("y: T")
    .Input("code: code_type")
    .Input("dy: T")
    .FASTCONV_DROPOUT_INPUTS()
    .Output("dz: T")
    .Output("dbias: T")
    .SetShapeFn(ShapeFunction("FusedEpilogueGrad"))
    .Doc(R"(
Gradient of FusedEpilogue.

z: Read for its shape only.
bias: Read for its shape only.
y: Output of FusedEpilogue where its activation is not linear and it does not pool, else shape [0].
code: Output of FusedEpilogue.
dy: Gradient with respect to y.
)");

REGISTER_OP("Fastconv>MaxPool")
    .Attr(kTypeAttr)
    .FASTCONV_POOL_ATTRS()
    .Input("x: T")
    .Output("y: T")
    .Output("code: code_type")
    .SetShapeFn(ShapeFunction("MaxPool"))
    .Doc(R"(
Max pooling.

code: One per pooled cell, for the gradient.
)");

REGISTER_OP("Fastconv>MaxPoolGrad")
    .Attr(kTypeAttr)
    .FASTCONV_POOL_ATTRS()
    .Input("x: T")
    .Input("code: code_type")
    .Input("dy: T")
    .Output("dx: T")
    .SetShapeFn(ShapeFunction("MaxPoolGrad"))
    .Doc(R"(
Gradient of MaxPool.

x: Read for its shape only.
code: Output of MaxPool.
dy: Gradient with respect to y.
)");

REGISTER_OP("Fastconv>Dropout")
    .Attr(kTypeAttr)
    .Input("x: T")
    .FASTCONV_DROPOUT_INPUTS()
    .Output("y: T")
    .SetShapeFn(ShapeFunction("Dropout"))
    .Doc(R"(
Values of x set to 0 with a probability, the others divided by what is left to 1.

dropout_rate: The probability.
dropout_seed: Two numbers, as tf.random.stateless_uniform takes them.
)");

REGISTER_OP("Fastconv>UpdateWeight")
    .Attr("T: {float, double}")
    .Attr(
        "rule: {'sgd', 'momentum', 'nesterov', 'rmsprop', 'rmsprop_momentum', 'centered_rmsprop', "
        "'centered_rmsprop_momentum', 'adadelta', 'adagrad', 'adam', 'amsgrad', 'adamax', 'nadam'}")
    .Attr("num_slots: int >= 0")
    .Input("weight: resource")
    .Input("slots: num_slots * resource")
    .Input("gradient: T")
    .Input("factors: T")
    .SetShapeFn([](InferenceContext*) { return absl::OkStatus(); })
    .Doc(R"(
One step of an optimizer: updates the variables of a weight and its slots.

rule: One of Keras's; core/weight_update.h has its formula, slots and factors.
gradient: Of the weight's shape.
factors: Scalars of the formula.
)");

REGISTER_OP("Fastconv>FusedDense")
    .Attr(kTypeAttr)
    .FASTCONV_ACTIVATION_ATTRS()
    .Input("x: T")
    .Input("kernel: T")
    .Input("bias: T")
    .Output("y: T")
    .SetShapeFn(ShapeFunction("FusedDense"))
    .Doc(R"(
y = activation(matmul(x, kernel) + bias).

x: One row per sample.
kernel: One row per input, one column per unit.
bias: One per unit, or shape [0] for none.
)");

REGISTER_OP("Fastconv>FusedDenseBackpropInput")
    .Attr(kTypeAttr)
    .FASTCONV_ACTIVATION_ATTRS()
    .Input("x: T")
    .Input("kernel: T")
    .Input("y: T")
    .Input("dy: T")
    .Output("dx: T")
    .SetShapeFn(ShapeFunction("FusedDenseBackpropInput"))
    .Doc(R"(
Gradient of FusedDense with respect to x.

x: Read for its shape only.
y: Output of FusedDense where its activation is not linear, else shape [0].
dy: Gradient with respect to y.
)");

REGISTER_OP("Fastconv>FusedDenseBackpropKernel")
    .Attr(kTypeAttr)
    .FASTCONV_ACTIVATION_ATTRS()
    .Input("x: T")
    .Input("kernel: T")
    .Input("y: T")
    .Input("dy: T")
    .Output("dkernel: T")
    .Output("dbias: T")
    .SetShapeFn(ShapeFunction("FusedDenseBackpropKernel"))
    .Doc(R"(
Gradient of FusedDense with respect to kernel and bias.

kernel: Read for its shape only.
y: Output of FusedDense where its activation is not linear, else shape [0].
dy: Gradient with respect to y.
)");

#undef FASTCONV_DROPOUT_INPUTS
#undef FASTCONV_BLOCK_ATTRS
#undef FASTCONV_ACTIVATION_ATTRS
#undef FASTCONV_POOL_ATTRS
#undef FASTCONV_CONV_ATTRS

}  // namespace
}  // namespace fastconv
