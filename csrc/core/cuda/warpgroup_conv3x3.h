// Launch of the kernels for 3x3 convolutions on GPUs of compute capability 9.0.
#ifndef FASTCONV_CORE_CUDA_WARPGROUP_CONV3X3_H_
#define FASTCONV_CORE_CUDA_WARPGROUP_CONV3X3_H_

#include <cstddef>
#include <cstdint>

#include "core/cuda/kernels/conv3x3.h"
#include "core/cuda/kernels/filter_grad3x3.h"
#include "core/cuda/stream.h"
#include "core/dtype.h"
#include "core/problem.h"
#include "core/status.h"

namespace fastconv::cuda {

// Whether the kernels take the gradients behind the convolution on their way; else they read dz.
bool WarpgroupsFold(const Conv2DProblem& problem);

// Scratch for the packed filter, of a convolution that WarpgroupConv3x3Refusal (conv2d_dispatch.h)
// does not refuse.
size_t PackedFilterBytes(const Conv2DProblem& problem);

// Scratch for statistics of the batch.
size_t WarpgroupStatisticsBytes(const Conv2DProblem& problem);

// Sizes of tiles and chunks in `args` are not used. `partials`: how many partial statistics there
// are, where these are wanted.
Status LaunchWarpgroupConv3x3(DataType dtype, int64_t images, const Conv3x3Args& args,
                              Conv3x3Result result, void* packed_filter, Stream stream,
                              int* partials);
// The gradient of the input.
Status LaunchRotatedWarpgroupConv3x3(DataType dtype, int64_t images, const Conv3x3Args& args,
                                     Folded folded, void* packed_filter, Stream stream);

// Scratch for sums of the filter's gradient. Sizes of tiles in `args` are not used.
size_t WarpgroupFilterPartialBytes(const Conv2DProblem& problem);
Status LaunchWarpgroupFilterGrad3x3(DataType dtype, int64_t images, const FilterGrad3x3Args& args,
                                    Folded folded, void* dfilter, void* dbias, Stream stream);

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_WARPGROUP_CONV3X3_H_
