#include "core/reference/batch_norm.h"

#include <cmath>
#include <cstddef>

#include "core/reference/epilogue.h"

namespace fastconv::reference {
namespace {

std::vector<double> ActivationInputGradient(const FusedBatchNormProblem& problem,
                                            const BatchNormParameters& parameters,
                                            const std::vector<double>& z,
                                            const std::vector<PoolCode>& code,
                                            const std::vector<double>& dy) {
  return EpilogueBackward(problem.epilogue, problem.batch, problem.channels, dy,
                          BatchNormAffine(problem, parameters, z), code);
}

}  // namespace

Statistics BatchStatistics(int64_t channels, const std::vector<double>& values) {
  const double rows = static_cast<double>(values.size() / channels);
  Statistics statistics;
  statistics.mean = ChannelSums(channels, values);
  for (double& mean : statistics.mean) mean /= rows;
  std::vector<double> squares(values.size());
  for (size_t index = 0; index < values.size(); ++index) {
    const double deviation = values[index] - statistics.mean[index % channels];
    squares[index] = deviation * deviation;
  }
  statistics.variance = ChannelSums(channels, squares);
  for (double& variance : statistics.variance) variance /= rows;
  return statistics;
}

std::vector<double> NormalizedInput(const FusedBatchNormProblem& problem,
                                    const BatchNormParameters& parameters,
                                    const std::vector<double>& z) {
  const double epsilon = problem.epsilon;
  std::vector<double> normalized(z.size());
  for (size_t index = 0; index < z.size(); ++index) {
    const size_t channel = index % problem.channels;
    normalized[index] =
        (z[index] - parameters.mean[channel]) / std::sqrt(parameters.variance[channel] + epsilon);
  }
  return normalized;
}

std::vector<double> BatchNormAffine(const FusedBatchNormProblem& problem,
                                    const BatchNormParameters& parameters,
                                    const std::vector<double>& z) {
  std::vector<double> a = NormalizedInput(problem, parameters, z);
  for (size_t index = 0; index < a.size(); ++index) {
    const size_t channel = index % problem.channels;
    a[index] = parameters.gamma[channel] * a[index] + parameters.beta[channel];
  }
  return a;
}

BatchNormSums BatchNormBackwardReduce(const FusedBatchNormProblem& problem,
                                      const BatchNormParameters& parameters,
                                      const std::vector<double>& z,
                                      const std::vector<PoolCode>& code,
                                      const std::vector<double>& dy) {
  std::vector<double> da = ActivationInputGradient(problem, parameters, z, code, dy);
  const std::vector<double> normalized = NormalizedInput(problem, parameters, z);
  BatchNormSums sums;
  sums.dbeta = ChannelSums(problem.channels, da);
  for (size_t index = 0; index < da.size(); ++index) da[index] *= normalized[index];
  sums.dgamma = ChannelSums(problem.channels, da);
  return sums;
}

std::vector<double> BatchNormBackwardApply(const FusedBatchNormProblem& problem,
                                           const BatchNormParameters& parameters,
                                           const std::vector<double>& z,
                                           const std::vector<PoolCode>& code,
                                           const std::vector<double>& dy, const BatchNormSums& sums,
                                           double count) {
  const double epsilon = problem.epsilon;
  std::vector<double> dz = ActivationInputGradient(problem, parameters, z, code, dy);
  const std::vector<double> normalized = NormalizedInput(problem, parameters, z);
  for (size_t index = 0; index < dz.size(); ++index) {
    const size_t channel = index % problem.channels;
    const double scale =
        parameters.gamma[channel] / std::sqrt(parameters.variance[channel] + epsilon);
    dz[index] = scale * (dz[index] - sums.dbeta[channel] / count -
                         normalized[index] * sums.dgamma[channel] / count);
  }
  return dz;
}

}  // namespace fastconv::reference
