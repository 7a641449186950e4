// What a warp computes of a 3x3 convolution's output, four rows of 16 pixels x 32 channels, with
// bias, activation and 2x2 max pooling in the registers that hold the sums.
#ifndef FASTCONV_CORE_CUDA_KERNELS_WARP_SUMS_H_
#define FASTCONV_CORE_CUDA_KERNELS_WARP_SUMS_H_

#include <cstdint>

#include "core/cuda/kernels/dropout.h"
#include "core/cuda/kernels/pooled_cell.h"
#include "core/cuda/kernels/quad.h"
#include "core/cuda/kernels/stage.h"
#include "core/cuda/kernels/store_cell.h"
#include "core/cuda/kernels/tensor_product.h"
#include "core/cuda/kernels/tile.h"
#include "core/cuda/kernels/tile_load.h"
#include "core/cuda/kernels/values.h"

namespace fastconv::cuda {

struct Conv3x3Args {
  const void* x;       // [images][height][width][channels]; rotated: dz, or what it is made of
  FoldedArgs folded;   // rotated
  const void* filter;  // [9][channels][outputs]; rotated: [9][outputs][channels]
  const void* bias;    // [outputs], or null
  void* y;
  uint8_t* code;      // pooled
  float* statistics;  // [block.x][kStatisticsValues][outputs]
  ActivationArgs activation;
  DropoutArgs dropout;  // pooled
  int height, width, channels;
  int out_height, out_width, outputs;  // before pooling
  int pad_h, pad_w;                    // before the map
  int tile_rows, tile_columns;         // of an image
  int tiles;                           // of all images
  int chunks;
};

// What comes of the sums.
enum class Conv3x3Result { kMap, kPooledMap, kMapAndStatistics };

// Which of the 32 channels a column of the products is. A thread has two columns of each eight.
enum class OutputOrder {
  kInTurn,  // its own number: threads exchange sums (quad.h) before they store runs of channels
  kDealt    // DealtOutput(column): a thread's columns are a run of channels
};

FASTCONV_DEVICE int DealtOutput(int column) {
  return column % 8 / 2 * 8 + column / 8 * 2 + column % 2;
}

template <class T, Precision kPrecision, OutputOrder kOrder>
class WarpSums {
 public:
  using Product = TensorProduct<T, kPrecision>;
  static constexpr int kRows = 4, kOutputs = 32;
  static constexpr int kNTiles = kOutputs / 8;
  using FilterFragments = typename Product::B[kNTiles];

  // The fragments' rows are pixels, in an order that keeps neighbours in one thread and 8 rows in
  // different banks: rows r and r + 8 are the pixels Pixel(r) and Pixel(r) ^ 1.
  static FASTCONV_DEVICE int Pixel(int row) {
    const int r = row % 8;
    const int pixel = r < 4 ? 2 * r : 2 * r + 1;
    return row < 8 ? pixel : pixel ^ 1;
  }

  FASTCONV_DEVICE void Clear() {
    FASTCONV_UNROLL
    for (int i = 0; i < kRows; ++i) {
      FASTCONV_UNROLL
      for (int j = 0; j < kNTiles; ++j) {
        FASTCONV_UNROLL
        for (int k = 0; k < 4; ++k) sum_[i][j][k] = 0;
      }
    }
  }

  // Products with one filter column. `pixels`: what LoadA takes, in the first of kRows + 2 rows
  // that lie row_bytes apart; a fragment of pixels serves the three filter rows that it lies under.
  // load(r, b): the fragments of filter row r.
  template <class LoadFilter>
  FASTCONV_DEVICE void AddColumn(const unsigned char* pixels, int row_bytes,
                                 const LoadFilter& load) {
    FilterFragments b[3];
    FASTCONV_UNROLL
    for (int r = 0; r < 3; ++r) load(r, b[r]);
    FASTCONV_UNROLL
    for (int row = 0; row < kRows + 2; ++row) {
      typename Product::A a;
      Product::LoadA(pixels + row * row_bytes, &a);
      FASTCONV_UNROLL
      for (int r = 0; r < 3; ++r) {
        const int i = row - r;
        if (i < 0 || i >= kRows) continue;
        FASTCONV_UNROLL
        for (int j = 0; j < kNTiles; ++j) Product::Add(a, b[r][j], sum_[i][j]);
      }
    }
  }

  // Rows from (image, row) on, the tile's columns from `column` on, channels from `output` on.
  // kAnyOutputs: channels need not come in whole runs of eight.
  template <bool kAnyOutputs>
  FASTCONV_DEVICE void StoreMap(const Conv3x3Args& args, const Tile& at, int output) const {
    const int count = args.outputs - output - LaneIndex() % 4 * 8;
    ForEachPixel(args, at, output, [&](int64_t offset, const float(&v)[8]) {
      T* y = static_cast<T*>(args.y) + offset;
      if (kAnyOutputs && args.outputs % 8 != 0) {
        StoreFirst(v, count, y);
      } else {
        StoreValues(v, y);
      }
    });
  }

