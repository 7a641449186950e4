// What follows a convolution, as a pass of its own on a GPU: for convolutions that another library
// computes. float32, bfloat16 and float16. All pointers are the GPU's.
#ifndef FASTCONV_CORE_CUDA_EPILOGUE_H_
#define FASTCONV_CORE_CUDA_EPILOGUE_H_

#include <cstddef>
#include <cstdint>

#include "core/cuda/dropout_inputs.h"
#include "core/cuda/stream.h"
#include "core/problem.h"
#include "core/status.h"

namespace fastconv::cuda {

// z, bias (if has_bias) -> y, code (if pooled).
Status FusedEpilogue(const FusedEpilogueProblem& problem, const void* z, const void* bias, void* y,
                     void* code, const DropoutInputs& dropout, Stream stream);

size_t FusedEpilogueGradWorkspaceBytes(const FusedEpilogueProblem& problem);
// y (if the activation is not linear and nothing is pooled), code (if pooled), dy -> dz, which may
// be dy where nothing is pooled, and dbias. Without a dbias (null) no workspace is needed.
Status FusedEpilogueGrad(const FusedEpilogueProblem& problem, const void* y, const void* code,
                         const void* dy, void* dz, void* dbias, const DropoutInputs& dropout,
                         void* workspace, Stream stream);

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_EPILOGUE_H_
