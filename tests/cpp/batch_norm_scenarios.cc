#include "batch_norm_scenarios.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "conv2d_cases.h"
#include "core/reference/activation.h"
#include "core/reference/epilogue.h"
#include "element_types.h"
#include "tolerances.h"

namespace fastconv::testing {
namespace {

// Per-channel values by the channel of each element.
double At(const std::vector<double>& per_channel, size_t index) {
  return per_channel[index % per_channel.size()];
}

BatchNormScenario MakeInputs(const BatchNormCase& bn_case, DataType type, Regime regime) {
  BatchNormScenario scenario;
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

AffineMagnitudes MagnitudesOf(const BatchNormScenario& scenario) {
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

}  // namespace

BatchNormScenario MakeBatchNormScenario(const BatchNormCase& bn_case, DataType type,
                                        Regime regime) {
  BatchNormScenario scenario = MakeInputs(bn_case, type, regime);
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

}  // namespace fastconv::testing
