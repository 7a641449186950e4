// Products of fragments (device/matrix.h) in the precision asked for, and where they come from.
#ifndef FASTCONV_CORE_CUDA_KERNELS_TENSOR_PRODUCT_H_
#define FASTCONV_CORE_CUDA_KERNELS_TENSOR_PRODUCT_H_

#include <cstdint>
#include <cstring>

#include "core/cuda/device/matrix.h"

namespace fastconv::cuda {

// What tensor cores make of float: values rounded to 11 bits of significand, or each one as the sum
// of two such, whose three largest products keep 21. 16-bit types are exact as they are.
enum class Precision { kFast, kFull };

// A float's bits, rounded to nearest; the tensor cores ignore the lower bits. Half a unit more
// would carry the NaN that GPUs produce, 0x7FFFFFFF, into the sign.
FASTCONV_DEVICE uint32_t RoundToTf32(uint32_t word) {
  constexpr uint32_t kExponent = 0x7F800000u, kHalfUnit = 0x1000u;
  return (word & kExponent) == kExponent ? word : word + kHalfUnit;
}
FASTCONV_DEVICE float RoundToTf32(float value) {
  uint32_t word;
  memcpy(&word, &value, sizeof(word));
  word = RoundToTf32(word);
  memcpy(&value, &word, sizeof(value));
  return value;
}

template <class T, Precision kPrecision>
struct TensorProduct {
  static constexpr bool kFloat = sizeof(T) == 4;
  static constexpr bool kSplit = kFloat && kPrecision == Precision::kFull;
  static constexpr int kParts = kSplit ? 2 : 1;
  static constexpr int kDepth = kFloat ? 8 : 16;

  struct A {
    uint32_t part[kParts][4];
  };
  struct B {
    uint32_t part[kParts][2];
  };

  // 16 rows of kDepth elements. `row`: of lane l, row l % 16, the second half of the depth for l >=
  // 16.
  static FASTCONV_DEVICE void LoadA(const unsigned char* row, A* a) {
    uint32_t words[4];
    LoadMatrices(row, words);
    FASTCONV_UNROLL
    for (int i = 0; i < 4; ++i) Prepare(words[i], i, a->part);
  }

  // The same from its transpose, [kDepth][16] in memory.
  static FASTCONV_DEVICE void LoadATransposed(const unsigned char* from, int pitch, A* a) {
    const int lane = LaneIndex();
    if constexpr (kFloat) {
      FASTCONV_UNROLL
      for (int i = 0; i < 4; ++i) {
        const unsigned char* row =
            from + (i / 2 * 4 + lane % 4) * pitch + (i % 2 * 8 + lane / 4) * 4;
        Prepare(Load<4>(row).word[0], i, a->part);
      }
    } else {
      uint32_t words[4];
      LoadMatricesTransposed(from + (lane / 16 * 8 + lane % 8) * pitch + lane / 8 % 2 * 16, words);
      FASTCONV_UNROLL
      for (int i = 0; i < 4; ++i) Prepare(words[i], i, a->part);
    }
  }

  // Columns of two B's, [16][kDepth] in memory.
  static FASTCONV_DEVICE void LoadColumns(const unsigned char* from, int pitch, B* b0, B* b1) {
    const int lane = LaneIndex();
    uint32_t words[4];
    LoadMatrices(from + (lane / 16 * 8 + lane % 8) * pitch + lane / 8 % 2 * 16, words);
    FASTCONV_UNROLL
    for (int i = 0; i < 2; ++i) {
      Prepare(words[i], i, b0->part);
      Prepare(words[i + 2], i, b1->part);
    }
  }

  // Rows of two B's, [kDepth][16] in memory.
  static FASTCONV_DEVICE void LoadRows(const unsigned char* from, int pitch, B* b0, B* b1) {
    const int lane = LaneIndex();
    if constexpr (kFloat) {
      FASTCONV_UNROLL
      for (int i = 0; i < 2; ++i) {
        const unsigned char* row = from + (4 * i + lane % 4) * pitch + lane / 4 * 4;
        Prepare(Load<4>(row).word[0], i, b0->part);
        Prepare(Load<4>(row + 8 * 4).word[0], i, b1->part);
      }
    } else {
      uint32_t words[4];
      LoadMatricesTransposed(from + lane % 16 * pitch + lane / 16 * 16, words);
      FASTCONV_UNROLL
      for (int i = 0; i < 2; ++i) {
        Prepare(words[i], i, b0->part);
        Prepare(words[i + 2], i, b1->part);
      }
    }
  }

  static FASTCONV_DEVICE void Add(const A& a, const B& b, float (&sum)[4]) {
    if constexpr (kSplit) {  // the small products first
      MultiplyAdd(T(), a.part[1], b.part[0], sum);
      MultiplyAdd(T(), a.part[0], b.part[1], sum);
    }
    MultiplyAdd(T(), a.part[0], b.part[0], sum);
  }

  template <int kWords>
  static FASTCONV_DEVICE void Prepare(uint32_t word, int i, uint32_t (&part)[kParts][kWords]) {
    if constexpr (kSplit) {
      part[0][i] = word & 0xFFFFE000u;
      part[1][i] = RoundToTf32(Difference(word, part[0][i]));
    } else {
      part[0][i] = kFloat ? RoundToTf32(word) : word;
    }
  }

 private:
  static FASTCONV_DEVICE uint32_t Difference(uint32_t word, uint32_t part) {
    float value, rounded;
    memcpy(&value, &word, sizeof(value));
    memcpy(&rounded, &part, sizeof(rounded));
    value -= rounded;
    memcpy(&word, &value, sizeof(word));
    return word;
  }
};

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_KERNELS_TENSOR_PRODUCT_H_
