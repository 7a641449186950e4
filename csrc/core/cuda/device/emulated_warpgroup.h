// Products of warpgroups on the CPU; warpgroup.h says what the functions do. They happen when the
// warpgroup waits for them.
#ifndef FASTCONV_CORE_CUDA_DEVICE_EMULATED_WARPGROUP_H_
#define FASTCONV_CORE_CUDA_DEVICE_EMULATED_WARPGROUP_H_

#include <cstdint>

#include "core/cuda/device/device.h"
#include "core/dtype.h"

namespace fastconv::cuda {
namespace emulation {

void BeginProducts();
void CommitProducts();
void WaitForProducts(int left);
template <class T>
void MultiplyAddAsync(uint64_t a, uint64_t b, bool transposed, int columns, float* d);
void SetRegisters(int count);

}  // namespace emulation

template <int kRowBytes>
Operand RowsOperand(const void* start) {
  return operand::Rows<kRowBytes>(emulation::SharedAddress(start));
}
inline Operand ColumnsOperand(const void* start, int distance) {
  return operand::Columns(emulation::SharedAddress(start), distance);
}

template <int kTiles, int kSums>
void BeginProducts(float (&)[kTiles][kSums]) {
  emulation::BeginProducts();
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
  emulation::SetRegisters(kRegisters);
}
template <int kRegisters>
void RaiseRegisters() {
  emulation::SetRegisters(kRegisters);
}

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_DEVICE_EMULATED_WARPGROUP_H_
