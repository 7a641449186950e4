// Batch normalisation on a GPU, with the batch's statistics; see core/batch_norm.h. float32,
// bfloat16 and float16. All pointers, those in the arguments too, are the GPU's.
#ifndef FASTCONV_CORE_CUDA_BATCH_NORM_H_
#define FASTCONV_CORE_CUDA_BATCH_NORM_H_

#include <cstddef>
#include <cstdint>

#include "core/batch_norm.h"
#include "core/cuda/dropout_inputs.h"
#include "core/cuda/stream.h"
#include "core/problem.h"
#include "core/status.h"

namespace fastconv::cuda {

// What the blocks of a convolution left of its output (kernels/statistics.h) -> mean and population
// variance, float32.
Status MergeBatchStatistics(const float* partials, int blocks, int64_t channels, float* mean,
                            float* variance, Stream stream);

Status FusedBatchNorm(const FusedBatchNormProblem& problem, const FusedBatchNormArgs& args,
                      const DropoutInputs& dropout, Stream stream);

size_t FusedBatchNormGradReduceWorkspaceBytes(const FusedBatchNormProblem& problem);
Status FusedBatchNormGradReduce(const FusedBatchNormProblem& problem,
                                const FusedBatchNormArgs& args, const DropoutInputs& dropout,
                                void* workspace, Stream stream);
Status FusedBatchNormGradApply(const FusedBatchNormProblem& problem, const FusedBatchNormArgs& args,
                               const DropoutInputs& dropout, Stream stream);

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_BATCH_NORM_H_
