// Vectors of the instruction set that this file is compiled for (GCC vector extensions; arithmetic
// on them is written with plain operators, and a * b + c contracts to a fused multiply-add where
// there is one).
//
// Everything lives in a namespace of the instruction set, so that the linker never merges an
// AVX-512 function with the baseline's.
#ifndef FASTCONV_CORE_CPU_KERNELS_SIMD_H_
#define FASTCONV_CORE_CPU_KERNELS_SIMD_H_

#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "core/dtype.h"

// FASTCONV_ISA, the namespace, comes from the build (cmake/isa_flags.cmake).
#if defined(__AVX512F__)
#define FASTCONV_VECTOR_BYTES 64
#elif defined(__AVX2__)
#define FASTCONV_VECTOR_BYTES 32
#else
#define FASTCONV_VECTOR_BYTES 16
#endif

#define FASTCONV_ALWAYS_INLINE inline __attribute__((always_inline))

namespace fastconv::cpu::FASTCONV_ISA {

// Vec<Acc>: a vector of the accumulation type; Mask<Acc>: integers of the same width, -1 or 0 after
// a comparison.
template <class Acc>
struct Simd;
template <>
struct Simd<float> {
  using Integer = int32_t;
  typedef float Vec __attribute__((vector_size(FASTCONV_VECTOR_BYTES)));
  typedef int32_t Mask __attribute__((vector_size(FASTCONV_VECTOR_BYTES)));
};
template <>
struct Simd<double> {
  using Integer = int64_t;
  typedef double Vec __attribute__((vector_size(FASTCONV_VECTOR_BYTES)));
  typedef int64_t Mask __attribute__((vector_size(FASTCONV_VECTOR_BYTES)));
};
template <class Acc>
using Vec = typename Simd<Acc>::Vec;
template <class Acc>
using Mask = typename Simd<Acc>::Mask;
template <class Acc>
constexpr int64_t kLanes = FASTCONV_VECTOR_BYTES / sizeof(Acc);

template <class Acc>
FASTCONV_ALWAYS_INLINE Vec<Acc> Broadcast(Acc value) {
  return value - Vec<Acc>{};  // value - 0 keeps -0; GCC emits one broadcast
}

template <class To, class From>
FASTCONV_ALWAYS_INLINE To BitCast(const From& from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  __builtin_memcpy(&to, &from, sizeof(to));
  return to;
}

template <class V>
FASTCONV_ALWAYS_INLINE V LoadVector(const void* from) {
  V v;
  __builtin_memcpy(&v, from, sizeof(v));
  return v;
}

template <class V>
FASTCONV_ALWAYS_INLINE void StoreVector(void* to, const V& v) {
  __builtin_memcpy(to, &v, sizeof(v));
}

// Per lane: mask ? a : b.
template <class Acc>
FASTCONV_ALWAYS_INLINE Vec<Acc> Select(Mask<Acc> mask, Vec<Acc> a, Vec<Acc> b) {
  return mask ? a : b;
}

// Correctly rounded, as all of IEEE's square roots.
FASTCONV_ALWAYS_INLINE Vec<float> Sqrt(Vec<float> v) {
#if defined(__AVX512F__)
  return (Vec<float>)_mm512_sqrt_ps((__m512)v);
#elif defined(__AVX2__)
  return (Vec<float>)_mm256_sqrt_ps((__m256)v);
#elif defined(__SSE2__)
  return (Vec<float>)_mm_sqrt_ps((__m128)v);
#else
  for (int64_t i = 0; i < kLanes<float>; ++i) v[i] = __builtin_sqrtf(v[i]);
  return v;
#endif
}
FASTCONV_ALWAYS_INLINE Vec<double> Sqrt(Vec<double> v) {
#if defined(__AVX512F__)
  return (Vec<double>)_mm512_sqrt_pd((__m512d)v);
#elif defined(__AVX2__)
  return (Vec<double>)_mm256_sqrt_pd((__m256d)v);
#elif defined(__SSE2__)
  return (Vec<double>)_mm_sqrt_pd((__m128d)v);
#else
  for (int64_t i = 0; i < kLanes<double>; ++i) v[i] = __builtin_sqrt(v[i]);
  return v;
#endif
}

// Lanes of 64 bits.
typedef uint64_t U64 __attribute__((vector_size(FASTCONV_VECTOR_BYTES)));

// Products of the lanes' lower halves and `factor`; upper halves are not looked at.
FASTCONV_ALWAYS_INLINE U64 MultiplyLowerHalves(U64 v, uint32_t factor) {
#if defined(__AVX512F__)
  return (U64)_mm512_mul_epu32((__m512i)v, _mm512_set1_epi64(factor));
#elif defined(__AVX2__)
  return (U64)_mm256_mul_epu32((__m256i)v, _mm256_set1_epi64x(factor));
#else
  return (v & 0xFFFFFFFFu) * uint64_t{factor};
#endif
}

// {0, 1, 2, ...}, and {a[i], b[i], a[i + 1], b[i + 1], ...} of the lanes' lower and upper half.
#if FASTCONV_VECTOR_BYTES == 64
FASTCONV_ALWAYS_INLINE U64 LaneNumbers() { return U64{0, 1, 2, 3, 4, 5, 6, 7}; }
FASTCONV_ALWAYS_INLINE U64 InterleaveLower(U64 a, U64 b) {
  return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
}
FASTCONV_ALWAYS_INLINE U64 InterleaveUpper(U64 a, U64 b) {
  return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}
#elif FASTCONV_VECTOR_BYTES == 32
FASTCONV_ALWAYS_INLINE U64 LaneNumbers() { return U64{0, 1, 2, 3}; }
FASTCONV_ALWAYS_INLINE U64 InterleaveLower(U64 a, U64 b) {
  return __builtin_shufflevector(a, b, 0, 4, 1, 5);
}
FASTCONV_ALWAYS_INLINE U64 InterleaveUpper(U64 a, U64 b) {
  return __builtin_shufflevector(a, b, 2, 6, 3, 7);
}
#else
FASTCONV_ALWAYS_INLINE U64 LaneNumbers() { return U64{0, 1}; }
FASTCONV_ALWAYS_INLINE U64 InterleaveLower(U64 a, U64 b) {
  return __builtin_shufflevector(a, b, 0, 2);
}
FASTCONV_ALWAYS_INLINE U64 InterleaveUpper(U64 a, U64 b) {
  return __builtin_shufflevector(a, b, 1, 3);
}
#endif

// 16-bit floats, as many as there are float lanes.
typedef uint16_t U16 __attribute__((vector_size(FASTCONV_VECTOR_BYTES / 2)));
typedef uint32_t U32 __attribute__((vector_size(FASTCONV_VECTOR_BYTES)));

FASTCONV_ALWAYS_INLINE Vec<float> FloatFromBFloat16(U16 h) {
  return BitCast<Vec<float>>(__builtin_convertvector(h, U32) << 16);
}

FASTCONV_ALWAYS_INLINE U16 BFloat16FromFloat(Vec<float> f) {
  const U32 bits = BitCast<U32>(f);
  const U32 rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  const U32 quiet_nan = (bits >> 16) | 0x40;
  return __builtin_convertvector(f == f ? rounded : quiet_nan, U16);
}

#if defined(__AVX512F__)
FASTCONV_ALWAYS_INLINE Vec<float> FloatFromFloat16(U16 h) {
  return (Vec<float>)_mm512_cvtph_ps((__m256i)h);
}
FASTCONV_ALWAYS_INLINE U16 Float16FromFloat(Vec<float> f) {
  return (U16)_mm512_cvtps_ph((__m512)f, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
#elif defined(__F16C__)
FASTCONV_ALWAYS_INLINE Vec<float> FloatFromFloat16(U16 h) {
  return (Vec<float>)_mm256_cvtph_ps((__m128i)h);
}
FASTCONV_ALWAYS_INLINE U16 Float16FromFloat(Vec<float> f) {
  return (U16)_mm256_cvtps_ph((__m256)f, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
#else
// No intermediate value is a denormal float: TensorFlow's threads flush those to zero.
FASTCONV_ALWAYS_INLINE Vec<float> FloatFromFloat16(U16 h) {
  const U32 bits = __builtin_convertvector(h, U32);
  const U32 magnitude = bits & 0x7fff;
  const Vec<float> subnormal =
      __builtin_convertvector(BitCast<Mask<float>>(magnitude), Vec<float>) * 0x1p-24f;
  const U32 normal = (magnitude << 13) + (112u << 23);
  const U32 infinity_or_nan = (magnitude << 13) | 0x7f800000u;
  U32 result = magnitude < 0x400 ? BitCast<U32>(subnormal) : normal;
  result = magnitude >= 0x7c00 ? infinity_or_nan : result;
  return BitCast<Vec<float>>(result | ((bits & 0x8000) << 16));
}
FASTCONV_ALWAYS_INLINE U16 Float16FromFloat(Vec<float> f) {
  const U32 bits = BitCast<U32>(f);
  const U32 magnitude = bits & 0x7fffffffu;
  // 2^-24 is the last place of 0.5f, so the addition rounds to a multiple of it.
  const U32 subnormal = BitCast<U32>(BitCast<Vec<float>>(magnitude) + 0.5f) - 0x3f000000u;
  const U32 normal = (magnitude + 0xfff + ((magnitude >> 13) & 1) - (112u << 23)) >> 13;
  const U32 infinity = U32{} + 0x7c00;
  const U32 quiet_nan = ((magnitude >> 13) & 0x3ff) | 0x7e00;
  U32 result = magnitude < 0x38800000u ? subnormal : normal;
  result = magnitude >= 0x47800000u ? infinity : result;
  result = magnitude > 0x7f800000u ? quiet_nan : result;
  return __builtin_convertvector(result | ((bits >> 16) & 0x8000), U16);
}
#endif

// Load and Store convert between storage T and accumulation type.
FASTCONV_ALWAYS_INLINE Vec<float> Load(const float* p) { return LoadVector<Vec<float>>(p); }
FASTCONV_ALWAYS_INLINE Vec<double> Load(const double* p) { return LoadVector<Vec<double>>(p); }
FASTCONV_ALWAYS_INLINE Vec<float> Load(const BFloat16* p) {
  return FloatFromBFloat16(LoadVector<U16>(p));
}
FASTCONV_ALWAYS_INLINE Vec<float> Load(const Float16* p) {
  return FloatFromFloat16(LoadVector<U16>(p));
}
FASTCONV_ALWAYS_INLINE void Store(float* p, Vec<float> v) { StoreVector(p, v); }
FASTCONV_ALWAYS_INLINE void Store(double* p, Vec<double> v) { StoreVector(p, v); }
FASTCONV_ALWAYS_INLINE void Store(BFloat16* p, Vec<float> v) {
  StoreVector(p, BFloat16FromFloat(v));
}
FASTCONV_ALWAYS_INLINE void Store(Float16* p, Vec<float> v) { StoreVector(p, Float16FromFloat(v)); }

// Writes around the caches; p is aligned to the vector. A thread's such stores become visible to
// others in order only after FinishStoresAroundCaches.
FASTCONV_ALWAYS_INLINE void StoreAroundCaches(float* p, Vec<float> v) {
#if defined(__AVX512F__)
  _mm512_stream_ps(p, (__m512)v);
#elif defined(__AVX2__)
  _mm256_stream_ps(p, (__m256)v);
#elif defined(__SSE2__)
  _mm_stream_ps(p, (__m128)v);
#else
  Store(p, v);
#endif
}

template <class T>
constexpr bool kCanStoreAroundCaches = false;
template <>
constexpr bool kCanStoreAroundCaches<float> = true;

FASTCONV_ALWAYS_INLINE void FinishStoresAroundCaches() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

#if defined(__AVX512F__)
constexpr uint32_t FirstLanes(int64_t count) { return (1u << count) - 1; }

template <class T>
FASTCONV_ALWAYS_INLINE auto LoadTail(const T* p, int64_t count) {
  if constexpr (sizeof(T) == 8) {
    return (Vec<double>)_mm512_maskz_loadu_pd(FirstLanes(count), p);
  } else if constexpr (sizeof(T) == 4) {
    return (Vec<float>)_mm512_maskz_loadu_ps(FirstLanes(count), p);
  } else {
    const U16 bits = (U16)_mm256_maskz_loadu_epi16(FirstLanes(count), p);
    return Load(reinterpret_cast<const T*>(&bits));
  }
}

template <class T, class V>
FASTCONV_ALWAYS_INLINE void StoreTail(T* p, V v, int64_t count) {
  if constexpr (sizeof(T) == 8) {
    _mm512_mask_storeu_pd(p, FirstLanes(count), (__m512d)v);
  } else if constexpr (sizeof(T) == 4) {
    _mm512_mask_storeu_ps(p, FirstLanes(count), (__m512)v);
  } else {
    U16 bits;
    Store(reinterpret_cast<T*>(&bits), v);
    _mm256_mask_storeu_epi16(p, FirstLanes(count), (__m256i)bits);
  }
}
#else
template <class T>
FASTCONV_ALWAYS_INLINE auto LoadTail(const T* p, int64_t count) {
  T buffer[sizeof(Load(p)) / sizeof(Load(p)[0])] = {};
  for (int64_t i = 0; i < count; ++i) buffer[i] = p[i];
  return Load(buffer);
}

template <class T, class V>
FASTCONV_ALWAYS_INLINE void StoreTail(T* p, V v, int64_t count) {
  T buffer[sizeof(v) / sizeof(v[0])];
  Store(buffer, v);
  for (int64_t i = 0; i < count; ++i) p[i] = buffer[i];
}
#endif

// The first `count` lanes (all of them from kLanes on); the others load as zero and are not
// touched by a store.
template <class T>
FASTCONV_ALWAYS_INLINE auto LoadFirst(const T* p, int64_t count) {
  using V = decltype(Load(p));
  constexpr int64_t lanes = sizeof(V) / sizeof(V{}[0]);
  return count >= lanes ? Load(p) : LoadTail(p, count);
}

template <class T, class V>
FASTCONV_ALWAYS_INLINE void StoreFirst(T* p, V v, int64_t count) {
  constexpr int64_t lanes = sizeof(V) / sizeof(V{}[0]);
  count >= lanes ? Store(p, v) : StoreTail(p, v, count);
}

// Between the integers of masks and codes. GCC 12 takes conversions of bytes apart, lane by lane.
template <class Acc, class Codes>
FASTCONV_ALWAYS_INLINE Mask<Acc> WidenedCodes(Codes codes) {
#if defined(__AVX512F__)
  if constexpr (sizeof(Codes) == 16 && sizeof(Acc) == 4) {
    return (Mask<Acc>)_mm512_cvtepu8_epi32((__m128i)codes);
  }
#elif defined(__AVX2__)
  if constexpr (sizeof(Codes) == 8 && sizeof(Acc) == 4) {
    return (Mask<Acc>)_mm256_cvtepu8_epi32(_mm_cvtsi64_si128(BitCast<int64_t>(codes)));
  }
#endif
  return __builtin_convertvector(codes, Mask<Acc>);
}

template <class Acc, class Codes>
FASTCONV_ALWAYS_INLINE Codes NarrowedCodes(Mask<Acc> v) {
#if defined(__AVX512F__)
  if constexpr (sizeof(Codes) == 16 && sizeof(Acc) == 4) {
    return (Codes)_mm512_cvtepi32_epi8((__m512i)v);
  }
#elif defined(__AVX2__)
  if constexpr (sizeof(Codes) == 8 && sizeof(Acc) == 4) {
    // The lowest byte of each lane, by halves.
    const __m256i bytes = _mm256_shuffle_epi8(
        (__m256i)v, _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0,
                                     4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1));
    return BitCast<Codes>(_mm_cvtsi128_si64(
        _mm_unpacklo_epi32(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1))));
  }
#endif
  return __builtin_convertvector(v, Codes);
}

// Codes of pooled cells (uint8_t, int32_t) as masks' integers, and back.
template <class Acc, class Code>
FASTCONV_ALWAYS_INLINE Mask<Acc> LoadCodes(const Code* p, int64_t count) {
  typedef Code Codes __attribute__((vector_size(sizeof(Code) * kLanes<Acc>)));
  if (count >= kLanes<Acc>) return WidenedCodes<Acc>(LoadVector<Codes>(p));
  Codes codes = {};
  for (int64_t i = 0; i < count; ++i) codes[i] = p[i];
  return WidenedCodes<Acc>(codes);
}

template <class Acc, class Code>
FASTCONV_ALWAYS_INLINE void StoreCodes(Code* p, Mask<Acc> v, int64_t count) {
  typedef Code Codes __attribute__((vector_size(sizeof(Code) * kLanes<Acc>)));
  const Codes codes = NarrowedCodes<Acc, Codes>(v);
  if (count >= kLanes<Acc>) return StoreVector(p, codes);
  for (int64_t i = 0; i < count; ++i) p[i] = codes[i];
}

}  // namespace fastconv::cpu::FASTCONV_ISA

#endif  // FASTCONV_CORE_CPU_KERNELS_SIMD_H_
