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

FASTCONV_DEVICE float FloatOf(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof(value));
  return value;
}
FASTCONV_DEVICE uint32_t BitsOf(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof(bits));
  return bits;
}

// A float's bits, rounded to nearest; the tensor cores ignore the lower bits. The half unit is
// added as a float: added to the bits, it would carry the NaN that GPUs produce, 0x7FFFFFFF, into
// the sign.
FASTCONV_DEVICE uint32_t RoundToTf32(uint32_t word) {
  constexpr uint32_t kSignAndExponent = 0xFF800000u;
  constexpr float kHalfUnit = 0x1p-11f;  // of 1
  return BitsOf(FloatOf(word) + FloatOf(word & kSignAndExponent) * kHalfUnit);
}
FASTCONV_DEVICE float RoundToTf32(float value) { return FloatOf(RoundToTf32(BitsOf(value))); }

template <class T, Precision kPrecision>
struct TensorProduct {
  static constexpr bool kFloat = sizeof(T) == 4;
  static constexpr bool kSplit = kFloat && kPrecision == Precision::kFull;
  static constexpr int kParts = kSplit ? 2 : 1;
  static constexpr int kDepth = kFloat ? 8 : 16;
  // Whether rows and columns are dealt (below), so that one load brings a thread more of float. Of
  // operands taken apart, ptxas would copy what it brings from register to register.
  static constexpr bool kDealt = kFloat && !kSplit;

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

  // kTiles times 16 rows from their transpose, [kDepth][16 * kTiles] in memory. Row r of tile t is
  // DealtRow<kTiles>(t, r) there: what a thread has of them at one depth lies side by side.
  template <int kTiles>
  static FASTCONV_DEVICE void LoadDealtA(const unsigned char* from, int pitch, A (&a)[kTiles]) {
    const int lane = LaneIndex();
    if constexpr (kDealt) {
      FASTCONV_UNROLL
      for (int half = 0; half < 2; ++half) {
        const unsigned char* row = from + (4 * half + lane % 4) * pitch + lane / 4 * (8 * kTiles);
        const Bits<8 * kTiles> bits = Load<8 * kTiles>(row);
        FASTCONV_UNROLL
        for (int i = 0; i < 2 * kTiles; ++i) {
          Prepare(bits.word[i], 2 * half + i % 2, a[i / 2].part);
        }
      }
    } else if constexpr (kFloat) {
      const unsigned char* column = from + lane % 4 * pitch + lane / 4 * 4;
      FASTCONV_UNROLL
      for (int tile = 0; tile < kTiles; ++tile) {
        FASTCONV_UNROLL
        for (int i = 0; i < 4; ++i) {
          const int rows = 16 * tile + i % 2 * 8;
          Prepare(Load<4>(column + i / 2 * 4 * pitch + rows * 4).word[0], i, a[tile].part);
        }
      }
    } else {
      const unsigned char* row = from + (lane / 16 * 8 + lane % 8) * pitch + lane / 8 % 2 * 16;
      FASTCONV_UNROLL
      for (int tile = 0; tile < kTiles; ++tile) {
        uint32_t words[4];
        LoadMatricesTransposed(row + 32 * tile, words);
        FASTCONV_UNROLL
        for (int i = 0; i < 4; ++i) Prepare(words[i], i, a[tile].part);
      }
    }
  }
  template <int kTiles>
  static FASTCONV_DEVICE int DealtRow(int tile, int row) {
    return kDealt ? row % 8 * 2 * kTiles + 2 * tile + row / 8 : 16 * tile + row;
  }

  // Likewise kTiles times 8 columns, [kDepth][8 * kTiles] in memory; column c of tile t is
  // DealtColumn<kTiles>(t, c) there.
  template <int kTiles>
  static FASTCONV_DEVICE void LoadDealtB(const unsigned char* from, int pitch, B (&b)[kTiles]) {
    const int lane = LaneIndex();
    if constexpr (kDealt) {
      FASTCONV_UNROLL
      for (int half = 0; half < 2; ++half) {
        const unsigned char* row = from + (4 * half + lane % 4) * pitch + lane / 4 * (4 * kTiles);
        const Bits<4 * kTiles> bits = Load<4 * kTiles>(row);
        FASTCONV_UNROLL
        for (int i = 0; i < kTiles; ++i) Prepare(bits.word[i], half, b[i].part);
      }
    } else {
      FASTCONV_UNROLL
      for (int i = 0; i < kTiles; i += 2) {
        LoadRows(from + 8 * i * static_cast<int>(sizeof(T)), pitch, &b[i], &b[i + 1]);
      }
    }
  }
  template <int kTiles>
  static FASTCONV_DEVICE int DealtColumn(int tile, int column) {
    return kDealt ? column * kTiles + tile : 8 * tile + column;
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
      part[1][i] = RoundToTf32(BitsOf(FloatOf(word) - FloatOf(part[0][i])));
    } else {
      part[0][i] = kFloat ? RoundToTf32(word) : word;
    }
  }
};

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_KERNELS_TENSOR_PRODUCT_H_
