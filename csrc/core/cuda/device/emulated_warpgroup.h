// Products of warpgroups on the CPU; warpgroup.h says what the functions do. They happen when the
// warpgroup waits for them.
#ifndef FASTCONV_CORE_CUDA_DEVICE_EMULATED_WARPGROUP_H_
#define FASTCONV_CORE_CUDA_DEVICE_EMULATED_WARPGROUP_H_

#include <cstdint>

#include "core/cuda/device/device.h"
#include "core/dtype.h"

namespace fastconv::cuda {
namespace emulation {

void BeginProducts(const float* d, int count);
void CommitProducts();
void WaitForProducts(int left);
template <class T>
void MultiplyAddAsync(uint64_t a, uint64_t b, bool transposed, int columns, float* d);
void SetRegisters(int count, bool raise);
// Of operands, whose descriptors have no room for the lower bits.
void RequireDescribable(const void* start, int distance);

}  // namespace emulation

template <int kRowBytes>
Operand RowsOperand(const void* start) {
  emulation::RequireDescribable(start, /*distance=*/0);
  return operand::Rows<kRowBytes>(emulation::SharedAddress(start));
}
inline Operand ColumnsOperand(const void* start, int distance = operand::kUnusedDistance) {
  emulation::RequireDescribable(start, distance);
  return operand::Columns(emulation::SharedAddress(start), distance);
}

inline float Hidden(float value) { return value; }

template <int kTiles, int kSums>
void BeginProducts(float (&d)[kTiles][kSums]) {
  emulation::BeginProducts(d[0], kTiles * kSums);
}
inline void CommitProducts() { emulation::CommitProducts(); }
template <int kLeft, int kTiles, int kSums>
void WaitForProducts(float (&)[kTiles][kSums]) {
  emulation::WaitForProducts(kLeft);
}
template <int kColumns, class T>
void MultiplyAddAsync(T, Operand a, Operand b, float (&d)[kColumns / 2]) {
  emulation::MultiplyAddAsync<T>(a.bits, b.bits, /*transposed=*/false, kColumns, d);
}
template <int kColumns, class T>
void MultiplyAddTransposedAsync(T, Operand a, Operand b, float (&d)[kColumns / 2]) {
  static_assert(sizeof(T) == 2, "only 16-bit types can be transposed");
  emulation::MultiplyAddAsync<T>(a.bits, b.bits, /*transposed=*/true, kColumns, d);
}

template <int kRegisters>
void LowerRegisters() {
  emulation::SetRegisters(kRegisters, /*raise=*/false);
}
template <int kRegisters>
void RaiseRegisters() {
  emulation::SetRegisters(kRegisters, /*raise=*/true);
}

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_DEVICE_EMULATED_WARPGROUP_H_
