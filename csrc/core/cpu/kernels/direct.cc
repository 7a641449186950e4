#include "core/cpu/kernels/direct.h"

namespace fastconv::cpu::FASTCONV_ISA {

template void DirectMap<float, float>(const DirectRowsArgs&);
template void DirectMap<BFloat16, float>(const DirectRowsArgs&);
template void DirectMap<Float16, float>(const DirectRowsArgs&);
template void DirectMap<double, double>(const DirectRowsArgs&);
template void DirectPool<float, float>(const DirectRowsArgs&);
template void DirectPool<BFloat16, float>(const DirectRowsArgs&);
template void DirectPool<Float16, float>(const DirectRowsArgs&);
template void DirectPool<double, double>(const DirectRowsArgs&);
template void DirectFilterGrad<float, float>(const DirectFilterGradArgs&);
template void DirectFilterGrad<BFloat16, float>(const DirectFilterGradArgs&);
template void DirectFilterGrad<Float16, float>(const DirectFilterGradArgs&);
template void DirectFilterGrad<double, double>(const DirectFilterGradArgs&);

}  // namespace fastconv::cpu::FASTCONV_ISA