  // Likewise, cells of 2x2 pixels.
  FASTCONV_DEVICE void StorePooledMap(const Conv3x3Args& args, const Tile& at, int output,
                                      const DropoutState& dropout) const {
    output += LaneIndex() % 4 * 8;
    float bias[8];
    LoadBias(args, output, bias);
    const int column = at.column + Pixel(LaneIndex() / 4);
    FASTCONV_UNROLL
    for (int i = 0; i < kRows; i += 2) {
      StoreCells(args, {at.image, (at.row + i) / 2, column / 2}, output, bias, dropout, i);
    }
  }

  // body(offset in y, values) for those of a thread's pixels, of 8 channels each, that lie on the
  // map. Called by whole warps.
  template <class Body>
  FASTCONV_DEVICE void ForEachPixel(const Conv3x3Args& args, const Tile& at, int output,
                                    const Body& body) const {
    output += LaneIndex() % 4 * 8;
    float bias[8];
    LoadBias(args, output, bias);
    const int column = at.column + Pixel(LaneIndex() / 4);
    FASTCONV_UNROLL
    for (int i = 0; i < kRows; ++i) {
      FASTCONV_UNROLL
      for (int neighbour = 0; neighbour < 2; ++neighbour) {
        float v[8];
        Values(args.activation, i, neighbour, bias, v);
        const int h = at.row + i, w = column ^ neighbour;
        if (output >= args.outputs || h >= args.out_height || w >= args.out_width) continue;
        const int64_t pixel = (at.image * args.out_height + h) * args.out_width + w;
        body(pixel * args.outputs + output, v);
      }
    }
  }

 private:
  // Of a thread's run of channels.
  static FASTCONV_DEVICE void LoadBias(const Conv3x3Args& args, int output, float (&bias)[8]) {
    FASTCONV_UNROLL
    for (int c = 0; c < 8; ++c) bias[c] = 0;
    if (args.bias != nullptr && output < args.outputs) {
      LoadValues(static_cast<const T*>(args.bias) + output, bias);
    }
  }

  // Eight channels of a pixel, behind bias and activation. Called by whole warps.
  FASTCONV_DEVICE void Values(const ActivationArgs& activation, int i, int neighbour,
                              const float (&bias)[8], float (&v)[8]) const {
    FASTCONV_UNROLL
    for (int part = 0; part < 2; ++part) {
      float of_tile[kNTiles];
      FASTCONV_UNROLL
      for (int j = 0; j < kNTiles; ++j) of_tile[j] = sum_[i][j][2 * neighbour + part];
      if constexpr (kOrder == OutputOrder::kInTurn) TransposeQuad(of_tile);
      FASTCONV_UNROLL
      for (int j = 0; j < kNTiles; ++j) v[2 * j + part] = of_tile[j];
    }
    FASTCONV_UNROLL
    for (int c = 0; c < 8; ++c) v[c] += bias[c];
    Activate(activation, v);
  }

  static FASTCONV_DEVICE void StoreFirst(const float (&v)[8], int count, T* y) {
    FASTCONV_UNROLL
    for (int c = 0; c < 8; ++c) {
      if (c < count) y[c] = FromFloat<T>(v[c]);
    }
  }

  // Rows i and i + 1 of the warp. The neighbours of a pixel on the right are on its left for half
  // of the threads.
  FASTCONV_DEVICE void StoreCells(const Conv3x3Args& args, const Tile& at, int output,
                                  const float (&bias)[8], const DropoutState& dropout,
                                  int i) const {
    const bool odd = Pixel(LaneIndex() / 4) % 2 != 0;
    PooledCell<8> cell(0);
    FASTCONV_UNROLL
    for (int below = 0; below < 2; ++below) {
      float mine[8], neighbour[8];
      Values(args.activation, i + below, 0, bias, mine);
      Values(args.activation, i + below, 1, bias, neighbour);
      FASTCONV_UNROLL
      for (int c = 0; c < 8; ++c) {
        cell.Add(c, odd ? neighbour[c] : mine[c], 2 * below);
        cell.Add(c, odd ? mine[c] : neighbour[c], 2 * below + 1);
      }
    }
    const int height = args.out_height / 2, width = args.out_width / 2;
    if (output >= args.outputs || at.row >= height || at.column >= width) return;
    const int64_t pixel = (at.image * height + at.row) * width + at.column;
    StoreCell(cell, DropoutMask<T>(args.dropout, dropout),
              {pixel * args.outputs + output, at.image, args.outputs, output},
              /*wide_codes=*/false, static_cast<T*>(args.y), args.code);
  }

  float sum_[kRows][kNTiles][4];
};

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_KERNELS_WARP_SUMS_H_
