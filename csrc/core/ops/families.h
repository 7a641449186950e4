// The op families that AllOps() is put together from.
#ifndef FASTCONV_CORE_OPS_FAMILIES_H_
#define FASTCONV_CORE_OPS_FAMILIES_H_

#include <memory>
#include <vector>

#include "core/ops/op.h"

namespace fastconv {

std::vector<OpDefinition> Conv2DOps();
std::vector<OpDefinition> BatchNormOps();
std::vector<OpDefinition> MaxPoolOps();
std::vector<OpDefinition> DropoutOps();
std::vector<OpDefinition> DenseOps();
std::vector<OpDefinition> EpilogueOps();
std::vector<OpDefinition> WeightUpdateOps();

// Of ops that have CUDA kernels.
#ifdef FASTCONV_WITH_CUDA
constexpr bool kRunsOnStream = true;
#else
constexpr bool kRunsOnStream = false;
#endif
constexpr int kNotInPlace = -1;

template <typename T>
std::unique_ptr<Op> MakeOp() {
  return std::make_unique<T>();
}

}  // namespace fastconv

#endif  // FASTCONV_CORE_OPS_FAMILIES_H_
