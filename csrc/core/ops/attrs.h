// Attributes of the ops. Each group is named, read and checked in one place, and becomes its part
// of a problem here.
#ifndef FASTCONV_CORE_OPS_ATTRS_H_
#define FASTCONV_CORE_OPS_ATTRS_H_

#include <array>
#include <cstdint>
#include <vector>

#include "core/cuda/dropout_inputs.h"
#include "core/ops/op.h"
#include "core/problem.h"
#include "core/shape.h"
#include "core/status.h"

namespace fastconv {

// Pairs are (height, width).
struct ConvAttrs {
  std::array<int64_t, 2> strides = {1, 1};
  std::array<int64_t, 2> dilations = {1, 1};
  Padding padding = Padding::kValid;
  std::array<int64_t, 4> explicit_paddings = {0, 0, 0, 0};  // top, bottom, left, right

  static std::vector<AttrSpec> Specs();
  Status Read(const AttrReader& attrs);
  // Fills `problem` from the tensors; sizes that are not known become kUnknown.
  Status MakeProblem(const TensorSpec& x, const TensorSpec& filter, Conv2DProblem* problem) const;
};

struct PoolAttrs {
  bool enabled = false;
  std::array<int64_t, 2> size = {1, 1};
  std::array<int64_t, 2> strides = {1, 1};
  Padding padding = Padding::kValid;
  DataType code_type = DataType::kUint8;

  static std::vector<AttrSpec> Specs();
  Status Read(const AttrReader& attrs);
  // Pooling of a map of `height` x `width`, either of which may be kUnknown.
  Status MakeSpec(int64_t height, int64_t width, MaxPoolSpec* spec) const;
};

struct ActivationAttrs {
  Activation kind = Activation::kLinear;
  float negative_slope = 0.0f;

  static std::vector<AttrSpec> Specs();
  Status Read(const AttrReader& attrs);
  void Set(Epilogue* epilogue) const;
};

// What follows a convolution or a normalisation.
struct BlockAttrs {
  ActivationAttrs activation;
  PoolAttrs pool;
  DropoutKind dropout = DropoutKind::kNone;

  static std::vector<AttrSpec> Specs();
  Status Read(const AttrReader& attrs);
  // An op with a block has two last inputs, rate (float64 []) and seed (int32 [2]) of its dropout;
  // without dropout they are absent.
  Status CheckDropout(const std::vector<TensorSpec>& inputs) const;
  Status ReadDropout(const std::vector<TensorView>& inputs, DropoutSpec* dropout) const;
  // The same inputs for kernels that read them themselves.
  static cuda::DropoutInputs DropoutInputsOf(const std::vector<TensorView>& inputs);
  // The epilogue, without bias and dropout, of a map of `height` x `width`.
  Status MakeEpilogue(int64_t height, int64_t width, Epilogue* epilogue) const;
};

// All attributes of an op, from those of its groups.
std::vector<AttrSpec> Concat(std::vector<AttrSpec> first, const std::vector<AttrSpec>& second);

}  // namespace fastconv

#endif  // FASTCONV_CORE_OPS_ATTRS_H_
