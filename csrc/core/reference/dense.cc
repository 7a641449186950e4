#include "core/reference/dense.h"

namespace fastconv::reference {
namespace {

// body(n, i, k) for all samples, inputs and units.
template <class Body>
void ForEachProduct(const FusedDenseProblem& problem, const Body& body) {
  for (int64_t n = 0; n < problem.batch; ++n) {
    for (int64_t i = 0; i < problem.inputs; ++i) {
      for (int64_t k = 0; k < problem.units; ++k) body(n, i, k);
    }
  }
}

}  // namespace

std::vector<double> Dense(const FusedDenseProblem& problem, const std::vector<double>& x,
                          const std::vector<double>& kernel) {
  std::vector<double> z(problem.batch * problem.units, 0.0);
  ForEachProduct(problem, [&](int64_t n, int64_t i, int64_t k) {
    z[n * problem.units + k] += x[n * problem.inputs + i] * kernel[i * problem.units + k];
  });
  return z;
}

std::vector<double> DenseBackwardInput(const FusedDenseProblem& problem,
                                       const std::vector<double>& kernel,
                                       const std::vector<double>& dz) {
  std::vector<double> dx(problem.batch * problem.inputs, 0.0);
  ForEachProduct(problem, [&](int64_t n, int64_t i, int64_t k) {
    dx[n * problem.inputs + i] += kernel[i * problem.units + k] * dz[n * problem.units + k];
  });
  return dx;
}

std::vector<double> DenseBackwardKernel(const FusedDenseProblem& problem,
                                        const std::vector<double>& x,
                                        const std::vector<double>& dz) {
  std::vector<double> dkernel(problem.inputs * problem.units, 0.0);
  ForEachProduct(problem, [&](int64_t n, int64_t i, int64_t k) {
    dkernel[i * problem.units + k] += x[n * problem.inputs + i] * dz[n * problem.units + k];
  });
  return dkernel;
}

}  // namespace fastconv::reference
