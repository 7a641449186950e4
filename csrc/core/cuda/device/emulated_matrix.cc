#include <cstring>

#include "core/cuda/device/matrix.h"

namespace fastconv::cuda {
namespace {

struct MatrixLoad {
  const void* row;
  uint32_t (*words)[4];
};

template <bool kTransposed>
void LoadAll(void* const* lanes) {
  for (int matrix = 0; matrix < 4; ++matrix) {
    uint16_t values[8][8];
    for (int row = 0; row < 8; ++row) {
      const void* from = static_cast<const MatrixLoad*>(lanes[8 * matrix + row])->row;
      emulation::RequireAligned(from, 16);
      emulation::RequireShared(from, 16);
      std::memcpy(values[row], from, 16);
    }
    for (int lane = 0; lane < kWarpSize; ++lane) {
      const int group = lane / 4, column = lane % 4 * 2;
      const uint16_t low = kTransposed ? values[column][group] : values[group][column];
      const uint16_t high = kTransposed ? values[column + 1][group] : values[group][column + 1];
      (*static_cast<MatrixLoad*>(lanes[lane])->words)[matrix] = low | static_cast<uint32_t>(high)
                                                                          << 16;
    }
  }
}

struct Product {
  const uint32_t (*a)[4];
  const uint32_t (*b)[2];
  float (*d)[4];
};

// Value `index` of a lane's words.
float Value(BFloat16, const uint32_t* words, int index) {
  const uint32_t bits = words[index / 2] >> (index % 2 * 16) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}
float Value(Float16, const uint32_t* words, int index) {
  return FromFloat16(static_cast<uint16_t>(words[index / 2] >> (index % 2 * 16)));
}
float Value(float, const uint32_t* words, int index) {
  const uint32_t bits = words[index] & 0xFFFFE000u;
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

template <class T>
void MultiplyAll(void* const* lanes) {
  constexpr int kPerWord = 4 / sizeof(T), kDepth = 8 * kPerWord;
  float a[16][kDepth], b[kDepth][8];
  for (int lane = 0; lane < kWarpSize; ++lane) {
    const auto* product = static_cast<const Product*>(lanes[lane]);
    const int group = lane / 4, member = lane % 4;
    for (int word = 0; word < 4; ++word) {
      for (int part = 0; part < kPerWord; ++part) {
        const int column = word / 2 * kDepth / 2 + member * kPerWord + part;
        a[group + 8 * (word % 2)][column] = Value(T(), *product->a, word * kPerWord + part);
        if (word < 2) {
          const int row = word * kDepth / 2 + member * kPerWord + part;
          b[row][group] = Value(T(), *product->b, word * kPerWord + part);
        }
      }
    }
  }
  for (int lane = 0; lane < kWarpSize; ++lane) {
    for (int i = 0; i < 4; ++i) {
      const int row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
      float& d = (*static_cast<Product*>(lanes[lane])->d)[i];
      for (int k = 0; k < kDepth; ++k) d += a[row][k] * b[k][column];
    }
  }
}

template <class T>
void Multiply(const uint32_t (&a)[4], const uint32_t (&b)[2], float (&d)[4]) {
  Product mine{&a, &b, &d};
  emulation::WithWarp(&MultiplyAll<T>, &mine);
}

}  // namespace

void LoadMatrices(const void* row, uint32_t (&words)[4]) {
  MatrixLoad mine{row, &words};
  emulation::WithWarp(&LoadAll<false>, &mine);
}
void LoadMatricesTransposed(const void* row, uint32_t (&words)[4]) {
  MatrixLoad mine{row, &words};
  emulation::WithWarp(&LoadAll<true>, &mine);
}

void MultiplyAdd(BFloat16, const uint32_t (&a)[4], const uint32_t (&b)[2], float (&d)[4]) {
  Multiply<BFloat16>(a, b, d);
}
void MultiplyAdd(Float16, const uint32_t (&a)[4], const uint32_t (&b)[2], float (&d)[4]) {
  Multiply<Float16>(a, b, d);
}
void MultiplyAdd(float, const uint32_t (&a)[4], const uint32_t (&b)[2], float (&d)[4]) {
  Multiply<float>(a, b, d);
}

}  // namespace fastconv::cuda
