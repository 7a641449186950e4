// Reference convolution: plain loops in double, straight from the definition in core/problem.h.
#ifndef FASTCONV_CORE_REFERENCE_CONV2D_H_
#define FASTCONV_CORE_REFERENCE_CONV2D_H_

#include <vector>

#include "core/problem.h"

namespace fastconv::reference {

// x [N, H, W, C], filter [R, S, C/G, K] -> z [N, OH, OW, K].
std::vector<double> Conv2D(const Conv2DProblem& problem, const std::vector<double>& x,
                           const std::vector<double>& filter);

// filter, dz -> dx [N, H, W, C].
std::vector<double> Conv2DBackwardInput(const Conv2DProblem& problem,
                                        const std::vector<double>& filter,
                                        const std::vector<double>& dz);

// x, dz -> dfilter [R, S, C/G, K].
std::vector<double> Conv2DBackwardFilter(const Conv2DProblem& problem, const std::vector<double>& x,
                                         const std::vector<double>& dz);

}  // namespace fastconv::reference

#endif  // FASTCONV_CORE_REFERENCE_CONV2D_H_
