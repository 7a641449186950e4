// Checks of the ops' tensors. A size that is not known yet passes every check.
#ifndef FASTCONV_CORE_OPS_TENSOR_CHECKS_H_
#define FASTCONV_CORE_OPS_TENSOR_CHECKS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/ops/op.h"
#include "core/problem.h"
#include "core/status.h"

namespace fastconv {

// "[2, ?, 3]"
std::string ToString(const std::vector<int64_t>& dims);
std::string ToString(const TensorSpec& spec);

TensorSpec MakeSpec(DataType dtype, std::vector<int64_t> dims);
std::vector<TensorSpec> SpecsOf(const std::vector<TensorView>& views);

// The sizes of `spec`, all kUnknown if its rank is; refuses another rank.
Status GetDims(const char* name, const TensorSpec& spec, size_t rank, std::vector<int64_t>* dims);
Status CheckType(const char* name, const TensorSpec& spec, DataType dtype);
// Refuses types that tensors of activations cannot have.
Status CheckFloating(const char* name, const TensorSpec& spec);
// Refuses a tensor that is not of `expected` type and shape.
Status CheckTensor(const char* name, const TensorSpec& spec, const TensorSpec& expected);
// The same for one that may be absent, which is shape [0].
Status CheckOptional(const char* name, const TensorSpec& spec, const TensorSpec& expected);
bool IsAbsent(const TensorSpec& spec);

// What a block of `problem`'s pooling puts out for a map of these sizes, and the codes with it.
TensorSpec BlockOutput(DataType dtype, const std::vector<int64_t>& map, const MaxPoolSpec& pool);
TensorSpec CodeOutput(const std::vector<int64_t>& map, const MaxPoolSpec& pool);

}  // namespace fastconv

#endif  // FASTCONV_CORE_OPS_TENSOR_CHECKS_H_
