// Runs of values in registers: float, loaded from and stored to tensors of any element type.
#ifndef FASTCONV_CORE_CUDA_KERNELS_VALUES_H_
#define FASTCONV_CORE_CUDA_KERNELS_VALUES_H_

#include <cstdint>
#include <cstring>

#include "core/cuda/device/device.h"
#include "core/dtype.h"

namespace fastconv::cuda {

FASTCONV_DEVICE float ToFloat(float v) { return v; }
FASTCONV_DEVICE float ToFloat(BFloat16 v) {
  const uint32_t bits = static_cast<uint32_t>(v.bits) << 16;
  float value;
  memcpy(&value, &bits, sizeof(value));
  return value;
}
FASTCONV_DEVICE float ToFloat(Float16 v) { return FromFloat16(v.bits); }

template <class T>
FASTCONV_DEVICE T FromFloat(float v);
template <>
FASTCONV_DEVICE float FromFloat<float>(float v) {
  return v;
}
template <>
FASTCONV_DEVICE BFloat16 FromFloat<BFloat16>(float v) {
  return {RoundToBFloat16(v)};
}
template <>
FASTCONV_DEVICE Float16 FromFloat<Float16>(float v) {
  return {RoundToFloat16(v)};
}

// As a tensor of T stores it.
template <class T>
FASTCONV_DEVICE float Rounded(float v) {
  return ToFloat(FromFloat<T>(v));
}

// As many values as the widest access takes.
template <class T>
constexpr int kVectorOf = 16 / static_cast<int>(sizeof(T));

// kCount elements that follow each other in memory, in accesses of up to 16 bytes; `from` and `to`
// must be aligned to those.
template <class T, int kCount>
FASTCONV_DEVICE void LoadElements(const T* from, T (&values)[kCount]) {
  constexpr int kStep = kCount < kVectorOf<T> ? kCount : kVectorOf<T>;
  constexpr int kBytes = kStep * static_cast<int>(sizeof(T));
  FASTCONV_UNROLL
  for (int i = 0; i < kCount; i += kStep) {
    const Bits<kBytes> bits = Load<kBytes>(from + i);
    memcpy(values + i, &bits, kBytes);
  }
}

template <class T, int kCount>
FASTCONV_DEVICE void StoreElements(const T (&values)[kCount], T* to) {
  constexpr int kStep = kCount < kVectorOf<T> ? kCount : kVectorOf<T>;
  constexpr int kBytes = kStep * static_cast<int>(sizeof(T));
  FASTCONV_UNROLL
  for (int i = 0; i < kCount; i += kStep) {
    Bits<kBytes> bits;
    memcpy(&bits, values + i, kBytes);
    Store<kBytes>(to + i, bits);
  }
}

// The same, as float.
template <class T, int kCount>
FASTCONV_DEVICE void LoadValues(const T* from, float (&values)[kCount]) {
  T elements[kCount];
  LoadElements(from, elements);
  FASTCONV_UNROLL
  for (int i = 0; i < kCount; ++i) values[i] = ToFloat(elements[i]);
}

template <class T, int kCount>
FASTCONV_DEVICE void StoreValues(const float (&values)[kCount], T* to) {
  T elements[kCount];
  FASTCONV_UNROLL
  for (int i = 0; i < kCount; ++i) elements[i] = FromFloat<T>(values[i]);
  StoreElements(elements, to);
}

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_KERNELS_VALUES_H_
