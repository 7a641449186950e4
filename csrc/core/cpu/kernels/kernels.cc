#include "core/cpu/kernels/kernels.h"

#include "core/cpu/kernels/batch_norm.h"
#include "core/cpu/kernels/copy.h"
#include "core/cpu/kernels/dropout.h"
#include "core/cpu/kernels/few_outputs.h"
#include "core/cpu/kernels/pointwise.h"
#include "core/cpu/kernels/pooling.h"
#include "core/cpu/kernels/simd.h"

namespace fastconv::cpu::FASTCONV_ISA {

// matrix_product.cc
template <class Acc>
void ConvRows(const ConvRowsArgs& args);
template <class Acc>
void FilterGrad(const FilterGradArgs& args);
template <class Acc>
void TileProducts(const TileProductsArgs& args);
// weight_update.cc
template <class Acc>
void UpdateWeight(const UpdateWeightArgs& args);
// winograd.cc
const WinogradKernels* GetWinogradKernels(DataType dtype);

// grouped.cc
template <class Acc>
void SpreadGroups(const SpreadGroupsArgs& args);
template <class Acc>
void GroupedRows(const GroupedRowsArgs& args);
template <class Acc>
void GroupedFilterGrad(const GroupedFilterGradArgs& args);

// direct.cc
template <class T, class Acc>
void DirectMap(const DirectRowsArgs& args);
template <class T, class Acc>
void DirectPool(const DirectRowsArgs& args);
template <class T, class Acc>
void DirectFilterGrad(const DirectFilterGradArgs& args);

namespace {

constexpr Isa kIsa = FASTCONV_VECTOR_BYTES == 64   ? Isa::kAvx512
                     : FASTCONV_VECTOR_BYTES == 32 ? Isa::kAvx2
                                                   : Isa::kBaseline;

template <class T, class Acc>
Kernels TableOf(DataType dtype) {
  return {kIsa,
          dtype,
          kLanes<Acc>,
          LoadRows<T, Acc>,
          LoadTransposed<T, Acc>,
          StoreRows<T, Acc>,
          CopyAroundCaches<T>,
          AddRows<Acc>,
          ConvRows<Acc>,
          FilterGrad<Acc>,
          TileProducts<Acc>,
          SpreadGroups<Acc>,
          GroupedRows<Acc>,
          GroupedFilterGrad<Acc>,
          AddTaps<Acc>,
          DirectMap<T, Acc>,
          DirectPool<T, Acc>,
          DirectFilterGrad<T, Acc>,
          MapRows<Acc, T, Acc>,
          MapRows<T, T, Acc>,
          PoolRows<Acc, T, Acc>,
          PoolRows<T, T, Acc>,
          GradRows<T, Acc>,
          Statistics<T, Acc>,
          BatchNormGradSums<T, Acc>,
          BatchNormGradApply<T, Acc>,
          MakeDropoutStream<T, Acc>,
          DropRows<T, T, Acc>,
          DropRows<Acc, T, Acc>,
          UpdateWeight<Acc>,
          GetWinogradKernels(dtype)};
}

}  // namespace

// Tables are made when first asked for: nothing of an instruction set runs unless the CPU has it.
const Kernels& GetKernels(DataType dtype) {
  static const Kernels float32 = TableOf<float, float>(DataType::kFloat32);
  static const Kernels bfloat16 = TableOf<BFloat16, float>(DataType::kBFloat16);
  static const Kernels float16 = TableOf<Float16, float>(DataType::kFloat16);
  static const Kernels float64 = TableOf<double, double>(DataType::kFloat64);
  switch (dtype) {
    case DataType::kBFloat16:
      return bfloat16;
    case DataType::kFloat16:
      return float16;
    case DataType::kFloat64:
      return float64;
    default:
      return float32;
  }
}

}  // namespace fastconv::cpu::FASTCONV_ISA
