#include "core/reference/conv2d.h"

namespace fastconv::reference {
namespace {

// Calls visit(x_index, filter_index, z_index) for every product x * filter of the definition that
// adds to z; padding contributes nothing. The three passes differ only in which of the three they
// sum over.
template <typename Visit>
void ForEachProduct(const Conv2DProblem& problem, const Visit& visit) {
  const WindowAxis& h = problem.window.h;
  const WindowAxis& w = problem.window.w;
  const int64_t group_in = problem.in_channels / problem.groups;
  const int64_t group_out = problem.out_channels / problem.groups;
  for (int64_t n = 0; n < problem.batch; ++n) {
    for (int64_t i = 0; i < h.out; ++i) {
      for (int64_t j = 0; j < w.out; ++j) {
        for (int64_t r = 0; r < h.window; ++r) {
          const int64_t row = i * h.stride - h.pad_before + r * h.dilation;
          if (row < 0 || row >= h.in) continue;
          for (int64_t s = 0; s < w.window; ++s) {
            const int64_t column = j * w.stride - w.pad_before + s * w.dilation;
            if (column < 0 || column >= w.in) continue;
            const int64_t x_pixel = ((n * h.in + row) * w.in + column) * problem.in_channels;
            const int64_t z_pixel = ((n * h.out + i) * w.out + j) * problem.out_channels;
            for (int64_t g = 0; g < problem.groups; ++g) {
              for (int64_t c = 0; c < group_in; ++c) {
                const int64_t tap = ((r * w.window + s) * group_in + c) * problem.out_channels;
                for (int64_t k = g * group_out; k < (g + 1) * group_out; ++k) {
                  visit(x_pixel + g * group_in + c, tap + k, z_pixel + k);
                }
              }
            }
          }
        }
      }
    }
  }
}

}  // namespace

std::vector<double> Conv2D(const Conv2DProblem& problem, const std::vector<double>& x,
                           const std::vector<double>& filter) {
  std::vector<double> z(problem.batch * problem.window.h.out * problem.window.w.out *
                        problem.out_channels);
  ForEachProduct(problem, [&](int64_t x_index, int64_t filter_index, int64_t z_index) {
    z[z_index] += x[x_index] * filter[filter_index];
  });
  return z;
}

std::vector<double> Conv2DBackwardInput(const Conv2DProblem& problem,
                                        const std::vector<double>& filter,
                                        const std::vector<double>& dz) {
  std::vector<double> dx(problem.batch * problem.window.h.in * problem.window.w.in *
                         problem.in_channels);
  ForEachProduct(problem, [&](int64_t x_index, int64_t filter_index, int64_t z_index) {
    dx[x_index] += dz[z_index] * filter[filter_index];
  });
  return dx;
}

std::vector<double> Conv2DBackwardFilter(const Conv2DProblem& problem, const std::vector<double>& x,
                                         const std::vector<double>& dz) {
  std::vector<double> dfilter(problem.window.h.window * problem.window.w.window *
                              (problem.in_channels / problem.groups) * problem.out_channels);
  ForEachProduct(problem, [&](int64_t x_index, int64_t filter_index, int64_t z_index) {
    dfilter[filter_index] += x[x_index] * dz[z_index];
  });
  return dfilter;
}

}  // namespace fastconv::reference
