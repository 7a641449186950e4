#include "core/reference/epilogue.h"

#include <cstddef>

#include "core/reference/activation.h"

namespace fastconv::reference {

EpilogueOutput EpilogueForward(const Epilogue& epilogue, int64_t batch, int64_t channels,
                               const std::vector<double>& a) {
  const double slope = NegativeSlope(epilogue.activation, epilogue.negative_slope);
  EpilogueOutput output;
  output.map.resize(a.size());
  for (size_t index = 0; index < a.size(); ++index) output.map[index] = Activate(a[index], slope);
  if (epilogue.pool.enabled) {
    Pooled pooled = MaxPool(epilogue.pool, batch, channels, output.map);
    output.y = pooled.y;
    output.code = pooled.code;
  } else {
    output.y = output.map;
  }
  return output;
}

std::vector<double> EpilogueBackward(const Epilogue& epilogue, int64_t batch, int64_t channels,
                                     const std::vector<double>& dy,
                                     const std::vector<double>& sign_source,
                                     const std::vector<PoolCode>& code) {
  const double slope = NegativeSlope(epilogue.activation, epilogue.negative_slope);
  if (epilogue.pool.enabled) {
    return MaxPoolBackward(epilogue.pool, batch, channels, dy, code, slope);
  }
  std::vector<double> da(dy.size());
  for (size_t index = 0; index < dy.size(); ++index) {
    da[index] = epilogue.activation == Activation::kLinear
                    ? dy[index]
                    : ActivateBackward(sign_source[index] > 0, dy[index], slope);
  }
  return da;
}

std::vector<double> ChannelSums(int64_t channels, const std::vector<double>& values) {
  // Wider than double: the oracle of float64 kernels must not lose what they keep.
  std::vector<long double> sums(channels);
  for (size_t index = 0; index < values.size(); ++index) sums[index % channels] += values[index];
  return std::vector<double>(sums.begin(), sums.end());
}

void AddToChannels(const std::vector<double>& bias, std::vector<double>* values) {
  for (size_t index = 0; index < values->size(); ++index) {
    (*values)[index] += bias[index % bias.size()];
  }
}

}  // namespace fastconv::reference
