// Batch normalisations that are tested: their numbers, and what should come out.
#ifndef FASTCONV_TESTS_CPP_BATCH_NORM_SCENARIOS_H_
#define FASTCONV_TESTS_CPP_BATCH_NORM_SCENARIOS_H_

#include <cstdint>
#include <vector>

#include "core/problem.h"
#include "core/reference/batch_norm.h"
#include "expectation.h"

namespace fastconv::testing {

struct BatchNormCase {
  const char* name;
  int64_t batch, height, width, channels;
  Activation activation;
  float slope;
  const char* pool;  // empty: none
  bool has_gamma = true;
  bool has_beta = true;
  double center = 1;    // size of the means, in standard deviations
  double replicas = 1;  // samples behind the sums of the gradient, in multiples of this batch
};

inline constexpr BatchNormCase kBatchNormCases[] = {
    {"relu", 3, 7, 8, 32, Activation::kRelu, 0, ""},
    {"linear", 2, 7, 6, 16, Activation::kLinear, 0, ""},
    {"leaky", 2, 5, 9, 17, Activation::kLeakyRelu, 0.3f, ""},
    {"leaky_0", 2, 5, 9, 3, Activation::kLeakyRelu, 0, ""},
    {"leaky_1", 2, 5, 9, 33, Activation::kLeakyRelu, 1, ""},
    {"leaky_1_5", 2, 5, 9, 31, Activation::kLeakyRelu, 1.5f, ""},
    {"no_gamma", 2, 6, 7, 15, Activation::kRelu, 0, "", false, true},
    {"no_beta", 2, 6, 7, 16, Activation::kRelu, 0, "", true, false},
    {"no_gamma_no_beta", 2, 6, 7, 5, Activation::kLeakyRelu, 0.3f, "2x2/2x2", false, false},
    {"one_channel", 2, 9, 8, 1, Activation::kRelu, 0, "2x2/2x2"},
    {"64_channels", 2, 8, 8, 64, Activation::kRelu, 0, "2x2/2x2"},
    {"pool_left_over", 2, 9, 7, 17, Activation::kRelu, 0, "2x2/2x2"},
    {"pool_linear", 2, 8, 7, 16, Activation::kLinear, 0, "2x2/2x2"},
    {"pool_leaky_same", 2, 9, 7, 33, Activation::kLeakyRelu, 0.3f, "2x2/2x2:same"},
    {"pool_leaky_0", 2, 9, 7, 3, Activation::kLeakyRelu, 0, "2x2/2x2"},
    {"pool_leaky_1_5", 2, 9, 7, 18, Activation::kLeakyRelu, 1.5f, "2x3/2x3"},
    {"pool_overlap", 2, 10, 11, 16, Activation::kRelu, 0, "3x3/2x2"},
    {"pool_overlap_same", 2, 11, 10, 5, Activation::kLeakyRelu, 0.3f, "3x3/2x2:same"},
    {"pool_dense", 1, 8, 9, 31, Activation::kRelu, 0, "3x3/1x1"},
    {"pool_gaps", 2, 11, 12, 16, Activation::kRelu, 0, "2x2/3x4"},
    {"pool_127_positions", 1, 128, 3, 16, Activation::kRelu, 0, "127x1/1x1"},
    {"pool_128_positions", 1, 17, 10, 16, Activation::kRelu, 0, "16x8/1x1"},
    {"pool_144_positions", 1, 14, 25, 17, Activation::kLeakyRelu, 0.3f, "12x12/12x12:same"},
    {"pool_global", 2, 6, 5, 20, Activation::kRelu, 0, "6x5/1x1"},
    {"one_sample", 1, 1, 1, 17, Activation::kRelu, 0, ""},
    {"empty_batch", 0, 6, 6, 16, Activation::kRelu, 0, ""},
    {"empty_batch_pool", 0, 6, 6, 16, Activation::kRelu, 0, "2x2/2x2"},
    {"far_from_zero", 2, 9, 8, 19, Activation::kLeakyRelu, 0.3f, "2x2/2x2", true, true, 30},
    {"replicas", 2, 6, 7, 16, Activation::kRelu, 0, "", true, true, 1, 4},
    {"many_rows", 4, 40, 41, 3, Activation::kRelu, 0, ""},
    {"many_rows_pool", 4, 40, 41, 16, Activation::kRelu, 0, "2x2/2x2"},
    {"many_channels", 1, 4, 5, 1030, Activation::kRelu, 0, "2x2/2x2"},
};

struct BatchNormScenario {
  FusedBatchNormProblem problem;
  Regime regime;
  std::vector<double> z, gamma, beta, mean, variance, dy, code;  // code: encoded
  reference::BatchNormSums sums;  // as numbers of the accumulation type, input of apply
  double count;
  BlockExpectation forward;
  Expectation dgamma, dbeta, dz;
};

BatchNormScenario MakeBatchNormScenario(const BatchNormCase& bn_case, DataType type, Regime regime);

}  // namespace fastconv::testing

#endif  // FASTCONV_TESTS_CPP_BATCH_NORM_SCENARIOS_H_
