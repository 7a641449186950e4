// Tensor cores and asynchronous copies on the CPU; matrix.h says what the functions do. A copy
// happens when its thread waits for it or, in every other block, at once, so that a missing wait
// and a missing barrier show.
#ifndef FASTCONV_CORE_CUDA_DEVICE_EMULATED_MATRIX_H_
#define FASTCONV_CORE_CUDA_DEVICE_EMULATED_MATRIX_H_

#include <cstdint>

#include "core/cuda/device/device.h"
#include "core/dtype.h"

namespace fastconv::cuda {

void LoadMatrices(const void* row, uint32_t (&words)[4]);
void LoadMatricesTransposed(const void* row, uint32_t (&words)[4]);
void MultiplyAdd(BFloat16, const uint32_t (&a)[4], const uint32_t (&b)[2], float (&d)[4]);
void MultiplyAdd(Float16, const uint32_t (&a)[4], const uint32_t (&b)[2], float (&d)[4]);
void MultiplyAdd(float, const uint32_t (&a)[4], const uint32_t (&b)[2], float (&d)[4]);

void CopyAsync(void* to, const void* from, bool present);
void CommitCopies();
namespace emulation {
void WaitForCopies(int left);
}
template <int kLeft>
void WaitForCopies() {
  emulation::WaitForCopies(kLeft);
}

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_DEVICE_EMULATED_MATRIX_H_
