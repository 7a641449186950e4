// Bias, activation, max pooling and dropout of a convolution that another library computes, and
// their gradient.
#ifndef FASTCONV_CORE_EPILOGUE_H_
#define FASTCONV_CORE_EPILOGUE_H_

#include <cstddef>

#include "core/problem.h"
#include "core/status.h"
#include "core/thread_pool.h"

namespace fastconv {

// Dense row-major tensors: code of the code type, all others of the problem's dtype.
struct FusedEpilogueArgs {
  const void* z = nullptr;
  const void* bias = nullptr;  // [channels], if has_bias
  void* y = nullptr;           // read in the gradient if it is not linear and nothing is pooled
  void* code = nullptr;        // if pooled; read in the gradient
  const void* dy = nullptr;
  void* dz = nullptr;
  void* dbias = nullptr;  // [channels]
};

size_t FusedEpilogueWorkspaceBytes(const FusedEpilogueProblem& problem, int num_threads);

// z, bias -> y, code.
Status FusedEpilogue(const FusedEpilogueProblem& problem, const FusedEpilogueArgs& args,
                     void* workspace, ThreadPool* pool);
// y, code, dy -> dz, dbias.
Status FusedEpilogueGrad(const FusedEpilogueProblem& problem, const FusedEpilogueArgs& args,
                         void* workspace, ThreadPool* pool);

}  // namespace fastconv

#endif  // FASTCONV_CORE_EPILOGUE_H_
