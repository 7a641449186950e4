#include "core/cpu/kernels/matrix_product.h"

namespace fastconv::cpu::FASTCONV_ISA {

template void ConvRows<float>(const ConvRowsArgs&);
template void ConvRows<double>(const ConvRowsArgs&);
template void FilterGrad<float>(const FilterGradArgs&);
template void FilterGrad<double>(const FilterGradArgs&);

}  // namespace fastconv::cpu::FASTCONV_ISA
