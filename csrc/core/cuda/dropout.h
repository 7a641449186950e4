// Stand-alone dropout on a GPU, of single elements; see core/dropout.h. float32, bfloat16 and
// float16. All pointers are the GPU's.
#ifndef FASTCONV_CORE_CUDA_DROPOUT_H_
#define FASTCONV_CORE_CUDA_DROPOUT_H_

#include <cstdint>

#include "core/cuda/dropout_inputs.h"
#include "core/cuda/stream.h"
#include "core/dtype.h"
#include "core/status.h"

namespace fastconv::cuda {

// x -> y, or of y's gradient x's. y may be x.
Status Dropout(DataType dtype, int64_t elements, const void* x, void* y,
               const DropoutInputs& inputs, Stream stream);

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_DROPOUT_H_
