#include "core/cpu/epilogue.h"

namespace fastconv::cpu {

template <class Acc>
void CombineStatistics(const Acc* means, const Acc* sums_squared_deviations, int64_t parts,
                       int64_t channels, const std::vector<int64_t>& counts, Acc* mean,
                       Acc* variance) {
  std::vector<double> total(channels, 0.0), squares(channels, 0.0);
  double samples = 0;
  for (int64_t part = 0; part < parts; ++part) {
    const double count = counts[part % counts.size()];
    samples += count;
    for (int64_t c = 0; c < channels; ++c) total[c] += count * means[part * channels + c];
  }
  for (double& value : total) value /= samples;  // no samples: NaN, as in TensorFlow
  for (int64_t part = 0; part < parts; ++part) {
    const double count = counts[part % counts.size()];
    for (int64_t c = 0; c < channels; ++c) {
      const double deviation = means[part * channels + c] - total[c];
      squares[c] += sums_squared_deviations[part * channels + c] + count * deviation * deviation;
    }
  }
  for (int64_t c = 0; c < channels; ++c) {
    mean[c] = static_cast<Acc>(total[c]);
    variance[c] = static_cast<Acc>(squares[c] / samples);
  }
}

template void CombineStatistics<float>(const float*, const float*, int64_t, int64_t,
                                       const std::vector<int64_t>&, float*, float*);
template void CombineStatistics<double>(const double*, const double*, int64_t, int64_t,
                                        const std::vector<int64_t>&, double*, double*);

}  // namespace fastconv::cpu
