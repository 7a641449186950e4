#include "core/cpu/kernels/kernels.h"

#include "core/cpu/kernels/batch_norm.h"
#include "core/cpu/kernels/copy.h"
#include "core/cpu/kernels/dropout.h"
#include "core/cpu/kernels/few_outputs.h"
#include "core/cpu/kernels/pointwise.h"
#include "core/cpu/kernels/pooling.h"
#include "core/cpu/kernels/simd.h"
#include "core/cpu/kernels/winograd.h"

namespace fastconv::cpu::FASTCONV_ISA {

// matrix_product.cc
template <class Acc>
void ConvRows(const ConvRowsArgs& args);
template <class Acc>
void FilterGrad(const FilterGradArgs& args);

// grouped.cc
template <class Acc>
void SpreadGroups(const SpreadGroupsArgs& args);
template <class Acc>
void GroupedRows(const GroupedRowsArgs& args);
template <class Acc>
void GroupedFilterGrad(const GroupedFilterGradArgs& args);

namespace {

constexpr Isa kIsa = FASTCONV_VECTOR_BYTES == 64   ? Isa::kAvx512
                     : FASTCONV_VECTOR_BYTES == 32 ? Isa::kAvx2
                                                   : Isa::kBaseline;

template <class T, class Acc>
constexpr Kernels TableOf(DataType dtype) {
  return {kIsa,
          dtype,
          kLanes<Acc>,
          LoadRows<T, Acc>,
          LoadTransposed<T, Acc>,
          StoreRows<T, Acc>,
          AddRows<Acc>,
          ConvRows<Acc>,
          FilterGrad<Acc>,
          SpreadGroups<Acc>,
          GroupedRows<Acc>,
          GroupedFilterGrad<Acc>,
          AddTaps<Acc>,
          TransformTiles<Acc, DataTransform>,
          TransformTiles<Acc, FilterTransform<3>>,
          TransformTiles<Acc, OutputTransform<4>>,
          TransformTiles<Acc, FilterTransform<4>>,
          TransformTiles<Acc, OutputTransform<3>>,
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
          DropRows<Acc, T, Acc>};
}

constexpr Kernels kFloat32 = TableOf<float, float>(DataType::kFloat32);
constexpr Kernels kBFloat16 = TableOf<BFloat16, float>(DataType::kBFloat16);
constexpr Kernels kFloat16 = TableOf<Float16, float>(DataType::kFloat16);
constexpr Kernels kFloat64 = TableOf<double, double>(DataType::kFloat64);

}  // namespace

const Kernels& GetKernels(DataType dtype) {
  switch (dtype) {
    case DataType::kBFloat16:
      return kBFloat16;
    case DataType::kFloat16:
      return kFloat16;
    case DataType::kFloat64:
      return kFloat64;
    default:
      return kFloat32;
  }
}

}  // namespace fastconv::cpu::FASTCONV_ISA
