// Bias or normalisation, and activation: forward and derivative side by side.
#ifndef FASTCONV_CORE_CPU_KERNELS_POINTWISE_H_
#define FASTCONV_CORE_CPU_KERNELS_POINTWISE_H_

#include "core/cpu/kernels/kernels.h"
#include "core/cpu/kernels/simd.h"

namespace fastconv::cpu::FASTCONV_ISA {

template <class Acc>
FASTCONV_ALWAYS_INLINE Vec<Acc> LoadParameter(const void* vector, int64_t channel) {
  return Load(static_cast<const Acc*>(vector) + channel);
}

template <class Acc, Activation kActivation, bool kNormalize>
class Stage {
 public:
  explicit Stage(const PointwiseStage& stage)
      : stage_(stage), slope_(Broadcast<Acc>(static_cast<Acc>(stage.negative_slope))) {}

  FASTCONV_ALWAYS_INLINE Vec<Acc> BeforeActivation(Vec<Acc> v, int64_t channel) const {
    const Vec<Acc> shift = LoadParameter<Acc>(stage_.shift, channel);
    if constexpr (!kNormalize) return v + shift;
    // Not v * scale + (shift - mean * scale): that cancels when the mean is far from 0.
    return (v - LoadParameter<Acc>(stage_.mean, channel)) *
               LoadParameter<Acc>(stage_.scale, channel) +
           shift;
  }

  FASTCONV_ALWAYS_INLINE Vec<Acc> operator()(Vec<Acc> v, int64_t channel) const {
    v = BeforeActivation(v, channel);
    if constexpr (kActivation == Activation::kRelu) {
      return Select<Acc>(v < 0, Vec<Acc>{}, v);  // keeps NaN; no product, so -inf becomes 0
    } else if constexpr (kActivation == Activation::kLeakyRelu) {
      return Select<Acc>(v > 0, v, v * slope_);
    } else {
      return v;
    }
  }

  // gradient * activation'(BeforeActivation(v)); at 0 the negative side's slope, as in TensorFlow.
  FASTCONV_ALWAYS_INLINE Vec<Acc> Gradient(Vec<Acc> v, Vec<Acc> gradient, int64_t channel) const {
    if constexpr (kActivation == Activation::kLinear) return gradient;
    return Select<Acc>(BeforeActivation(v, channel) > 0, gradient, gradient * slope_);
  }

 private:
  const PointwiseStage& stage_;
  Vec<Acc> slope_;
};

template <class Acc, bool kNormalize, class Body>
FASTCONV_ALWAYS_INLINE void WithActivation(const PointwiseStage& stage, const Body& body) {
  switch (stage.activation) {
    case Activation::kLinear:
      return body(Stage<Acc, Activation::kLinear, kNormalize>(stage));
    case Activation::kRelu:
      return body(Stage<Acc, Activation::kRelu, kNormalize>(stage));
    case Activation::kLeakyRelu:
      return body(Stage<Acc, Activation::kLeakyRelu, kNormalize>(stage));
  }
}

// Calls body(Stage<...>) with the variant that the arguments ask for.
template <class Acc, class Body>
FASTCONV_ALWAYS_INLINE void WithStage(const PointwiseStage& stage, const Body& body) {
  if (stage.scale != nullptr) {
    WithActivation<Acc, true>(stage, body);
  } else {
    WithActivation<Acc, false>(stage, body);
  }
}

// Calls body(channel, count) for each vector of channels; count >= kLanes except for a tail.
template <class Acc, class Body>
FASTCONV_ALWAYS_INLINE void ForEachVector(int64_t channels, const Body& body) {
  int64_t channel = 0;
  for (; channel + kLanes<Acc> <= channels; channel += kLanes<Acc>) body(channel, kLanes<Acc>);
  if (channel < channels) body(channel, channels - channel);
}

// All vectors of y are whole and aligned.
template <class T, class Acc, class Args>
bool MayStoreAroundCaches(const Args& args) {
  const auto aligned = [](int64_t elements) { return elements % kLanes<Acc> == 0; };
  return kCanStoreAroundCaches<T> && aligned(args.channels) && aligned(args.y_pixel_stride) &&
         aligned(args.y_row_stride) &&
         reinterpret_cast<uintptr_t>(args.y) % FASTCONV_VECTOR_BYTES == 0;
}

template <class Src, class T, class Acc>
void MapRows(const MapRowsArgs& args) {
  const bool around_caches = args.around_caches && MayStoreAroundCaches<T, Acc>(args);
  WithStage<Acc>(args.stage, [&](const auto& stage) {
    for (int64_t row = 0; row < args.rows; ++row) {
      const Src* src = static_cast<const Src*>(args.src) + row * args.src_row_stride;
      T* y = static_cast<T*>(args.y) + row * args.y_row_stride;
      for (int64_t col = 0; col < args.cols; ++col) {
        ForEachVector<Acc>(args.channels, [&](int64_t channel, int64_t count) {
          const Vec<Acc> v = stage(LoadFirst(src + channel, count), channel);
          if constexpr (kCanStoreAroundCaches<T>) {
            if (around_caches) return StoreAroundCaches(y + channel, v);
          }
          StoreFirst(y + channel, v, count);
        });
        src += args.src_pixel_stride;
        y += args.y_pixel_stride;
      }
    }
  });
  if (around_caches) FinishStoresAroundCaches();
}

}  // namespace fastconv::cpu::FASTCONV_ISA

#endif  // FASTCONV_CORE_CPU_KERNELS_POINTWISE_H_
