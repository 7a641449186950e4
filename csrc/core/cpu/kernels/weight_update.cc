#include "core/cpu/kernels/weight_update.h"

namespace fastconv::cpu::FASTCONV_ISA {

template void UpdateWeight<float>(const UpdateWeightArgs&);
template void UpdateWeight<double>(const UpdateWeightArgs&);

}  // namespace fastconv::cpu::FASTCONV_ISA
