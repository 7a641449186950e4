// Every bound that the C++ tests use, with where it comes from.
#ifndef FASTCONV_TESTS_CPP_TOLERANCES_H_
#define FASTCONV_TESTS_CPP_TOLERANCES_H_

#include <algorithm>
#include <cmath>

#include "core/dtype.h"
#include "element_types.h"

namespace fastconv::testing {

// Unit roundoff u of the type that a kernel accumulates in. For float64 the reference has the same
// precision as the kernel, so that the errors of both count.
inline double AccumulationRoundoff(DataType type) {
  const double roundoff = UnitRoundoff(AccumulationType(type));
  return type == DataType::kFloat64 ? 2 * roundoff : roundoff;
}

// Error of a sum of `terms` products in any order, fused or not. Every product passes at most
// terms + 1 roundings, each a factor (1 + d) with |d| <= u. Taken as independent with mean 0, the
// factors multiply to 1 + e with |e| <= lambda * sqrt(terms + 1) * u but for a probability of at
// most 2 exp(-lambda^2 / 2) (Higham and Mary, SIAM J. Sci. Comput. 41(5), 2019, theorem 2.4), and
// the error of the sum is at most |e| times the sum of |products|. lambda = 8: 2.5e-14. Should the
// certain bound (terms + 1) * u be smaller, that one holds.
inline double SumBound(DataType type, double terms, double sum_of_magnitudes) {
  constexpr double kLambda = 8;
  const double roundings = std::min(kLambda * std::sqrt(terms + 1), terms + 1);
  return roundings * AccumulationRoundoff(type) * sum_of_magnitudes;
}

// Error of a result that is off by `bound` before it is rounded to `type`: half a unit in the last
// place on top, or half the spacing of subnormal numbers.
inline double StoredBound(DataType type, double value, double bound) {
  return bound + UnitRoundoff(type) * (std::fabs(value) + bound) + SmallestSpacing(type) / 2;
}

// Error of activation(a) where `a` is off by `bound`: the activation's slopes are at most
// max(1, slope), its one product rounds once.
inline double ActivationBound(DataType type, double slope, double activated, double bound) {
  return std::max(1.0, slope) * bound + AccumulationRoundoff(type) * std::fabs(activated);
}

// Roundings on the way of one operand through a chain of elementwise operations (batch
// normalisation: difference, square root, quotient, products, sums; at most 2 units each for a
// reciprocal square root that is refined by Newton steps). The errors are relative to the
// magnitudes of the operands, before they cancel.
inline constexpr double kElementwiseRoundings = 12;

inline double ElementwiseBound(DataType type, double sum_of_magnitudes) {
  return kElementwiseRoundings * AccumulationRoundoff(type) * sum_of_magnitudes;
}

// Mean and variance of a batch, compared with the exact statistics of the kernel's own output. That
// output may be rounded to the tensor's type after the statistics were taken, and the bias added
// after them: each value is off by at most delta_i = (u_T + 2 u) |z_i|, the mean so by their mean.
// With m the mean of delta_i^2, the variance is off by at most 2 sqrt(variance * m) + m
// (Cauchy-Schwarz). Beyond that, sums may lose no more than a constant number of roundings, however
// many samples there are: blocks of bounded length, merged in higher precision or as a tree.
inline constexpr double kStatisticsRoundings = 128;

struct StatisticsBound {
  double mean;
  double variance;
};

inline double SampleRoundoff(DataType type) {
  return UnitRoundoff(type) + 2 * AccumulationRoundoff(type);
}

// mean_magnitude: mean of |z_i|; mean_square: mean of z_i^2.
inline StatisticsBound StatisticsBoundOf(DataType type, double mean_magnitude, double mean_square,
                                         double variance) {
  const double delta = SampleRoundoff(type);
  const double u = AccumulationRoundoff(type);
  const double m = delta * delta * mean_square;
  StatisticsBound bound;
  bound.mean = delta * mean_magnitude + kStatisticsRoundings * u * std::sqrt(variance) +
               SmallestSpacing(AccumulationType(type));
  bound.variance = 2 * std::sqrt(variance * m) + m + kStatisticsRoundings * u * variance +
                   SmallestSpacing(AccumulationType(type));
  return bound;
}

// Winograd's transforms add and subtract neighbouring inputs, so that an output's error depends on
// its whole tile: compared by relative L2 norm (as oneDNN and NNPACK do), and each value against
// that norm's root mean square. The norm's bound is what fastconv promises for float32, whatever
// the batch; measured errors are 4e-7 to 2.8e-6. Errors of the outputs of a tile differ by less
// than the second factor.
inline constexpr double kWinogradNormBound = 3e-6;
inline constexpr double kWinogradPeak = 16;

// The bound with the rounding of each value to `type` on top, for types narrower than what the
// transforms compute in.
inline double StoredNormBound(DataType type, double bound) {
  return type == AccumulationType(type) ? bound : bound + UnitRoundoff(type);
}

// A bound must stay below this fraction of the largest expected value, or it would hide errors as
// large as the data.
inline constexpr double kLargestBoundFraction = 1.0 / 16;

}  // namespace fastconv::testing

#endif  // FASTCONV_TESTS_CPP_TOLERANCES_H_
