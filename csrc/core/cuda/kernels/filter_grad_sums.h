// What a warp sums up of a 3x3 filter's gradient over four rows of a tile: for the three filter
// rows of one column, 16 * kMTiles channels of the input x 32 of the output.
#ifndef FASTCONV_CORE_CUDA_KERNELS_FILTER_GRAD_SUMS_H_
#define FASTCONV_CORE_CUDA_KERNELS_FILTER_GRAD_SUMS_H_

#include "core/cuda/kernels/tensor_product.h"
#include "core/cuda/kernels/tile.h"
#include "core/cuda/kernels/values.h"

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
    FASTCONV_UNROLL
    for (int first = 0; first < kNTiles; first += kHeldTiles) {
      FASTCONV_UNROLL_BY(Product::kSplit ? 1 : kTile / kDepth)  // registers
      for (int depth = 0; depth < kTile; depth += kDepth) {
        typename Product::B b[3][kHeldTiles];  // the rows of dz that a row of x meets
        FASTCONV_UNROLL
        for (int row = 0; row < kRows + 2; ++row) {
          if (row < kRows) {
            Product::LoadDealtB(dz + (row * kTile + depth) * kDzPitch + first * 8 * kElement,
                                kDzPitch, b[row % 3]);
          }
          typename Product::A a[kMTiles];
          Product::LoadDealtA(x + row * x_row_bytes + depth * kXPitch, kXPitch, a);
          FASTCONV_UNROLL
          for (int m = 0; m < kMTiles; ++m) {
            FASTCONV_UNROLL
            for (int r = 0; r < 3; ++r) {
              if (row - r < 0 || row - r >= kRows) continue;
              FASTCONV_UNROLL
              for (int n = 0; n < kHeldTiles; ++n) {
                Product::Add(a[m], b[(row - r) % 3][n], sum_[r][m][first + n]);
              }
            }
          }
        }
      }
    }
  }

  // Adds to, or where it is the first one stores, three areas of kChannels * kOutputs, one for each
  // filter row, that lie `row` elements apart.
  FASTCONV_DEVICE void AddTo(float* sums, int row, bool first) const {
    const int group = LaneIndex() / 4;
    FASTCONV_UNROLL
    for (int r = 0; r < 3; ++r) {
      FASTCONV_UNROLL
      for (int m = 0; m < kMTiles; ++m) {
        FASTCONV_UNROLL
        for (int i = 0; i < 2; ++i) {
          const int channel = Product::template DealtRow<kMTiles>(m, group + 8 * i);
          FASTCONV_UNROLL
          for (int run = 0; run < kRuns; ++run) {
            float* const to = sums + r * row + Place(channel, FirstOfRun(run));
            float sum[kRun] = {};
            if (!first) LoadElements(to, sum);
            FASTCONV_UNROLL
            for (int k = 0; k < kRun; ++k)
              sum[k] += sum_[r][m][kDealt ? k : run][2 * i + (kDealt ? run : k)];
            StoreElements(sum, to);
          }
        }
      }
    }
  }

  // Where an area has a sum: runs of four lie together, and what a warp stores at once in different
  // banks.
  static FASTCONV_DEVICE int Place(int channel, int output) {
    const int bank = Product::kDealt ? channel / (2 * kMTiles) % 2 * 4 : channel % 4 * 8;
    return channel * kOutputs + (output ^ bank);
  }

 private:
  static constexpr int kNTiles = kOutputs / 8;
  // Of float taken apart, the operands of all outputs would take too many registers.
  static constexpr int kHeldTiles = Product::kSplit && kMTiles > 1 ? kNTiles / 2 : kNTiles;
  // Outputs of a row that a thread has side by side: one of each tile, or two of one.
  static constexpr bool kDealt = Product::kDealt;
  static constexpr int kRun = kDealt ? kNTiles : 2, kRuns = 2 * kNTiles / kRun;

  static FASTCONV_DEVICE int FirstOfRun(int run) {
    const int column = LaneIndex() % 4 * 2;
    return kDealt ? Product::template DealtColumn<kNTiles>(0, column + run)
                  : Product::template DealtColumn<kNTiles>(run, column);
  }

  float sum_[3][kMTiles][kNTiles][4];
};

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_KERNELS_FILTER_GRAD_SUMS_H_
