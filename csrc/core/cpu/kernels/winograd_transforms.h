// One-dimensional transforms of Winograd's minimal filtering with P interpolation points: 0, pairs
// +-p, and, where P is even, infinity (Lavin, Gray, "Fast algorithms for convolutional neural
// networks", 2016, section 4; Toom and Cook's construction). R taps and P points yield P - R + 1
// results.
//
// Every matrix is written with even and odd parts: the rows of +p and -p differ in one sign.
#ifndef FASTCONV_CORE_CPU_KERNELS_WINOGRAD_TRANSFORMS_H_
#define FASTCONV_CORE_CPU_KERNELS_WINOGRAD_TRANSFORMS_H_

#include "core/cpu/kernels/simd.h"

namespace fastconv::cpu::FASTCONV_ISA {

// The positive finite points, those of the least rounding error (docs/numerics.md).
template <int P>
struct Points;
template <>
struct Points<6> {
  static constexpr double kValues[] = {0.625, 1.5};
};
template <>
struct Points<7> {
  static constexpr double kValues[] = {0.5, 1, 2};
};
template <>
struct Points<8> {
  static constexpr double kValues[] = {0.5, 1, 2};
};
template <int P>
constexpr int kPairs = (P - 1) / 2;
// Of an even number of points the last one is infinity.
template <int P>
constexpr bool kHasInfinity = P % 2 == 0;

constexpr double Power(double base, int exponent) {
  double power = 1;
  for (int i = 0; i < exponent; ++i) power *= base;
  return power;
}

// The product of (y - p^2) over the pairs but `without` (-1: over all), by powers of y.
template <int P>
struct PairProduct {
  double coefficients[kPairs<P> + 1] = {};
  int degree = 0;

  constexpr explicit PairProduct(int without) {
    coefficients[0] = 1;
    for (int pair = 0; pair < kPairs<P>; ++pair) {
      if (pair == without) continue;
      const double square = Points<P>::kValues[pair] * Points<P>::kValues[pair];
      for (int d = degree++; d >= 0; --d) {
        coefficients[d + 1] += coefficients[d];
        coefficients[d] *= -square;
      }
    }
  }
  constexpr double At(double y) const {
    double sum = 0;
    for (int d = degree; d >= 0; --d) sum = sum * y + coefficients[d];
    return sum;
  }
};

// Sum of coefficients of the product times every other element of d.
template <class Acc, int P, int kWithout>
FASTCONV_ALWAYS_INLINE Vec<Acc> EveryOther(const Vec<Acc>* d) {
  constexpr PairProduct<P> product(kWithout);
  Vec<Acc> sum = d[2 * product.degree];  // times 1
#pragma GCC unroll 8
  for (int i = product.degree - 1; i >= 0; --i) {
    sum += d[2 * i] * static_cast<Acc>(product.coefficients[i]);
  }
  return sum;
}

// Inputs, P -> P.
template <int P>
struct DataTransform {
  static constexpr int kIn = P, kOut = P;
  template <class Acc, int kPair = 0>
  static FASTCONV_ALWAYS_INLINE void Apply(const Vec<Acc> (&d)[kIn], Vec<Acc> (&t)[kOut]) {
    if constexpr (kPair < kPairs<P>) {
      const Vec<Acc> even = EveryOther<Acc, P, kPair>(d + 2);
      const Vec<Acc> odd = EveryOther<Acc, P, kPair>(d + 1);
      constexpr Acc point = Points<P>::kValues[kPair];
      t[1 + 2 * kPair] = even + odd * point;
      t[2 + 2 * kPair] = even - odd * point;
      Apply<Acc, kPair + 1>(d, t);
    } else {
      t[0] = EveryOther<Acc, P, -1>(d);
      if constexpr (kHasInfinity<P>) t[P - 1] = EveryOther<Acc, P, -1>(d + 1);
    }
  }
};

// The data transform's transpose, P -> P.
template <int P>
struct DataAdjoint {
  static constexpr int kIn = P, kOut = P;
  template <class Acc>
  static FASTCONV_ALWAYS_INLINE void Apply(const Vec<Acc> (&t)[kIn], Vec<Acc> (&d)[kOut]) {
#pragma GCC unroll 8
    for (int i = 0; i < P; ++i) d[i] = Vec<Acc>{};
    AddEveryOther<Acc, -1>(t[0], d);
    if constexpr (kHasInfinity<P>) AddEveryOther<Acc, -1>(t[P - 1], d + 1);
    AddPairs<Acc, 0>(t, d);
  }

