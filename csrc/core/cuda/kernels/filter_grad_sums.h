// What a warp sums up of a 3x3 filter's gradient over four rows of a tile: for the three filter
// rows of one column, 16 * kMTiles channels of the input x 32 of the output.
#ifndef FASTCONV_CORE_CUDA_KERNELS_FILTER_GRAD_SUMS_H_
#define FASTCONV_CORE_CUDA_KERNELS_FILTER_GRAD_SUMS_H_

#include "core/cuda/kernels/tensor_product.h"
#include "core/cuda/kernels/tile.h"

namespace fastconv::cuda {

template <class T, Precision kPrecision, int kMTiles>
class FilterGradSums {
 public:
  using Product = TensorProduct<T, kPrecision>;
  static constexpr int kRows = 4;
  static constexpr int kChannels = 16 * kMTiles, kOutputs = 32;

  FASTCONV_DEVICE void Clear() {
    FASTCONV_UNROLL
    for (int r = 0; r < 3; ++r) {
      FASTCONV_UNROLL
      for (int m = 0; m < kMTiles; ++m) {
        FASTCONV_UNROLL
        for (int n = 0; n < kNTiles; ++n) {
          FASTCONV_UNROLL
          for (int i = 0; i < 4; ++i) sum_[r][m][n][i] = 0;
        }
      }
    }
  }

  // x: kRows + 2 rows, x_row_bytes apart, of pixels kXPitch bytes apart; dz: the rows of the tile,
  // likewise. A fragment of x serves the three filter rows.
  template <int kXPitch, int kDzPitch>
  FASTCONV_DEVICE void AddRows(const unsigned char* x, int x_row_bytes, const unsigned char* dz) {
    constexpr int kDepth = Product::kDepth;  // pixels of a row
    constexpr int kElement = static_cast<int>(sizeof(T));
    for (int depth = 0; depth < kTile; depth += kDepth) {
      typename Product::B b[3][kNTiles];  // the rows of dz that a row of x meets
      FASTCONV_UNROLL
      for (int row = 0; row < kRows + 2; ++row) {
        FASTCONV_UNROLL
        for (int n = 0; row < kRows && n < kNTiles; n += 2) {
          Product::LoadRows(dz + (row * kTile + depth) * kDzPitch + n * 8 * kElement, kDzPitch,
                            &b[row % 3][n], &b[row % 3][n + 1]);
        }
        FASTCONV_UNROLL
        for (int m = 0; m < kMTiles; ++m) {
          typename Product::A a;
          Product::LoadATransposed(x + row * x_row_bytes + depth * kXPitch + m * 16 * kElement,
                                   kXPitch, &a);
          FASTCONV_UNROLL
          for (int r = 0; r < 3; ++r) {
            if (row - r < 0 || row - r >= kRows) continue;
            FASTCONV_UNROLL
            for (int n = 0; n < kNTiles; ++n) {
              Product::Add(a, b[(row - r) % 3][n], sum_[r][m][n]);
            }
          }
        }
      }
    }
  }

  // Adds to, or where it is the first one stores, [3][kChannels][kOutputs] whose filter rows lie
  // `row` elements apart.
  FASTCONV_DEVICE void AddTo(float* sums, int row, bool first) const {
    const int group = LaneIndex() / 4, member = LaneIndex() % 4;
    FASTCONV_UNROLL
    for (int r = 0; r < 3; ++r) {
      FASTCONV_UNROLL
      for (int m = 0; m < kMTiles; ++m) {
        FASTCONV_UNROLL
        for (int n = 0; n < kNTiles; ++n) {
          FASTCONV_UNROLL
          for (int i = 0; i < 4; ++i) {
            const int channel = 16 * m + group + 8 * (i / 2), output = 8 * n + 2 * member + i % 2;
            float& to = sums[r * row + channel * kOutputs + output];
            to = first ? sum_[r][m][n][i] : to + sum_[r][m][n][i];
          }
        }
      }
    }
  }

 private:
  static constexpr int kNTiles = kOutputs / 8;

  float sum_[3][kMTiles][kNTiles][4];
};

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_KERNELS_FILTER_GRAD_SUMS_H_
