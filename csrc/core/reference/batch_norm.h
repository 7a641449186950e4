// Reference batch normalisation: statistics, forward, and the total derivative cut into reduce and
// apply, as core/batch_norm.h cuts it.
#ifndef FASTCONV_CORE_REFERENCE_BATCH_NORM_H_
#define FASTCONV_CORE_REFERENCE_BATCH_NORM_H_

#include <vector>

#include "core/problem.h"
#include "core/reference/max_pool.h"

namespace fastconv::reference {

struct Statistics {
  std::vector<double> mean;
  std::vector<double> variance;  // of the population
};

// values [rows, channels], at least one row; two passes.
Statistics BatchStatistics(int64_t channels, const std::vector<double>& values);

struct BatchNormParameters {
  std::vector<double> mean;
  std::vector<double> variance;
  std::vector<double> gamma;  // ones where the problem has none
  std::vector<double> beta;   // zeros where the problem has none
};

// z -> (z - mean) / sqrt(variance + epsilon).
std::vector<double> NormalizedInput(const FusedBatchNormProblem& problem,
                                    const BatchNormParameters& parameters,
                                    const std::vector<double>& z);

// z -> gamma * NormalizedInput(z) + beta, the input of the activation.
std::vector<double> BatchNormAffine(const FusedBatchNormProblem& problem,
                                    const BatchNormParameters& parameters,
                                    const std::vector<double>& z);

struct BatchNormSums {
  std::vector<double> dgamma;
  std::vector<double> dbeta;
};

// dy -> sums of da * NormalizedInput(z) and of da, where da is the gradient at the activation's
// input.
BatchNormSums BatchNormBackwardReduce(const FusedBatchNormProblem& problem,
                                      const BatchNormParameters& parameters,
                                      const std::vector<double>& z,
                                      const std::vector<PoolCode>& code,
                                      const std::vector<double>& dy);

// dy and the sums (over `count` samples per channel) -> dz, the total derivative: through z itself
// and through the mean and the variance of the batch.
std::vector<double> BatchNormBackwardApply(const FusedBatchNormProblem& problem,
                                           const BatchNormParameters& parameters,
                                           const std::vector<double>& z,
                                           const std::vector<PoolCode>& code,
                                           const std::vector<double>& dy, const BatchNormSums& sums,
                                           double count);

}  // namespace fastconv::reference

#endif  // FASTCONV_CORE_REFERENCE_BATCH_NORM_H_
