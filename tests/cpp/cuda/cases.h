// What the tests of the CUDA kernels have in common.
#ifndef FASTCONV_TESTS_CPP_CUDA_CASES_H_
#define FASTCONV_TESTS_CPP_CUDA_CASES_H_

#include "buffers.h"
#include "core/dtype.h"

namespace fastconv::testing {

// The types that the kernels take.
inline constexpr DataType kCudaTypes[] = {DataType::kFloat32, DataType::kBFloat16,
                                          DataType::kFloat16};

// As frameworks align tensors, for the vectorised kernels, and no better than elements are.
inline constexpr Alignment kAlignments[] = {Alignment::kLine, Alignment::kElement};

}  // namespace fastconv::testing

#endif  // FASTCONV_TESTS_CPP_CUDA_CASES_H_
