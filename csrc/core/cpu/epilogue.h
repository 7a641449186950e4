// What passes and algorithms share about the stages around a convolution.
#ifndef FASTCONV_CORE_CPU_EPILOGUE_H_
#define FASTCONV_CORE_CPU_EPILOGUE_H_

#include <cstdint>
#include <vector>

#include "core/cpu/kernels/kernels.h"
#include "core/problem.h"

namespace fastconv::cpu {

inline double NegativeSlope(const Epilogue& epilogue) {
  switch (epilogue.activation) {
    case Activation::kLinear:
      return 1.0;
    case Activation::kRelu:
      return 0.0;
    case Activation::kLeakyRelu:
      return epilogue.negative_slope;
  }
  return 1.0;
}

// Whether a tensor that nothing reads again at once is better written around the caches.
inline bool LargerThanCaches(int64_t bytes) { return bytes > int64_t{16} << 20; }

// Neighbouring rows of a map: what one work item computes.
struct Band {
  int64_t first_row;
  int64_t rows;
};

// [0, rows) in bands of `rows_per_band`, the last one what is left.
inline std::vector<Band> SplitRows(int64_t rows, int64_t rows_per_band) {
  std::vector<Band> bands;
  for (int64_t first = 0; first < rows; first += rows_per_band) {
    bands.push_back({first, rows - first < rows_per_band ? rows - first : rows_per_band});
  }
  return bands;
}

// The map's rows that the pooled rows [first, first + rows) look at.
inline Band RowsUnderPool(const WindowAxis& axis, int64_t first, int64_t rows) {
  const int64_t begin = first * axis.stride - axis.pad_before;
  const int64_t end = (first + rows - 1) * axis.stride - axis.pad_before + axis.window;
  const int64_t low = begin < 0 ? 0 : begin;
  const int64_t high = end > axis.in ? axis.in : end;
  return {low, high - low};
}

// Mean and population variance over all samples of a channel from those of its parts: parts hold
// [part][channels] means and sums of squared deviations, counts[part % counts.size()] samples.
// Chan, Golub, LeVeque, "Algorithms for computing the sample variance" (1983), in double.
template <class Acc>
void CombineStatistics(const Acc* means, const Acc* sums_squared_deviations, int64_t parts,
                       int64_t channels, const std::vector<int64_t>& counts, Acc* mean,
                       Acc* variance);

extern template void CombineStatistics<float>(const float*, const float*, int64_t, int64_t,
                                              const std::vector<int64_t>&, float*, float*);
extern template void CombineStatistics<double>(const double*, const double*, int64_t, int64_t,
                                               const std::vector<int64_t>&, double*, double*);

}  // namespace fastconv::cpu

#endif  // FASTCONV_CORE_CPU_EPILOGUE_H_
