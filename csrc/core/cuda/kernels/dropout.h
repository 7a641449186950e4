// Dropout by the numbers of TensorFlow's stateless uniform distribution, bit for bit; see
// core/cpu/kernels/dropout.h, which draws the same.
#ifndef FASTCONV_CORE_CUDA_KERNELS_DROPOUT_H_
#define FASTCONV_CORE_CUDA_KERNELS_DROPOUT_H_

#include <cstdint>

#include "core/cuda/kernels/block_args.h"
#include "core/cuda/kernels/values.h"
#include "core/dtype.h"

namespace fastconv::cuda {

struct PhiloxWords {
  uint32_t word[4];
};

// Philox4x32-10 (Salmon, Moraes, Dror, Shaw, 2011).
FASTCONV_DEVICE PhiloxWords Philox(PhiloxWords c, uint32_t key0, uint32_t key1) {
  FASTCONV_UNROLL
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53u} * c.word[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57u} * c.word[2];
    c = {{static_cast<uint32_t>(product1 >> 32) ^ c.word[1] ^ key0, static_cast<uint32_t>(product1),
          static_cast<uint32_t>(product0 >> 32) ^ c.word[3] ^ key1,
          static_cast<uint32_t>(product0)}};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return c;
}

template <class T>
constexpr int kMantissaBits = 0;
template <>
constexpr int kMantissaBits<float> = 23;
template <>
constexpr int kMantissaBits<BFloat16> = 7;
template <>
constexpr int kMantissaBits<Float16> = 10;

// By which dropout multiplies what it keeps.
template <class T>
FASTCONV_DEVICE float DropoutScale(double rate) {
  return rate < 1 ? Rounded<T>(static_cast<float>(1 / (1 - rate))) : 0.0f;
}

// What a mask takes of its rate and seed.
struct DropoutState {
  PhiloxWords mix = {};
  uint32_t threshold = 0;
  float scale = 1;
};

template <class T>
FASTCONV_DEVICE DropoutState DropoutStateOf(const DropoutArgs& args) {
  DropoutState state;
  if (!args.enabled) return state;
  const double rate = *args.rate;
  const int64_t seed0 = args.seed[0], seed1 = args.seed[1];
  const auto upper = [](int64_t seed) { return static_cast<uint32_t>(seed >> 32); };
  // Key and counter are the seed, scrambled (TensorFlow's GetKeyCounter).
  state.mix = Philox(
      {{static_cast<uint32_t>(seed0), upper(seed0), static_cast<uint32_t>(seed1), upper(seed1)}},
      0x3EC8F720u, 0x02461E29u);
  // A number is kept if its mantissa is at least rate * 2^bits, rounded up.
  constexpr uint32_t kOne = 1u << kMantissaBits<T>;
  const float bits = Rounded<T>(static_cast<float>(rate)) * static_cast<float>(kOne);
  state.threshold = static_cast<uint32_t>(bits);
  if (static_cast<float>(state.threshold) < bits) ++state.threshold;
  state.scale = DropoutScale<T>(rate);
  return state;
}

// The mask of one seed, which forward and backward draw alike.
template <class T>
class DropoutMask {
 public:
  FASTCONV_DEVICE explicit DropoutMask(const DropoutArgs& args)
      : DropoutMask(args, DropoutStateOf<T>(args)) {}
  FASTCONV_DEVICE DropoutMask(const DropoutArgs& args, const DropoutState& state)
      : args_(args), state_(state) {}

  FASTCONV_DEVICE bool enabled() const { return args_.enabled; }
  FASTCONV_DEVICE float scale() const { return state_.scale; }

  // Of `kVector` values from `element` on of the block's output, which are channels from `channel`
  // on of an image. Vectors begin at multiples of 4.
  template <int kVector>
  FASTCONV_DEVICE void Draw(int64_t element, int64_t image, int channels, int channel,
                            bool (&keep)[kVector]) const {
    const int64_t first = args_.whole_channels ? image * channels + channel : element;
    PhiloxWords words;
    FASTCONV_UNROLL
    for (int i = 0; i < kVector; ++i) {
      if (i % 4 == 0) words = Counter(static_cast<uint64_t>(first + i) / 4);
      const int which = kVector == 1 ? static_cast<int>(first % 4) : i % 4;
      keep[i] = (words.word[which] & ((1u << kMantissaBits<T>)-1)) >= state_.threshold;
    }
  }

  // As stock does it, which stores what comes before the dropout.
  template <int kVector>
  FASTCONV_DEVICE void Drop(const bool (&keep)[kVector], float (&v)[kVector]) const {
    FASTCONV_UNROLL
    for (int i = 0; i < kVector; ++i) v[i] = keep[i] ? Rounded<T>(v[i]) * scale() : 0;
  }

 private:
  FASTCONV_DEVICE PhiloxWords Counter(uint64_t counter) const {
    return Philox({{static_cast<uint32_t>(counter), static_cast<uint32_t>(counter >> 32),
                    state_.mix.word[2], state_.mix.word[3]}},
                  state_.mix.word[0], state_.mix.word[1]);
  }

  const DropoutArgs& args_;
  const DropoutState state_;
};

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_KERNELS_DROPOUT_H_
