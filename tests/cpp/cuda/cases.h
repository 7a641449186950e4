// What the tests of the CUDA kernels have in common.
#ifndef FASTCONV_TESTS_CPP_CUDA_CASES_H_
#define FASTCONV_TESTS_CPP_CUDA_CASES_H_

#include <cmath>
#include <cstdint>
#include <vector>

#include "buffers.h"
#include "core/dtype.h"
#include "core/reference/batch_norm.h"
#include "expectation.h"
#include "tolerances.h"

namespace fastconv::testing {

// The types that the kernels take.
inline constexpr DataType kCudaTypes[] = {DataType::kFloat32, DataType::kBFloat16,
                                          DataType::kFloat16};

// As frameworks align tensors, for the vectorised kernels, and no better than elements are.
inline constexpr Alignment kAlignments[] = {Alignment::kLine, Alignment::kElement};

// Mean and variance of values as they are stored: nothing but the sums is rounded.
struct StatisticsExpectation {
  Expectation mean, variance;
};

inline StatisticsExpectation ExpectStatistics(int64_t channels, const std::vector<double>& values) {
  const reference::Statistics exact = reference::BatchStatistics(channels, values);
  StatisticsExpectation expected{{exact.mean, {}}, {exact.variance, {}}};
  const double roundings = kStatisticsRoundings * UnitRoundoff(DataType::kFloat32);
  for (int64_t channel = 0; channel < channels; ++channel) {
    const double mean = exact.mean[channel], variance = exact.variance[channel];
    expected.mean.bounds.push_back(
        StoredBound(DataType::kFloat32, mean, roundings * std::sqrt(variance)));
    expected.variance.bounds.push_back(
        StoredBound(DataType::kFloat32, variance, roundings * variance));
  }
  return expected;
}

}  // namespace fastconv::testing

#endif  // FASTCONV_TESTS_CPP_CUDA_CASES_H_