 private:
  template <class Acc, int kPair>
  static FASTCONV_ALWAYS_INLINE void AddPairs(const Vec<Acc> (&t)[kIn], Vec<Acc> (&d)[kOut]) {
    if constexpr (kPair < kPairs<P>) {
      constexpr Acc point = Points<P>::kValues[kPair];
      const Vec<Acc>&plus = t[1 + 2 * kPair], &minus = t[2 + 2 * kPair];
      AddEveryOther<Acc, kPair>(plus + minus, d + 2);
      AddEveryOther<Acc, kPair>((plus - minus) * point, d + 1);
      AddPairs<Acc, kPair + 1>(t, d);
    }
  }
  // The transpose of EveryOther.
  template <class Acc, int kWithout>
  static FASTCONV_ALWAYS_INLINE void AddEveryOther(Vec<Acc> t, Vec<Acc>* d) {
    constexpr PairProduct<P> product(kWithout);
#pragma GCC unroll 8
    for (int i = 0; i <= product.degree; ++i) {
      d[2 * i] += t * static_cast<Acc>(product.coefficients[i]);
    }
  }
};

// Filter taps (and, in filter gradients, output gradients), R -> P: the polynomial's values at the
// points, if kScaled over the products of the points' distances.
template <int P, int R, bool kScaled = true>
struct FilterTransform {
  static constexpr int kIn = R, kOut = P;
  template <class Acc, int kPair = 0>
  static FASTCONV_ALWAYS_INLINE void Apply(const Vec<Acc> (&g)[kIn], Vec<Acc> (&t)[kOut]) {
    if constexpr (kPair < kPairs<P>) {
      constexpr double point = Points<P>::kValues[kPair], square = point * point;
      constexpr double scale = 1 / (2 * square * PairProduct<P>(kPair).At(square));
      // No sum has two products as terms: the compiler would choose which of them to round, and not
      // always the same one.
      Vec<Acc> even = g[0], odd = g[1];
#pragma GCC unroll 8
      for (int i = 2; i < R; ++i) {
        (i % 2 == 0 ? even : odd) += g[i] * static_cast<Acc>(Power(square, i / 2));
      }
      const Vec<Acc> plus = even + odd * static_cast<Acc>(point);
      const Vec<Acc> minus = even - odd * static_cast<Acc>(point);
      t[1 + 2 * kPair] = kScaled ? plus * static_cast<Acc>(scale) : plus;
      t[2 + 2 * kPair] = kScaled ? minus * static_cast<Acc>(scale) : minus;
      Apply<Acc, kPair + 1>(g, t);
    } else {
      t[0] = g[0] * static_cast<Acc>(kScaled ? 1 / PairProduct<P>(-1).At(0) : 1.0);
      if constexpr (kHasInfinity<P>) t[P - 1] = g[R - 1];
    }
  }
};

// The output transform's transpose, M -> P.
template <int P, int M>
using OutputAdjoint = FilterTransform<P, M, /*kScaled=*/false>;

// Products back to M results, P -> M.
template <int P, int M>
struct OutputTransform {
  static constexpr int kIn = P, kOut = M;
  template <class Acc>
  static FASTCONV_ALWAYS_INLINE void Apply(const Vec<Acc> (&m)[kIn], Vec<Acc> (&o)[kOut]) {
    Vec<Acc> even[kPairs<P>], odd[kPairs<P>];
#pragma GCC unroll 8
    for (int pair = 0; pair < kPairs<P>; ++pair) {
      even[pair] = m[1 + 2 * pair] + m[2 + 2 * pair];
      odd[pair] = m[1 + 2 * pair] - m[2 + 2 * pair];
    }
    o[0] = m[0];
#pragma GCC unroll 8
    for (int pair = 0; pair < kPairs<P>; ++pair) o[0] += even[pair];
#pragma GCC unroll 8
    for (int i = 1; i < M; ++i) {
      const Vec<Acc>(&parts)[kPairs<P>] = i % 2 == 0 ? even : odd;
      o[i] = parts[0] * static_cast<Acc>(Power(Points<P>::kValues[0], i));
#pragma GCC unroll 8
      for (int pair = 1; pair < kPairs<P>; ++pair) {
        o[i] += parts[pair] * static_cast<Acc>(Power(Points<P>::kValues[pair], i));
      }
    }
    if constexpr (kHasInfinity<P>) o[M - 1] += m[P - 1];
  }
};

}  // namespace fastconv::cpu::FASTCONV_ISA

#endif  // FASTCONV_CORE_CPU_KERNELS_WINOGRAD_TRANSFORMS_H_
