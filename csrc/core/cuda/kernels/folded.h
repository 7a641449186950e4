// The gradients behind a convolution, of activation, 2x2 pooling and dropout behind that, which its
// kernels take on the way to shared memory: of dy they make the gradient of the convolution's
// output, dz, and no pass over memory writes it.
#ifndef FASTCONV_CORE_CUDA_KERNELS_FOLDED_H_
#define FASTCONV_CORE_CUDA_KERNELS_FOLDED_H_

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "core/cuda/kernels/codes.h"
#include "core/cuda/kernels/dropout.h"
#include "core/cuda/kernels/stage.h"
#include "core/cuda/kernels/values.h"

namespace fastconv::cuda {

// Whose gradients are taken; an activation alone is not linear. A pooling's codes have the
// signs for its activation, and tell what a dropout behind it has dropped.
enum class Folded { kNothing, kActivation, kPooling };

struct FoldedArgs {
  const void* y;        // kActivation: what it gave
  const uint8_t* code;  // kPooling
  ActivationArgs activation;
  const double* dropout_rate;  // kPooling; null: none
};

// What gradients of a pooled cell are multiplied by.
template <class T>
struct FoldedFactors {
  float slope;  // where the activation's output is not positive
  float scale;  // of what a dropout keeps

  FASTCONV_DEVICE explicit FoldedFactors(const FoldedArgs& args)
      : slope(args.activation.linear ? 1 : args.activation.slope),
        scale(args.dropout_rate == nullptr ? 1 : DropoutScale<T>(*args.dropout_rate)) {}
};

// The values of 16 bytes.
template <class T>
FASTCONV_DEVICE void Unpack(const Bits<16>& bits, float (&values)[kVectorOf<T>]) {
  if constexpr (std::is_same_v<T, BFloat16>) {  // the upper halves of float, without taking apart
    FASTCONV_UNROLL
    for (int c = 0; c < kVectorOf<T>; ++c) {
      const uint32_t word = bits.word[c / 2], upper = c % 2 == 0 ? word << 16 : word & 0xFFFF0000u;
      memcpy(&values[c], &upper, sizeof(upper));
    }
  } else {
    T elements[kVectorOf<T>];
    memcpy(elements, &bits, sizeof(elements));
    FASTCONV_UNROLL
    for (int c = 0; c < kVectorOf<T>; ++c) values[c] = ToFloat(elements[c]);
  }
}

// dy of some channels of a pixel -> dz; y: what the activation gave there.
template <class T>
FASTCONV_DEVICE void FoldActivation(const ActivationArgs& activation, const Bits<16>& y,
                                    float (&gradient)[kVectorOf<T>]) {
  float values[kVectorOf<T>];
  Unpack<T>(y, values);
  FASTCONV_UNROLL
  for (int c = 0; c < kVectorOf<T>; ++c) {
    gradient[c] = ActivationGradient(activation, values[c] > 0, gradient[c]);
  }
}

// What some channels of a pooled cell pass on, each to one of the cell's pixels.
template <class T>
class FoldedCell {
 public:
  static constexpr int kVector = kVectorOf<T>;

  FASTCONV_DEVICE FoldedCell(const FoldedFactors<T>& factors, const Bits<16>& dy,
                             const Bits<kVector>& codes)
      : codes_(codes) {
    Unpack<T>(dy, gradient_);
    FASTCONV_UNROLL
    for (int c = 0; c < kVector; ++c) {
      if (!Differs(c, 0, PositiveBit(false))) gradient_[c] *= factors.slope;
      gradient_[c] *= factors.scale;
    }
  }

  // dz of one of the pixels.
  FASTCONV_DEVICE void AtPixel(int position, float (&dz)[kVector]) const {
    FASTCONV_UNROLL
    for (int c = 0; c < kVector; ++c) {
      dz[c] = Differs(c, position, DroppedCode(false)) ? 0 : gradient_[c];
    }
  }
  // Of all of them together.
  FASTCONV_DEVICE void Sum(float (&dz)[kVector]) const {
    constexpr int kDropped = DroppedCode(false);
    FASTCONV_UNROLL
    for (int c = 0; c < kVector; ++c) dz[c] = Differs(c, kDropped, kDropped) ? gradient_[c] : 0;
  }

 private:
  // Whether a channel's code has other bits than `bits` where `mask` has ones. Codes are compared
  // four at a time, and not taken apart.
  FASTCONV_DEVICE bool Differs(int channel, int bits, int mask) const {
    constexpr uint32_t kEach = 0x01010101;
    const uint32_t differences = (codes_.word[channel / 4] & mask * kEach) ^ bits * kEach;
    return (differences & 0xFFu << channel % 4 * 8) != 0;
  }

  float gradient_[kVector];
  const Bits<kVector> codes_;
};

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_KERNELS_FOLDED_H_
