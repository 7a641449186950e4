// Steps of optimizers, written as core/weight_update.h has them: one operator per operation of
// Keras, so that results round alike where multiplications and additions are not fused.
#ifndef FASTCONV_CORE_CPU_KERNELS_WEIGHT_UPDATE_H_
#define FASTCONV_CORE_CPU_KERNELS_WEIGHT_UPDATE_H_

#include "core/cpu/kernels/kernels.h"
#include "core/cpu/kernels/simd.h"

namespace fastconv::cpu::FASTCONV_ISA {

// A NaN wins, as in tf.maximum.
template <class Acc>
FASTCONV_ALWAYS_INLINE Vec<Acc> Maximum(Vec<Acc> a, Vec<Acc> b) {
  return Select<Acc>((a > b) | (a != a), a, b);
}

template <class Acc>
FASTCONV_ALWAYS_INLINE Vec<Acc> Magnitude(Vec<Acc> v) {
  using Integer = typename Simd<Acc>::Integer;
  constexpr auto kAllButSign = static_cast<Integer>(~uint64_t{0} >> (65 - 8 * sizeof(Acc)));
  return BitCast<Vec<Acc>>(BitCast<Mask<Acc>>(v) & kAllButSign);
}

// A rule has its numbers of slots and factors, f, and
//   void Step(const Acc* f, Vec<Acc> g, Vec<Acc>& w, Vec<Acc>* slots).
struct Sgd {
  static constexpr int kSlots = 0, kFactors = 1;
  template <class Acc>
  static FASTCONV_ALWAYS_INLINE void Step(const Acc* f, Vec<Acc> g, Vec<Acc>& w, Vec<Acc>*) {
    w -= g * f[0];
  }
};

template <bool kNesterov>
struct Momentum {
  static constexpr int kSlots = 1, kFactors = 2;
  template <class Acc>
  static FASTCONV_ALWAYS_INLINE void Step(const Acc* f, Vec<Acc> g, Vec<Acc>& w, Vec<Acc>* slots) {
    Vec<Acc>& m = slots[0];
    m = m * f[1] - g * f[0];
    w += kNesterov ? m * f[1] - g * f[0] : m;
  }
};

template <bool kCentered, bool kMomentum>
struct Rmsprop {
  static constexpr int kSlots = 1 + kCentered + kMomentum, kFactors = 4 + kMomentum;
  template <class Acc>
  static FASTCONV_ALWAYS_INLINE void Step(const Acc* f, Vec<Acc> g, Vec<Acc>& w, Vec<Acc>* slots) {
    Vec<Acc>& v = slots[0];
    v = f[1] * v + f[2] * (g * g);
    Vec<Acc> denominator = v;
    if constexpr (kCentered) {
      Vec<Acc>& a = slots[1];
      a = f[1] * a + f[2] * g;
      denominator -= a * a;
    }
    Vec<Acc> increment = f[0] * g / Sqrt(denominator + f[3]);
    if constexpr (kMomentum) {
      Vec<Acc>& m = slots[1 + kCentered];
      increment = m = f[4] * m + increment;
    }
    w -= increment;
  }
};

struct Adadelta {
  static constexpr int kSlots = 2, kFactors = 4;
  template <class Acc>
  static FASTCONV_ALWAYS_INLINE void Step(const Acc* f, Vec<Acc> g, Vec<Acc>& w, Vec<Acc>* slots) {
    Vec<Acc>&v = slots[0], &d = slots[1];
    v = f[1] * v + f[2] * (g * g);
    const Vec<Acc> step = -(Sqrt(d + f[3]) * g / Sqrt(v + f[3]));
    d = f[1] * d + f[2] * (step * step);
    w += f[0] * step;
  }
};

struct Adagrad {
  static constexpr int kSlots = 1, kFactors = 2;
  template <class Acc>
  static FASTCONV_ALWAYS_INLINE void Step(const Acc* f, Vec<Acc> g, Vec<Acc>& w, Vec<Acc>* slots) {
    Vec<Acc>& v = slots[0];
    v += g * g;
    w -= f[0] * g / Sqrt(v + f[1]);
  }
};

template <class Acc>
FASTCONV_ALWAYS_INLINE void UpdateMoments(const Acc* f, Vec<Acc> g, Vec<Acc>& m, Vec<Acc>& v) {
  m += (g - m) * f[1];
  v += (g * g - v) * f[2];
}

template <bool kAmsgrad>
struct Adam {
  static constexpr int kSlots = 2 + kAmsgrad, kFactors = 4;
  template <class Acc>
  static FASTCONV_ALWAYS_INLINE void Step(const Acc* f, Vec<Acc> g, Vec<Acc>& w, Vec<Acc>* slots) {
    UpdateMoments(f, g, slots[0], slots[1]);
    if constexpr (kAmsgrad) slots[2] = Maximum<Acc>(slots[2], slots[1]);
    w -= slots[0] * f[0] / (Sqrt(slots[kSlots - 1]) + f[3]);
  }
};

struct Adamax {
  static constexpr int kSlots = 2, kFactors = 5;
  template <class Acc>
  static FASTCONV_ALWAYS_INLINE void Step(const Acc* f, Vec<Acc> g, Vec<Acc>& w, Vec<Acc>* slots) {
    Vec<Acc>&m = slots[0], &u = slots[1];
    m += (g - m) * f[1];
    u = Maximum<Acc>(f[2] * u, Magnitude<Acc>(g));
    w -= f[0] * m / (f[4] * (u + f[3]));
  }
};

struct Nadam {
  static constexpr int kSlots = 2, kFactors = 9;
  template <class Acc>
  static FASTCONV_ALWAYS_INLINE void Step(const Acc* f, Vec<Acc> g, Vec<Acc>& w, Vec<Acc>* slots) {
    Vec<Acc>&m = slots[0], &v = slots[1];
    UpdateMoments(f, g, m, v);
    const Vec<Acc> next = f[4] * m / f[5] + f[6] * g / f[7];
    w -= next * f[0] / (Sqrt(v / f[8]) + f[3]);
  }
};

template <class Acc, class Rule>
void UpdateWeightBy(const UpdateWeightArgs& args) {
  // A copy, which stores to weights cannot change.
  Acc factors[Rule::kFactors];
  for (int i = 0; i < Rule::kFactors; ++i) factors[i] = static_cast<const Acc*>(args.factors)[i];
  const auto at = [](const void* base, int64_t i) { return static_cast<const Acc*>(base) + i; };
  for (int64_t i = 0; i < args.elements; i += kLanes<Acc>) {
    const int64_t lanes = args.elements - i;
    Vec<Acc> weight = LoadFirst(at(args.weight, i), lanes);
    Vec<Acc> slots[Rule::kSlots + 1];  // one more than none, which no array can have
    for (int slot = 0; slot < Rule::kSlots; ++slot) {
      slots[slot] = LoadFirst(at(args.slots[slot], i), lanes);
    }
    Rule::template Step<Acc>(factors, LoadFirst(at(args.gradient, i), lanes), weight, slots);
    StoreFirst(static_cast<Acc*>(args.new_weight) + i, weight, lanes);
    for (int slot = 0; slot < Rule::kSlots; ++slot) {
      StoreFirst(static_cast<Acc*>(args.new_slots[slot]) + i, slots[slot], lanes);
    }
  }
}

template <class Acc>
void UpdateWeight(const UpdateWeightArgs& args) {
  switch (args.rule) {
    case UpdateRule::kSgd:
      return UpdateWeightBy<Acc, Sgd>(args);
    case UpdateRule::kMomentum:
      return UpdateWeightBy<Acc, Momentum<false>>(args);
    case UpdateRule::kNesterov:
      return UpdateWeightBy<Acc, Momentum<true>>(args);
    case UpdateRule::kRmsprop:
      return UpdateWeightBy<Acc, Rmsprop<false, false>>(args);
    case UpdateRule::kRmspropMomentum:
      return UpdateWeightBy<Acc, Rmsprop<false, true>>(args);
    case UpdateRule::kCenteredRmsprop:
      return UpdateWeightBy<Acc, Rmsprop<true, false>>(args);
    case UpdateRule::kCenteredRmspropMomentum:
      return UpdateWeightBy<Acc, Rmsprop<true, true>>(args);
    case UpdateRule::kAdadelta:
      return UpdateWeightBy<Acc, Adadelta>(args);
    case UpdateRule::kAdagrad:
      return UpdateWeightBy<Acc, Adagrad>(args);
    case UpdateRule::kAdam:
      return UpdateWeightBy<Acc, Adam<false>>(args);
    case UpdateRule::kAmsgrad:
      return UpdateWeightBy<Acc, Adam<true>>(args);
    case UpdateRule::kAdamax:
      return UpdateWeightBy<Acc, Adamax>(args);
    case UpdateRule::kNadam:
      return UpdateWeightBy<Acc, Nadam>(args);
  }
}

}  // namespace fastconv::cpu::FASTCONV_ISA

#endif  // FASTCONV_CORE_CPU_KERNELS_WEIGHT_UPDATE_H_
