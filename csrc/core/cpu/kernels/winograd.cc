#include "core/cpu/kernels/winograd.h"

#include "core/cpu/kernels/winograd_gradient.h"
#include "core/cpu/kernels/winograd_product.h"

namespace fastconv::cpu::FASTCONV_ISA {
namespace {

// Sums need no parameters.
template <class Acc, int P, int M>
void WinogradOutputSums(const WinogradOutputArgs& args) {
  alignas(FASTCONV_VECTOR_BYTES) static const Acc zeros[2 * kLanes<Acc>] = {};
  WinogradOutputArgs with_stage = args;
  with_stage.stage = {nullptr, nullptr, zeros, Activation::kLinear, 1.0};
  WinogradOutputMap<Acc, Acc, P, M>(with_stage);
}

// An odd number of outputs holds no whole pooling windows.
template <class T, int P, int M>
constexpr auto OutputPool() -> void (*)(const WinogradOutputArgs&) {
  if constexpr (M % 2 == 0) {
    return WinogradOutputPool<T, float, P, M>;
  } else {
    return nullptr;
  }
}

template <class T, int P, int R>
constexpr WinogradKernels KernelsOf() {
  constexpr int M = P - R + 1;
  return {{P, R},
          WinogradMap<T, float, DataTransform<P>>,
          WinogradMap<float, float, DataTransform<P>>,
          WinogradMatrix<float, FilterTransform<P, R>>,
          WinogradProduct<float>,
          WinogradOutputSums<float, P, M>,
          WinogradOutputMap<T, float, P, M>,
          OutputPool<T, P, M>(),
          WinogradGradientFromTensor<T, float, FilterTransform<P, M>>,
          WinogradGradientFromPool<T, float, FilterTransform<P, M>>,
          WinogradGradientFromTensor<float, float, FilterTransform<P, M>>,
          WinogradMatrix<float, OutputTransform<P, R>>,
          WinogradMap<T, float, OutputAdjoint<P, M>>,
          WinogradMap<float, float, OutputAdjoint<P, M>>,
          WinogradAddDataAdjoint<float, P>};
}

template <class T>
const WinogradKernels* Table() {
  static constexpr WinogradKernels table[] = {KernelsOf<T, 6, 3>(), KernelsOf<T, 7, 3>(),
                                              KernelsOf<T, 8, 3>(), KernelsOf<T, 6, 5>(),
                                              KernelsOf<T, 8, 5>()};
  return table;
}

}  // namespace

const WinogradKernels* GetWinogradKernels(DataType dtype) {
  switch (dtype) {
    case DataType::kFloat32:
      return Table<float>();
    case DataType::kBFloat16:
      return Table<BFloat16>();
    case DataType::kFloat16:
      return Table<Float16>();
    default:
      return nullptr;
  }
}

}  // namespace fastconv::cpu::FASTCONV_ISA
