#include "core/reference/max_pool.h"

#include <cmath>
#include <limits>

#include "core/reference/activation.h"

namespace fastconv::reference {
namespace {

// Calls visit(n, i, j, channel, index) for every pooled cell, index counting them in order.
template <typename Visit>
void ForEachCell(const MaxPoolSpec& pool, int64_t batch, int64_t channels, const Visit& visit) {
  int64_t index = 0;
  for (int64_t n = 0; n < batch; ++n) {
    for (int64_t i = 0; i < pool.window.h.out; ++i) {
      for (int64_t j = 0; j < pool.window.w.out; ++j) {
        for (int64_t channel = 0; channel < channels; ++channel) {
          visit(n, i, j, channel, index++);
        }
      }
    }
  }
}

int64_t CellCount(const MaxPoolSpec& pool, int64_t batch, int64_t channels) {
  return batch * pool.window.h.out * pool.window.w.out * channels;
}

}  // namespace

int64_t MapIndex(const MaxPoolSpec& pool, int64_t channels, int64_t n, int64_t i, int64_t j,
                 int64_t channel, int64_t position) {
  const WindowAxis& h = pool.window.h;
  const WindowAxis& w = pool.window.w;
  const int64_t row = i * h.stride - h.pad_before + position / w.window * h.dilation;
  const int64_t column = j * w.stride - w.pad_before + position % w.window * w.dilation;
  if (row < 0 || row >= h.in || column < 0 || column >= w.in) return -1;
  return ((n * h.in + row) * w.in + column) * channels + channel;
}

Pooled MaxPool(const MaxPoolSpec& pool, int64_t batch, int64_t channels,
               const std::vector<double>& map) {
  Pooled pooled;
  pooled.y.resize(CellCount(pool, batch, channels));
  pooled.code.resize(pooled.y.size());
  ForEachCell(pool, batch, channels,
              [&](int64_t n, int64_t i, int64_t j, int64_t channel, int64_t cell) {
                double best = -std::numeric_limits<double>::infinity();
                int64_t best_position = -1;
                for (int64_t position = 0; position < pool.positions(); ++position) {
                  const int64_t index = MapIndex(pool, channels, n, i, j, channel, position);
                  if (index < 0 || std::isnan(map[index])) continue;
                  if (best_position < 0 || map[index] > best) {
                    best = map[index];
                    best_position = position;
                  }
                }
                pooled.y[cell] = best;
                pooled.code[cell].position = best_position < 0 ? 0 : best_position;
                pooled.code[cell].positive = best > 0;
              });
  return pooled;
}

std::vector<double> MaxPoolBackward(const MaxPoolSpec& pool, int64_t batch, int64_t channels,
                                    const std::vector<double>& dy,
                                    const std::vector<PoolCode>& code, double slope) {
  std::vector<double> gradient(batch * pool.window.h.in * pool.window.w.in * channels);
  ForEachCell(
      pool, batch, channels, [&](int64_t n, int64_t i, int64_t j, int64_t channel, int64_t cell) {
        const int64_t index = MapIndex(pool, channels, n, i, j, channel, code[cell].position);
        if (index < 0) return;
        gradient[index] += ActivateBackward(code[cell].positive, dy[cell], slope);
      });
  return gradient;
}

}  // namespace fastconv::reference
