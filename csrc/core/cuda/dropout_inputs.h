// What dropout reads, in the GPU's memory, so that no call waits for it; null without dropout. The
// rate and the seed of a problem's own DropoutSpec are not looked at.
#ifndef FASTCONV_CORE_CUDA_DROPOUT_INPUTS_H_
#define FASTCONV_CORE_CUDA_DROPOUT_INPUTS_H_

#include <cstdint>

namespace fastconv::cuda {

struct DropoutInputs {
  const double* rate = nullptr;   // from 0 to 1
  const int32_t* seed = nullptr;  // 2
};

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_DROPOUT_INPUTS_H_
