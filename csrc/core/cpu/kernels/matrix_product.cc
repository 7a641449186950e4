#include "core/cpu/kernels/matrix_product.h"

namespace fastconv::cpu::FASTCONV_ISA {

template void ConvRows<float>(const ConvRowsArgs&);
template void ConvRows<double>(const ConvRowsArgs&);
template void FilterGrad<float>(const FilterGradArgs&);
template void FilterGrad<double>(const FilterGradArgs&);
template void TileProducts<float>(const TileProductsArgs&);
template void TileProducts<double>(const TileProductsArgs&);

}  // namespace fastconv::cpu::FASTCONV_ISA
