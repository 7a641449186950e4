// The tile transforms of Winograd's minimal filtering, F(4x4, 3x3) and, for filter gradients,
// F(3x3, 4x4): both work on 6x6 tiles with the interpolation points 0, +-a, +-b, infinity
// (Lavin, Gray, "Fast algorithms for convolutional neural networks", 2016, section 4).
//
// a = 5/8 and b = 3/2 round less than the usual 1 and 2: the powers in the matrices stay closer
// to 1.
#ifndef FASTCONV_CORE_CPU_KERNELS_WINOGRAD_H_
#define FASTCONV_CORE_CPU_KERNELS_WINOGRAD_H_

#include "core/cpu/kernels/kernels.h"
#include "core/cpu/kernels/simd.h"

namespace fastconv::cpu::FASTCONV_ISA {

constexpr double kA = 0.625, kA2 = kA * kA, kA3 = kA2 * kA;
constexpr double kB = 1.5, kB2 = kB * kB, kB3 = kB2 * kB;

// One-dimensional transforms of vectors, each a matrix of the algorithm.

// Data, 6 -> 6.
struct DataTransform {
  static constexpr int kIn = 6, kOut = 6;
  template <class Acc>
  static FASTCONV_ALWAYS_INLINE void Apply(const Vec<Acc> (&d)[kIn], Vec<Acc> (&t)[kOut]) {
    constexpr Acc a = kA, a2 = kA2, b = kB, b2 = kB2, product = kA2 * kB2, sum = kA2 + kB2;
    t[0] = d[0] * product - d[2] * sum + d[4];
    const Vec<Acc> even_a = d[4] - d[2] * b2, odd_a = d[3] - d[1] * b2;
    t[1] = even_a + odd_a * a;
    t[2] = even_a - odd_a * a;
    const Vec<Acc> even_b = d[4] - d[2] * a2, odd_b = d[3] - d[1] * a2;
    t[3] = even_b + odd_b * b;
    t[4] = even_b - odd_b * b;
    t[5] = d[1] * product - d[3] * sum + d[5];
  }
};

// Filter, R -> 6: the polynomial's values at the points, over the products of their distances.
template <int R>
struct FilterTransform {
  static constexpr int kIn = R, kOut = 6;
  template <class Acc>
  static FASTCONV_ALWAYS_INLINE void Apply(const Vec<Acc> (&g)[kIn], Vec<Acc> (&t)[kOut]) {
    static_assert(R == 3 || R == 4);
    constexpr double at_a = 1 / (2 * kA2 * (kA2 - kB2)), at_b = 1 / (2 * kB2 * (kB2 - kA2));
    t[0] = g[0] * static_cast<Acc>(1 / (kA2 * kB2));
    Vec<Acc> even_a = g[0] * static_cast<Acc>(at_a) + g[2] * static_cast<Acc>(at_a * kA2);
    Vec<Acc> even_b = g[0] * static_cast<Acc>(at_b) + g[2] * static_cast<Acc>(at_b * kB2);
    Vec<Acc> odd_a = g[1] * static_cast<Acc>(at_a * kA);
    Vec<Acc> odd_b = g[1] * static_cast<Acc>(at_b * kB);
    if constexpr (R == 4) {
      odd_a += g[3] * static_cast<Acc>(at_a * kA3);
      odd_b += g[3] * static_cast<Acc>(at_b * kB3);
    }
    t[1] = even_a + odd_a;
    t[2] = even_a - odd_a;
    t[3] = even_b + odd_b;
    t[4] = even_b - odd_b;
    t[5] = g[R - 1];
  }
};

// Products back to M results, 6 -> M.
template <int M>
struct OutputTransform {
  static constexpr int kIn = 6, kOut = M;
  template <class Acc>
  static FASTCONV_ALWAYS_INLINE void Apply(const Vec<Acc> (&m)[kIn], Vec<Acc> (&o)[kOut]) {
    static_assert(M == 3 || M == 4);
    const Vec<Acc> even_a = m[1] + m[2], odd_a = m[1] - m[2];
    const Vec<Acc> even_b = m[3] + m[4], odd_b = m[3] - m[4];
    o[0] = m[0] + even_a + even_b;
    o[1] = odd_a * static_cast<Acc>(kA) + odd_b * static_cast<Acc>(kB);
    o[2] = even_a * static_cast<Acc>(kA2) + even_b * static_cast<Acc>(kB2);
    if constexpr (M == 4) o[3] = odd_a * static_cast<Acc>(kA3) + odd_b * static_cast<Acc>(kB3);
    o[M - 1] += m[5];
  }
};

// The two-dimensional transform: columns, then rows, of one vector of elements per point.
template <class Acc, class Transform>
void TransformTiles(const TileTransformArgs& args) {
  constexpr int kIn = Transform::kIn, kOut = Transform::kOut;
  const int64_t rows = args.valid_rows < kOut ? args.valid_rows : kOut;
  for (int64_t tile = 0; tile < args.tiles; ++tile) {
    const Acc* src = static_cast<const Acc*>(args.src) + tile * args.src_tile_stride;
    Acc* dst = static_cast<Acc*>(args.dst) + tile * args.dst_tile_stride;
    const int64_t cols_left = args.valid_cols - tile * kOut;
    const int64_t cols = cols_left < kOut ? cols_left : kOut;
    for (int64_t element = 0; element < args.elements; element += kLanes<Acc>) {
      const int64_t count = args.elements - element;
      Vec<Acc> half[kIn][kOut];
#pragma GCC unroll 6
      for (int i = 0; i < kIn; ++i) {
        Vec<Acc> row[kIn];
        const Acc* from = src + element + i * args.src_row_stride;
#pragma GCC unroll 6
        for (int j = 0; j < kIn; ++j) row[j] = LoadFirst(from + j * args.src_col_stride, count);
        Transform::template Apply<Acc>(row, half[i]);
      }
      Vec<Acc> out[kOut][kOut];
#pragma GCC unroll 6
      for (int j = 0; j < kOut; ++j) {
        Vec<Acc> column[kIn], transformed[kOut];
#pragma GCC unroll 6
        for (int i = 0; i < kIn; ++i) column[i] = half[i][j];
        Transform::template Apply<Acc>(column, transformed);
#pragma GCC unroll 6
        for (int i = 0; i < kOut; ++i) out[i][j] = transformed[i];
      }
      if (rows == kOut && cols == kOut) {
#pragma GCC unroll 6
        for (int i = 0; i < kOut; ++i) {
          Acc* to = dst + element + i * args.dst_row_stride;
#pragma GCC unroll 6
          for (int j = 0; j < kOut; ++j) StoreFirst(to + j * args.dst_col_stride, out[i][j], count);
        }
      } else {
        for (int i = 0; i < rows; ++i) {
          Acc* to = dst + element + i * args.dst_row_stride;
          for (int j = 0; j < cols; ++j) StoreFirst(to + j * args.dst_col_stride, out[i][j], count);
        }
      }
    }
  }
}

}  // namespace fastconv::cpu::FASTCONV_ISA

#endif  // FASTCONV_CORE_CPU_KERNELS_WINOGRAD_H_
