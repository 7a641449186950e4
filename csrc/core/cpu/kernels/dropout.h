// Dropout by the numbers of TensorFlow's stateless uniform distribution, bit for bit.
//
// Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011)
// makes of a 128-bit counter and a key four words. A number in [0, 1) is the mantissa bits of its
// type taken from one word (float64: from two), divided by 2^bits; it keeps its value if it is at
// least the rate.
#ifndef FASTCONV_CORE_CPU_KERNELS_DROPOUT_H_
#define FASTCONV_CORE_CPU_KERNELS_DROPOUT_H_

#include "core/cpu/kernels/kernels.h"
#include "core/cpu/kernels/pointwise.h"
#include "core/cpu/kernels/pooling.h"
#include "core/cpu/kernels/simd.h"

namespace fastconv::cpu::FASTCONV_ISA {

// Words of kCounters counters, each in the lower half of a lane; what is above is not zero.
constexpr int64_t kCounters = FASTCONV_VECTOR_BYTES / sizeof(uint64_t);
struct PhiloxWords {
  U64 word[4];
};

// The keys of the rounds, in memory: an instruction broadcasts them on the way.
constexpr int kPhiloxRounds = 10;
struct PhiloxKeys {
  PhiloxKeys(uint32_t key0, uint32_t key1) {
    for (auto& keys : round) {
      keys[0] = key0;
      keys[1] = key1;
      key0 += 0x9E3779B9u;
      key1 += 0xBB67AE85u;
    }
  }
  uint64_t round[kPhiloxRounds][2];
};

FASTCONV_ALWAYS_INLINE PhiloxWords Philox(PhiloxWords c, const PhiloxKeys& keys) {
#pragma GCC unroll 10
  for (int i = 0; i < kPhiloxRounds; ++i) {
    const U64 product0 = MultiplyLowerHalves(c.word[0], 0xD2511F53u);
    const U64 product1 = MultiplyLowerHalves(c.word[2], 0xCD9E8D57u);
    c = {{(product1 >> 32) ^ c.word[1] ^ keys.round[i][0], product1,
          (product0 >> 32) ^ c.word[3] ^ keys.round[i][1], product0}};
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
template <>
constexpr int kMantissaBits<double> = 52;

// `value` as T has it.
template <class T, class Acc>
double RoundedTo(double value) {
  T stored[kLanes<Acc>];
  Store(stored, Broadcast<Acc>(static_cast<Acc>(value)));
  return Load(stored)[0];
}

// Key and counter are the seed, scrambled (TensorFlow's GetKeyCounter).
template <class T, class Acc>
DropoutStream MakeDropoutStream(const DropoutSpec& spec) {
  const auto lanes = [](int32_t seed, int shift) {
    return U64{} + static_cast<uint64_t>(int64_t{seed} >> shift);
  };
  const PhiloxWords mix = Philox({{lanes(spec.seed[0], 0), lanes(spec.seed[0], 32),
                                   lanes(spec.seed[1], 0), lanes(spec.seed[1], 32)}},
                                 PhiloxKeys(0x3EC8F720u, 0x02461E29u));
  const auto word = [&mix](int i) { return static_cast<uint32_t>(mix.word[i][0]); };
  const double bits =
      RoundedTo<T, Acc>(spec.rate) * static_cast<double>(int64_t{1} << kMantissaBits<T>);
  const int64_t whole = static_cast<int64_t>(bits);
  return {{word(0), word(1)},
          {word(2), word(3)},
          whole + (static_cast<double>(whole) < bits),
          spec.rate < 1 ? RoundedTo<T, Acc>(1 / (1 - spec.rate)) : 0};
}

// Whether values are kept (-1) or not (0), a piece of the sequence at a time.
template <class T, class Acc>
class DropoutMask {
 public:
  using Integer = typename Simd<Acc>::Integer;
  static constexpr int64_t kPiece = 512;

  explicit DropoutMask(const DropoutStream& stream)
      : keys_(stream.key[0], stream.key[1]),
        upper_{U64{} + stream.counter[0], U64{} + stream.counter[1]},
        threshold_(Mask<Acc>{} + static_cast<Integer>(stream.threshold)) {}

  // For the numbers [first, first + count), count at most kPiece; to be read in whole vectors.
  const Integer* Draw(int64_t first, int64_t count) {
    const int64_t begin = first / kPerCounter, end = (first + count - 1) / kPerCounter + 1;
    for (int64_t counter = begin; counter < end; counter += kCounters) {
      DrawVectors(counter, keep_ + (counter - begin) * kPerCounter);
    }
    return keep_ + first % kPerCounter;
  }

 private:
  static constexpr int64_t kPerCounter = 4 * sizeof(uint32_t) / sizeof(Integer);

  FASTCONV_ALWAYS_INLINE void DrawVectors(int64_t counter, Integer* keep) const {
    const U64 low = LaneNumbers() + static_cast<uint64_t>(counter);
    const PhiloxWords c = Philox({{low, low >> 32, upper_[0], upper_[1]}}, keys_);
    const U64 first = Pair(c.word[0], c.word[1]), second = Pair(c.word[2], c.word[3]);
    StoreVector(keep, Keep(InterleaveLower(first, second)));
    StoreVector(keep + kLanes<Acc>, Keep(InterleaveUpper(first, second)));
  }

  // Two words as they follow each other in the sequence; for float64 as one number, whose upper
  // half is the first.
  FASTCONV_ALWAYS_INLINE static U64 Pair(U64 a, U64 b) {
    constexpr uint64_t kLower = 0xFFFFFFFFu;
    return sizeof(Acc) == 8 ? (a << 32) | (b & kLower) : (a & kLower) | (b << 32);
  }

  FASTCONV_ALWAYS_INLINE Mask<Acc> Keep(U64 words) const {
    constexpr Integer kBits = static_cast<Integer>((int64_t{1} << kMantissaBits<T>)-1);
    return (BitCast<Mask<Acc>>(words) & kBits) >= threshold_;
  }

  const PhiloxKeys keys_;
  const U64 upper_[2];  // words of the counter
  const Mask<Acc> threshold_;
  // A piece, where it begins in its first counter, the rest of the last vectors, and what a reader
  // of whole vectors loads beyond.
  alignas(64) Integer keep_[kPiece + kPerCounter + (kCounters - 1) * kPerCounter + kLanes<Acc>];
};

// Values is T or Acc; `code` may be null.
template <class Values, class Acc, class Code>
FASTCONV_ALWAYS_INLINE void DropRun(const typename Simd<Acc>::Integer* keep, Vec<Acc> scale,
                                    Values* values, Code* code, int64_t count) {
  ForEachVector<Acc>(count, [&](int64_t i, int64_t lanes) {
    const Mask<Acc> kept = LoadVector<Mask<Acc>>(keep + i);
    StoreFirst(values + i, Select<Acc>(kept, LoadFirst(values + i, lanes) * scale, Vec<Acc>{}),
               lanes);
    if (code == nullptr) return;
    const Mask<Acc> dropped =
        Mask<Acc>{} + static_cast<typename Simd<Acc>::Integer>(CodeBits<Code>::kDropped);
    StoreCodes<Acc>(code + i, kept ? LoadCodes<Acc>(code + i, lanes) : dropped, lanes);
  });
}

template <class Values, class T, class Acc, class Code>
void DropRowsCoded(const DropRowsArgs& args) {
  DropoutMask<T, Acc> mask(*args.stream);
  constexpr int64_t kPiece = DropoutMask<T, Acc>::kPiece;
  const Vec<Acc> scale = Broadcast<Acc>(static_cast<Acc>(args.stream->scale));
  const auto drop = [&](const auto* keep, int64_t offset, int64_t count) {
    Code* code = static_cast<Code*>(args.code);
    DropRun<Values, Acc>(keep, scale, static_cast<Values*>(args.values) + offset,
                         code == nullptr ? nullptr : code + offset, count);
  };
  const auto for_each_piece = [](int64_t length, const auto& body) {
    for (int64_t at = 0; at < length; at += kPiece) {
      body(at, length - at < kPiece ? length - at : kPiece);
    }
  };
  if (args.number_row_stride == 0 && args.number_pixel_stride == 0) {  // the same for all pixels
    for_each_piece(args.channels, [&](int64_t channel, int64_t count) {
      const auto* keep = mask.Draw(args.first_number + channel, count);
      for (int64_t row = 0; row < args.rows; ++row) {
        for (int64_t col = 0; col < args.cols; ++col) {
          drop(keep, row * args.row_stride + col * args.pixel_stride + channel, count);
        }
      }
    });
    return;
  }
  // Pixels without gaps are one run.
  const bool dense =
      args.pixel_stride == args.channels && args.number_pixel_stride == args.channels;
  const int64_t runs = dense ? 1 : args.cols;
  const int64_t length = dense ? args.cols * args.channels : args.channels;
  for (int64_t row = 0; row < args.rows; ++row) {
    for (int64_t run = 0; run < runs; ++run) {
      const int64_t offset = row * args.row_stride + run * args.pixel_stride;
      const int64_t number =
          args.first_number + row * args.number_row_stride + run * args.number_pixel_stride;
      for_each_piece(length, [&](int64_t at, int64_t count) {
        drop(mask.Draw(number + at, count), offset + at, count);
      });
    }
  }
}

template <class Values, class T, class Acc>
void DropRows(const DropRowsArgs& args) {
  if (args.code_type == DataType::kUint8) {
    DropRowsCoded<Values, T, Acc, uint8_t>(args);
  } else {
    DropRowsCoded<Values, T, Acc, int32_t>(args);
  }
}

}  // namespace fastconv::cpu::FASTCONV_ISA

#endif  // FASTCONV_CORE_CPU_KERNELS_DROPOUT_H_
