#include "tensorflow/convert.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "tensorflow/core/framework/types.h"

namespace fastconv {

absl::Status ToAbslStatus(const Status& status) {
  switch (status.code()) {
    case StatusCode::kOk:
      return absl::OkStatus();
    case StatusCode::kInvalidArgument:
      return absl::InvalidArgumentError(status.message());
    case StatusCode::kUnimplemented:
      return absl::UnimplementedError(status.message());
    case StatusCode::kResourceExhausted:
      return absl::ResourceExhaustedError(status.message());
    case StatusCode::kInternal:
      return absl::InternalError(status.message());
  }
  return absl::InternalError(status.message());
}

Status FromAbslStatus(const absl::Status& status) {
  return status.ok() ? Status() : InvalidArgument(std::string(status.message()));
}

absl::Status FromTensorFlow(tensorflow::DataType type, DataType* dtype) {
  switch (type) {
    case tensorflow::DT_FLOAT:
      *dtype = DataType::kFloat32;
      return absl::OkStatus();
    case tensorflow::DT_BFLOAT16:
      *dtype = DataType::kBFloat16;
      return absl::OkStatus();
    case tensorflow::DT_HALF:
      *dtype = DataType::kFloat16;
      return absl::OkStatus();
    case tensorflow::DT_DOUBLE:
      *dtype = DataType::kFloat64;
      return absl::OkStatus();
    case tensorflow::DT_UINT8:
      *dtype = DataType::kUint8;
      return absl::OkStatus();
    case tensorflow::DT_INT32:
      *dtype = DataType::kInt32;
      return absl::OkStatus();
    default:
      return absl::InvalidArgumentError(absl::StrCat(
          "No kernel takes tensors of this type. Received: ", tensorflow::DataTypeString(type)));
  }
}

tensorflow::DataType ToTensorFlow(DataType dtype) {
  switch (dtype) {
    case DataType::kFloat32:
      return tensorflow::DT_FLOAT;
    case DataType::kBFloat16:
      return tensorflow::DT_BFLOAT16;
    case DataType::kFloat16:
      return tensorflow::DT_HALF;
    case DataType::kFloat64:
      return tensorflow::DT_DOUBLE;
    case DataType::kUint8:
      return tensorflow::DT_UINT8;
    case DataType::kInt32:
      return tensorflow::DT_INT32;
  }
  return tensorflow::DT_INVALID;
}

absl::Status MakeSpec(tensorflow::DataType type, const tensorflow::TensorShape& shape,
                      TensorSpec* spec) {
  const auto sizes = shape.dim_sizes();
  spec->dims.assign(sizes.begin(), sizes.end());
  return FromTensorFlow(type, &spec->dtype);
}

absl::Status CreateOp(const tensorflow::OpKernel& kernel,
                      const tensorflow::OpKernelConstruction& construction,
                      const OpDefinition** definition, std::unique_ptr<Op>* op) {
  const absl::string_view name = absl::StripPrefix(kernel.type_string_view(), kTensorFlowPrefix);
  *definition = FindOp(std::string(name));
  if (*definition == nullptr) return absl::InternalError(absl::StrCat("No such op: ", name));
  *op = (*definition)->create();
  return ToAbslStatus((*op)->Init(TensorFlowAttrReader(&construction)));
}

absl::Status InferOutputs(const Op& op, const std::vector<TensorSpec>& inputs,
                          const tensorflow::OpKernel& kernel, std::vector<TensorSpec>* outputs) {
  const absl::Status status = ToAbslStatus(op.InferOutputs(inputs, outputs));
  if (!status.ok()) return status;
  for (int i = 0; i < kernel.num_outputs(); ++i) {
    const tensorflow::DataType type = ToTensorFlow((*outputs)[i].dtype);
    const tensorflow::DataType declared = kernel.output_type(i);
    if (type != declared) {
      return absl::InvalidArgumentError(
          absl::StrCat("Output ", i, " is of type ", tensorflow::DataTypeString(type),
                       ". Received: type attribute ", tensorflow::DataTypeString(declared)));
    }
  }
  return absl::OkStatus();
}

}  // namespace fastconv
