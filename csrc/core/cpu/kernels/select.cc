#include "core/cpu/kernels/kernels.h"

namespace fastconv::cpu {

const Kernels& GetKernels(Isa isa, DataType dtype) {
  switch (isa) {
#if defined(__x86_64__)
    case Isa::kAvx512:
      return avx512::GetKernels(dtype);
    case Isa::kAvx2:
      return avx2::GetKernels(dtype);
#endif
    default:
      return baseline::GetKernels(dtype);
  }
}

}  // namespace fastconv::cpu
