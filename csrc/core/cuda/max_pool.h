// Stand-alone max pooling and its gradient on a GPU; see core/max_pool.h. float32, bfloat16 and
// float16. All pointers are the GPU's.
#ifndef FASTCONV_CORE_CUDA_MAX_POOL_H_
#define FASTCONV_CORE_CUDA_MAX_POOL_H_

#include "core/cuda/stream.h"
#include "core/problem.h"
#include "core/status.h"

namespace fastconv::cuda {

Status MaxPool(const MaxPoolProblem& problem, const void* x, void* y, void* code, Stream stream);
Status MaxPoolGrad(const MaxPoolProblem& problem, const void* dy, const void* code, void* dx,
                   Stream stream);

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_MAX_POOL_H_
