// Batch normalisation with activation and pooling, and its gradient, against the reference.
#include "core/batch_norm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <tuple>
#include <vector>

#include "buffers.h"
#include "conv2d_cases.h"
#include "core/reference/activation.h"
#include "core/reference/batch_norm.h"
#include "core/reference/epilogue.h"
#include "element_types.h"
#include "expectation.h"
#include "isa.h"
#include "thread_pools.h"
#include "tolerances.h"

namespace fastconv::testing {
namespace {

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

constexpr BatchNormCase kCases[] = {
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

struct Scenario {
  FusedBatchNormProblem problem;
  Regime regime;
  std::vector<double> z, gamma, beta, mean, variance, dy, code;  // code: encoded
  reference::BatchNormSums sums;  // as numbers of the accumulation type, input of apply
  double count;
  BlockExpectation forward;
  Expectation dgamma, dbeta, dz;
};

// Per-channel values by the channel of each element.
double At(const std::vector<double>& per_channel, size_t index) {
  return per_channel[index % per_channel.size()];
}

Scenario MakeInputs(const BatchNormCase& bn_case, DataType type, Regime regime) {
  Scenario scenario;
  scenario.regime = regime;
  FusedBatchNormProblem& problem = scenario.problem;
  problem.dtype = type;
  problem.batch = bn_case.batch;
  problem.height = bn_case.height;
  problem.width = bn_case.width;
  problem.channels = bn_case.channels;
  problem.has_gamma = bn_case.has_gamma;
  problem.has_beta = bn_case.has_beta;
  problem.epilogue.activation = bn_case.activation;
  problem.epilogue.negative_slope = bn_case.slope;
  if (*bn_case.pool != '\0') {
    problem.epilogue.pool = ParseMaxPool(bn_case.pool, bn_case.height, bn_case.width);
  }
  const DataType wide = AccumulationType(type);
  const int64_t channels = bn_case.channels;
  const int64_t rows = bn_case.batch * bn_case.height * bn_case.width;
  Random random(bn_case.name);
  scenario.gamma.assign(channels, 1);
  scenario.beta.assign(channels, 0);
  if (regime == Regime::kExact) {
    // variance + epsilon is 1, all else small integers or powers of 2: nothing is rounded.
    problem.epsilon = 0.25f;
    if (bn_case.slope == 0.3f) problem.epilogue.negative_slope = 0.25f;
    scenario.z = random.Integers(rows * channels, -4, 6);
    scenario.mean = random.Integers(channels, -2, 3);
    scenario.variance.assign(channels, 0.75);
    if (problem.has_gamma) {
      for (double& gamma : scenario.gamma) gamma = std::ldexp(random.Integer(0, 1) * 2 - 1, -1);
    }
    if (problem.has_beta) scenario.beta = random.Integers(channels, -2, 2);
    return scenario;
  }
  scenario.z = random.Uniforms(rows * channels, -1.7, 1.7);
  scenario.mean = RoundTo(wide, random.Uniforms(channels, -bn_case.center, bn_case.center));
  scenario.variance = RoundTo(wide, random.Uniforms(channels, 0.5, 1.5));
  for (size_t index = 0; index < scenario.z.size(); ++index) {
    scenario.z[index] = RoundTo(type, scenario.z[index] + At(scenario.mean, index));
  }
  if (problem.has_gamma) scenario.gamma = RoundTo(wide, random.Uniforms(channels, -1.5, 2));
  if (problem.has_beta) scenario.beta = RoundTo(wide, random.Uniforms(channels, -1, 1));
  return scenario;
}

// Magnitudes of what cancels in the input of the activation, and of what enters xhat.
struct AffineMagnitudes {
  std::vector<double> a;
  std::vector<double> xhat;
};

AffineMagnitudes MagnitudesOf(const Scenario& scenario) {
  AffineMagnitudes magnitudes;
  const double epsilon = scenario.problem.epsilon;
  for (size_t index = 0; index < scenario.z.size(); ++index) {
    const double xhat = (std::fabs(scenario.z[index]) + std::fabs(At(scenario.mean, index))) /
                        std::sqrt(At(scenario.variance, index) + epsilon);
    magnitudes.xhat.push_back(xhat);
    magnitudes.a.push_back(std::fabs(At(scenario.gamma, index)) * xhat +
                           std::fabs(At(scenario.beta, index)));
  }
  return magnitudes;
}

Scenario MakeScenario(const BatchNormCase& bn_case, DataType type, Regime regime) {
  Scenario scenario = MakeInputs(bn_case, type, regime);
  const FusedBatchNormProblem& problem = scenario.problem;
  const DataType wide = AccumulationType(type);
  const int64_t channels = problem.channels;
  const reference::BatchNormParameters parameters{scenario.mean, scenario.variance, scenario.gamma,
                                                  scenario.beta};
  const AffineMagnitudes magnitudes = MagnitudesOf(scenario);

  Expectation a;
  a.values = reference::BatchNormAffine(problem, parameters, scenario.z);
  for (double magnitude : magnitudes.a) a.bounds.push_back(ElementwiseBound(type, magnitude));
  scenario.forward = ExpectBlock(type, problem.epilogue, problem.batch, channels, regime, a);
  const std::vector<reference::PoolCode>& code = scenario.forward.code;
  scenario.code = EncodeCodes(problem.epilogue.pool.code_type, code);

  Random random(std::string(bn_case.name) + " gradient");
  const int64_t outputs = static_cast<int64_t>(scenario.forward.y.values.size());
  scenario.dy = regime == Regime::kExact ? random.Integers(outputs, -2, 2)
                                         : RoundTo(type, random.Uniforms(outputs, -1, 1.25));
  const double rows = static_cast<double>(scenario.z.size()) / static_cast<double>(channels);
  // A power of 2 divides without rounding.
  scenario.count = regime == Regime::kExact ? 64 : std::max(rows, 1.0) * bn_case.replicas;
  const reference::BatchNormSums sums =
      reference::BatchNormBackwardReduce(problem, parameters, scenario.z, code, scenario.dy);
  if (regime == Regime::kExact) {
    scenario.sums = {random.Integers(channels, -9, 9), random.Integers(channels, -9, 9)};
  } else {
    scenario.sums = {RoundTo(wide, sums.dgamma), RoundTo(wide, sums.dbeta)};
  }
  const std::vector<double> dz = reference::BatchNormBackwardApply(
      problem, parameters, scenario.z, code, scenario.dy, scenario.sums, scenario.count);
  if (regime == Regime::kExact) {
    scenario.dgamma = ExactExpectation(wide, sums.dgamma);
    scenario.dbeta = ExactExpectation(wide, sums.dbeta);
    scenario.dz = ExactExpectation(type, dz);
    return scenario;
  }

  // |da| per element. Where the sign of the activation's input is open, so is the slope: da may be
  // off by `open`.
  const std::vector<double> da = reference::EpilogueBackward(
      problem.epilogue, problem.batch, channels, Magnitudes(scenario.dy), a.values, code);
  const double slope =
      reference::NegativeSlope(problem.epilogue.activation, problem.epilogue.negative_slope);
  std::vector<double> open(da.size());
  if (!problem.epilogue.pool.enabled) {
    for (size_t index = 0; index < da.size(); ++index) {
      if (std::fabs(a.values[index]) <= a.bounds[index]) {
        open[index] = std::fabs(scenario.dy[index] * (1 - slope));
      }
    }
  }
  const std::vector<double> xhat = reference::NormalizedInput(problem, parameters, scenario.z);
  std::vector<double> dgamma_errors(da.size());
  std::vector<double> dgamma_terms(da.size());
  for (size_t index = 0; index < da.size(); ++index) {
    dgamma_terms[index] = da[index] * std::fabs(xhat[index]);
    dgamma_errors[index] = da[index] * ElementwiseBound(type, magnitudes.xhat[index]) +
                           open[index] * magnitudes.xhat[index];
  }
  const MaxPoolSpec& pool = problem.epilogue.pool;
  const double terms = rows + 1 + static_cast<double>(pool.enabled ? pool.positions() : 0);
  const auto expect_sums = [&](const std::vector<double>& values,
                               const std::vector<double>& term_magnitudes,
                               const std::vector<double>& errors) {
    const std::vector<double> magnitude_sums = reference::ChannelSums(channels, term_magnitudes);
    const std::vector<double> error_sums = reference::ChannelSums(channels, errors);
    Expectation expected{values, {}};
    for (int64_t channel = 0; channel < channels; ++channel) {
      expected.bounds.push_back(
          StoredBound(wide, values[channel],
                      SumBound(type, terms, magnitude_sums[channel]) + error_sums[channel]));
    }
    return expected;
  };
  scenario.dgamma = expect_sums(sums.dgamma, dgamma_terms, dgamma_errors);
  scenario.dbeta = expect_sums(sums.dbeta, da, open);
  scenario.dz.values = dz;
  for (size_t index = 0; index < dz.size(); ++index) {
    const double scale = std::fabs(At(scenario.gamma, index)) /
                         std::sqrt(At(scenario.variance, index) + problem.epsilon);
    const double magnitude =
        da[index] + (std::fabs(At(scenario.sums.dbeta, index)) +
                     magnitudes.xhat[index] * std::fabs(At(scenario.sums.dgamma, index))) /
                        scenario.count;
    // Windows that overlap make da a sum.
    const double da_error = SumBound(type, terms - rows, da[index]) + open[index];
    scenario.dz.bounds.push_back(
        StoredBound(type, dz[index], scale * (ElementwiseBound(type, magnitude) + da_error)));
  }
  return scenario;
}

using BatchNormParam = std::tuple<BatchNormCase, DataType, Isa>;

std::string ParamName(const ::testing::TestParamInfo<BatchNormParam>& info) {
  const auto& [bn_case, type, isa] = info.param;
  return TestName(bn_case.name) + "_" + Name(type) + "_" + Name(isa);
}

class BatchNormTest : public ::testing::TestWithParam<BatchNormParam> {
 protected:
  // Calls check(scenario, args, workspace, pool) in both regimes with every pool; args hold all
  // inputs. Checks the guards of the workspace.
  template <typename Check>
  void ForEachRun(const Check& check) {
    const auto& [bn_case, type, isa] = GetParam();
    FASTCONV_SKIP_WITHOUT(isa);
    const ScopedMaxIsa max_isa(isa);
    for (Regime regime : {Regime::kRandom, Regime::kExact}) {
      const Scenario scenario = MakeScenario(bn_case, type, regime);
      const FusedBatchNormProblem& problem = scenario.problem;
      const DataType wide = AccumulationType(type);
      const InputBuffer z(type, scenario.z);
      const InputBuffer mean(wide, scenario.mean);
      const InputBuffer variance(wide, scenario.variance);
      const InputBuffer gamma(wide, scenario.gamma);
      const InputBuffer beta(wide, scenario.beta);
      FusedBatchNormArgs args;
      args.z = z.data();
      args.mean = mean.data();
      args.variance = variance.data();
      if (problem.has_gamma) args.gamma = gamma.data();
      if (problem.has_beta) args.beta = beta.data();
      WithEachPool([&](const std::string& pool_name, ThreadPool* pool) {
        SCOPED_TRACE((regime == Regime::kExact ? "exact numbers, " : "random numbers, ") +
                     pool_name);
        Workspace workspace(FusedBatchNormWorkspaceBytes(problem, pool->num_threads()),
                            kWorkspaceFills[regime == Regime::kExact]);
        check(scenario, args, workspace.data(), pool);
        EXPECT_TRUE(workspace.GuardsIntact()) << "wrote outside of the workspace";
      });
    }
  }
};

TEST_P(BatchNormTest, Forward) {
  ForEachRun(
      [](const Scenario& scenario, FusedBatchNormArgs args, void* workspace, ThreadPool* pool) {
        const FusedBatchNormProblem& problem = scenario.problem;
        EXPECT_TRUE(BoundsAreMeaningful(scenario.forward.y));
        OutputBuffer y(problem.dtype, scenario.forward.y.values.size());
        OutputBuffer code(problem.epilogue.pool.code_type, scenario.forward.code.size());
        args.y = y.data();
        args.code = code.data();
        const Status status = FusedBatchNorm(problem, args, workspace, pool);
        ASSERT_TRUE(status.ok()) << status.message();
        EXPECT_TRUE(y.GuardsIntact());
        EXPECT_TRUE(code.GuardsIntact());
        EXPECT_TRUE(Matches(scenario.forward.y, y.Values())) << "y";
        if (problem.epilogue.pool.enabled) {
          EXPECT_TRUE(CodesMatch(problem.epilogue, problem.batch, problem.channels, scenario.regime,
                                 scenario.forward, code.Values()))
              << "code";
        }
      });
}

TEST_P(BatchNormTest, GradReduce) {
  ForEachRun(
      [](const Scenario& scenario, FusedBatchNormArgs args, void* workspace, ThreadPool* pool) {
        const FusedBatchNormProblem& problem = scenario.problem;
        EXPECT_TRUE(BoundsAreMeaningful(scenario.dgamma));
        EXPECT_TRUE(BoundsAreMeaningful(scenario.dbeta));
        const InputBuffer dy(problem.dtype, scenario.dy);
        const InputBuffer code(problem.epilogue.pool.code_type, scenario.code);
        OutputBuffer dgamma(AccumulationType(problem.dtype), problem.channels);
        OutputBuffer dbeta(AccumulationType(problem.dtype), problem.channels);
        args.dy = dy.data();
        args.code = code.mutable_data();
        args.dgamma = dgamma.data();
        args.dbeta = dbeta.data();
        const Status status = FusedBatchNormGradReduce(problem, args, workspace, pool);
        ASSERT_TRUE(status.ok()) << status.message();
        EXPECT_TRUE(dgamma.GuardsIntact());
        EXPECT_TRUE(dbeta.GuardsIntact());
        EXPECT_TRUE(Matches(scenario.dgamma, dgamma.Values())) << "dgamma";
        EXPECT_TRUE(Matches(scenario.dbeta, dbeta.Values())) << "dbeta";
      });
}

TEST_P(BatchNormTest, GradApply) {
  ForEachRun(
      [](const Scenario& scenario, FusedBatchNormArgs args, void* workspace, ThreadPool* pool) {
        const FusedBatchNormProblem& problem = scenario.problem;
        const DataType wide = AccumulationType(problem.dtype);
        EXPECT_TRUE(BoundsAreMeaningful(scenario.dz));
        const InputBuffer dy(problem.dtype, scenario.dy);
        const InputBuffer code(problem.epilogue.pool.code_type, scenario.code);
        const InputBuffer dgamma(wide, scenario.sums.dgamma);
        const InputBuffer dbeta(wide, scenario.sums.dbeta);
        const InputBuffer count(wide, {scenario.count});
        OutputBuffer dz(problem.dtype, scenario.z.size());
        args.dy = dy.data();
        args.code = code.mutable_data();
        args.dgamma = dgamma.mutable_data();
        args.dbeta = dbeta.mutable_data();
        args.count = count.data();
        args.dz = dz.data();
        const Status status = FusedBatchNormGradApply(problem, args, workspace, pool);
        ASSERT_TRUE(status.ok()) << status.message();
        EXPECT_TRUE(dz.GuardsIntact());
        EXPECT_TRUE(Matches(scenario.dz, dz.Values())) << "dz";
      });
}

INSTANTIATE_TEST_SUITE_P(Cases, BatchNormTest,
                         ::testing::Combine(::testing::ValuesIn(kCases),
                                            ::testing::ValuesIn(kTensorTypes),
                                            ::testing::ValuesIn(kIsas)),
                         ParamName);

}  // namespace
}  // namespace fastconv::testing
