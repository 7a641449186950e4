// Fused batch normalisation + activation (+ max pooling), cut where a sum over replicas may enter:
// forward = statistics (with the convolution, see conv2d.h) | normalise;
// backward = reduce | apply.
#ifndef FASTCONV_CORE_BATCH_NORM_H_
#define FASTCONV_CORE_BATCH_NORM_H_

#include "core/problem.h"
#include "core/status.h"
#include "core/thread_pool.h"

namespace fastconv {

// Dense row-major tensors. z, y, dy, dz have the problem's dtype, code its code type, all
// per-channel vectors the accumulation type; gamma, beta may be null when absent.
struct FusedBatchNormArgs {
  const void* z = nullptr;
  const void* mean = nullptr;
  const void* variance = nullptr;
  const void* gamma = nullptr;
  const void* beta = nullptr;
  void* y = nullptr;
  void* code = nullptr;  // read in the backward passes
  const void* dy = nullptr;
  void* dgamma = nullptr;  // sum of da * xhat, where da = gradient at the activation's input;
                           // reduce writes, apply reads
  void* dbeta = nullptr;   // sum of da
  const void* count =
      nullptr;  // apply: one value, samples per channel behind the sums (over all replicas)
  void* dz = nullptr;
};

size_t FusedBatchNormWorkspaceBytes(const FusedBatchNormProblem& problem, int num_threads);

Status FusedBatchNorm(const FusedBatchNormProblem& problem, const FusedBatchNormArgs& args,
                      void* workspace, ThreadPool* pool);
// dgamma, dbeta from z, mean, variance, gamma, beta, code, dy.
Status FusedBatchNormGradReduce(const FusedBatchNormProblem& problem,
                                const FusedBatchNormArgs& args, void* workspace, ThreadPool* pool);
// dz = gamma / sqrt(variance + epsilon) * (da - dbeta / count - xhat * dgamma / count).
Status FusedBatchNormGradApply(const FusedBatchNormProblem& problem, const FusedBatchNormArgs& args,
                               void* workspace, ThreadPool* pool);

}  // namespace fastconv

#endif  // FASTCONV_CORE_BATCH_NORM_H_
