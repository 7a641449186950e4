// Reference dense layer: plain loops in double, straight from the definition in core/problem.h.
#ifndef FASTCONV_CORE_REFERENCE_DENSE_H_
#define FASTCONV_CORE_REFERENCE_DENSE_H_

#include <vector>

#include "core/problem.h"

namespace fastconv::reference {

// x [batch, inputs], kernel [inputs, units] -> z [batch, units], before bias and activation.
std::vector<double> Dense(const FusedDenseProblem& problem, const std::vector<double>& x,
                          const std::vector<double>& kernel);

// kernel, dz -> dx [batch, inputs].
std::vector<double> DenseBackwardInput(const FusedDenseProblem& problem,
                                       const std::vector<double>& kernel,
                                       const std::vector<double>& dz);

// x, dz -> dkernel [inputs, units].
std::vector<double> DenseBackwardKernel(const FusedDenseProblem& problem,
                                        const std::vector<double>& x,
                                        const std::vector<double>& dz);

}  // namespace fastconv::reference

#endif  // FASTCONV_CORE_REFERENCE_DENSE_H_
