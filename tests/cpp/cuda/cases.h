// What the tests of the CUDA kernels have in common.
#ifndef FASTCONV_TESTS_CPP_CUDA_CASES_H_
#define FASTCONV_TESTS_CPP_CUDA_CASES_H_

#include <cmath>
#include <cstdint>
#include <vector>

#include "buffers.h"
#include "core/cuda/dropout_inputs.h"
#include "core/dtype.h"
#include "core/problem.h"
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

// Lets the emulated device have a compute capability (10 times the version); on a GPU, tells
// whether tests for it mean that GPU, too: 90 stands for kernels that 9.0 alone has.
bool UseCapability(int capability);

// Dropout's rate and seed, where kernels read them.
class DropoutBuffers {
 public:
  explicit DropoutBuffers(const DropoutSpec& spec)
      : rate_(DataType::kFloat64, {spec.rate}),
        seed_(DataType::kInt32,
              {static_cast<double>(spec.seed[0]), static_cast<double>(spec.seed[1])}) {}

  cuda::DropoutInputs inputs() const {
    return {static_cast<const double*>(rate_.data()), static_cast<const int32_t*>(seed_.data())};
  }

 private:
  InputBuffer rate_, seed_;
};

}  // namespace fastconv::testing

#endif  // FASTCONV_TESTS_CPP_CUDA_CASES_H_
