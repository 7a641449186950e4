#include "core/cpu/kernels/grouped.h"

namespace fastconv::cpu::FASTCONV_ISA {

template void SpreadGroups<float>(const SpreadGroupsArgs&);
template void SpreadGroups<double>(const SpreadGroupsArgs&);
template void GroupedRows<float>(const GroupedRowsArgs&);
template void GroupedRows<double>(const GroupedRowsArgs&);
template void GroupedFilterGrad<float>(const GroupedFilterGradArgs&);
template void GroupedFilterGrad<double>(const GroupedFilterGradArgs&);

}  // namespace fastconv::cpu::FASTCONV_ISA
