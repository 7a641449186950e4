// Reference max pooling.
#ifndef FASTCONV_CORE_REFERENCE_MAX_POOL_H_
#define FASTCONV_CORE_REFERENCE_MAX_POOL_H_

#include <vector>

#include "core/problem.h"

namespace fastconv::reference {

// Where a pooled value comes from; encoded by the library as MaxPoolSpec tells.
struct PoolCode {
  int64_t position = 0;  // row * window.w + column
  bool positive = false;
};

struct Pooled {
  std::vector<double> y;
  std::vector<PoolCode> code;
};

// Index into a map [batch, h.in, w.in, channels] of `position` in the window of pooled cell
// (n, i, j, channel); -1 where that is padding.
int64_t MapIndex(const MaxPoolSpec& pool, int64_t channels, int64_t n, int64_t i, int64_t j,
                 int64_t channel, int64_t position);

// map [batch, h.in, w.in, channels] -> y, code [batch, h.out, w.out, channels]. The first of equal
// maxima in row-major order wins; NaN loses against any number; a window of nothing else yields
// -inf at position 0.
Pooled MaxPool(const MaxPoolSpec& pool, int64_t batch, int64_t channels,
               const std::vector<double>& map);

// dy -> gradient at the map, before the activation: what falls on a maximum that is not positive is
// multiplied by `slope` (1 without activation). Windows that overlap add up.
std::vector<double> MaxPoolBackward(const MaxPoolSpec& pool, int64_t batch, int64_t channels,
                                    const std::vector<double>& dy,
                                    const std::vector<PoolCode>& code, double slope);

}  // namespace fastconv::reference

#endif  // FASTCONV_CORE_REFERENCE_MAX_POOL_H_
