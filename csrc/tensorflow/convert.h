// TensorFlow's types, statuses and attributes <-> core's.
#ifndef FASTCONV_TENSORFLOW_CONVERT_H_
#define FASTCONV_TENSORFLOW_CONVERT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/dtype.h"
#include "core/ops/op.h"
#include "core/status.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/tensor_shape.h"
#include "tensorflow/core/framework/types.pb.h"

namespace fastconv {

// Of every op's name in TensorFlow.
inline constexpr char kTensorFlowPrefix[] = "Fastconv>";

absl::Status ToAbslStatus(const Status& status);
Status FromAbslStatus(const absl::Status& status);

absl::Status FromTensorFlow(tensorflow::DataType type, DataType* dtype);
tensorflow::DataType ToTensorFlow(DataType dtype);

// Type and shape of an op's input.
absl::Status MakeSpec(tensorflow::DataType type, const tensorflow::TensorShape& shape,
                      TensorSpec* spec);

// Reads the attributes of an OpKernelConstruction or a shape function's InferenceContext.
template <typename Source>
class TensorFlowAttrReader final : public AttrReader {
 public:
  explicit TensorFlowAttrReader(const Source* source) : source_(source) {}

  Status GetInts(const char* name, std::vector<int64_t>* value) const override {
    return FromAbslStatus(source_->GetAttr(name, value));
  }
  Status GetFloat(const char* name, float* value) const override {
    return FromAbslStatus(source_->GetAttr(name, value));
  }
  Status GetString(const char* name, std::string* value) const override {
    const absl::Status status = source_->GetAttr(name, value);
    tensorflow::DataType type;
    if (status.ok() || !source_->GetAttr(name, &type).ok()) return FromAbslStatus(status);
    DataType dtype;
    FASTCONV_RETURN_IF_ERROR(FromAbslStatus(FromTensorFlow(type, &dtype)));
    *value = Name(dtype);
    return Status();
  }

 private:
  const Source* source_;
};

// The op that a kernel stands for, initialised with the kernel's attributes.
absl::Status CreateOp(const tensorflow::OpKernel& kernel,
                      const tensorflow::OpKernelConstruction& construction,
                      const OpDefinition** definition, std::unique_ptr<Op>* op);

// InferOutputs, and that the outputs have the types that the TensorFlow op declares; one that
// updates variables declares none.
absl::Status InferOutputs(const Op& op, const std::vector<TensorSpec>& inputs,
                          const tensorflow::OpKernel& kernel, std::vector<TensorSpec>* outputs);

}  // namespace fastconv

#endif  // FASTCONV_TENSORFLOW_CONVERT_H_
