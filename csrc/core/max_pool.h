// Stand-alone max pooling and its gradient.
#ifndef FASTCONV_CORE_MAX_POOL_H_
#define FASTCONV_CORE_MAX_POOL_H_

#include "core/problem.h"
#include "core/status.h"
#include "core/thread_pool.h"

namespace fastconv {

size_t MaxPoolWorkspaceBytes(const MaxPoolProblem& problem, int num_threads);

// x -> y, code. NaNs lose against any number; a window of nothing else yields -inf at position 0.
Status MaxPool(const MaxPoolProblem& problem, const void* x, void* y, void* code, void* workspace,
               ThreadPool* pool);
// dy, code -> dx; windows that overlap add up in the accumulation type.
Status MaxPoolGrad(const MaxPoolProblem& problem, const void* dy, const void* code, void* dx,
                   void* workspace, ThreadPool* pool);

}  // namespace fastconv

#endif  // FASTCONV_CORE_MAX_POOL_H_
