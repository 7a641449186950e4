// Copies between tensors and scratch, converting between storage and accumulation type.
#ifndef FASTCONV_CORE_CPU_KERNELS_COPY_H_
#define FASTCONV_CORE_CPU_KERNELS_COPY_H_

#include "core/cpu/kernels/kernels.h"
#include "core/cpu/kernels/simd.h"

namespace fastconv::cpu::FASTCONV_ISA {

template <class T, class Acc>
void LoadRows(const LoadRowsArgs& args) {
  int64_t rows = args.rows, columns = args.columns, width = args.width;
  if (columns == width && columns == args.src_stride && columns == args.dst_stride) {
    columns = width = rows * columns;
    rows = 1;
  }
  for (int64_t row = 0; row < rows; ++row) {
    const T* src = static_cast<const T*>(args.src) + row * args.src_stride;
    Acc* dst = static_cast<Acc*>(args.dst) + row * args.dst_stride;
    int64_t i = 0;
    for (; i + kLanes<Acc> <= columns; i += kLanes<Acc>) Store(dst + i, Load(src + i));
    if (i < columns) {
      StoreFirst(dst + i, LoadFirst(src + i, columns - i), width - i);
      i += kLanes<Acc>;
    }
    for (; i < width; i += kLanes<Acc>) StoreFirst(dst + i, Vec<Acc>{}, width - i);
  }
}

template <class T, class Acc>
void LoadTransposed(const LoadTransposedArgs& args) {
  // Squares of lanes x lanes: whole vectors on both sides, the transposition in cache.
  constexpr int64_t lanes = kLanes<Acc>;
  const T* src = static_cast<const T*>(args.src);
  Acc* dst = static_cast<Acc*>(args.dst);
  for (int64_t r0 = 0; r0 < args.width; r0 += lanes) {
    for (int64_t c0 = 0; c0 < args.columns; c0 += lanes) {
      const int64_t columns = args.columns - c0 < lanes ? args.columns - c0 : lanes;
      Acc square[lanes][lanes];
      for (int64_t r = 0; r < lanes; ++r) {
        Store(square[r], r0 + r < args.rows
                             ? LoadFirst(src + (r0 + r) * args.src_stride + c0, columns)
                             : Vec<Acc>{});
      }
      for (int64_t c = 0; c < columns; ++c) {
        Vec<Acc> column;
#pragma GCC unroll 16
        for (int64_t r = 0; r < lanes; ++r) column[r] = square[r][c];
        StoreFirst(dst + (c0 + c) * args.dst_stride + r0, column, args.width - r0);
      }
    }
  }
}

template <class T, class Acc>
void StoreRows(const StoreRowsArgs& args) {
  for (int64_t row = 0; row < args.rows; ++row) {
    const Acc* src = static_cast<const Acc*>(args.src) + row * args.src_stride;
    T* dst = static_cast<T*>(args.dst) + row * args.dst_stride;
    for (int64_t i = 0; i < args.columns; i += kLanes<Acc>) {
      StoreFirst(dst + i, LoadFirst(src + i, args.columns - i), args.columns - i);
    }
  }
}

template <class T>
void CopyAroundCaches(const CopyArgs& args) {
  const T* src = static_cast<const T*>(args.src);
  T* dst = static_cast<T*>(args.dst);
  int64_t i = 0;
  if constexpr (kCanStoreAroundCaches<T>) {
    if (reinterpret_cast<uintptr_t>(dst) % FASTCONV_VECTOR_BYTES == 0) {
      for (; i + kLanes<T> <= args.elements; i += kLanes<T>) {
        StoreAroundCaches(dst + i, Load(src + i));
      }
      FinishStoresAroundCaches();
    }
  }
  __builtin_memcpy(dst + i, src + i, (args.elements - i) * sizeof(T));
}

template <class Acc>
void AddRows(const AddRowsArgs& args) {
  // The rows are summed apart from dst: two levels keep the rounding error of long sums small.
  for (int64_t i = 0; i < args.columns; i += kLanes<Acc>) {
    const Acc* src = static_cast<const Acc*>(args.src) + i;
    Acc* dst = static_cast<Acc*>(args.dst) + i;
    Vec<Acc> sum = {};
    for (int64_t row = 0; row < args.rows; ++row) sum += Load(src + row * args.src_stride);
    Store(dst, Load(dst) + sum);
  }
}

}  // namespace fastconv::cpu::FASTCONV_ISA

#endif  // FASTCONV_CORE_CPU_KERNELS_COPY_H_
