// 3x3 convolution, stride 1, on tensor cores, with bias, activation and 2x2 max pooling in the
// registers that hold the sums; rotated, the gradient of its input.
//
// A block computes tiles of 16x16 pixels x kOutputs channels, one after the other. For each tile it
// walks over chunks of 64 bytes of input channels; pixels with a border of 1, and the filter, come
// into shared memory by asynchronous copies, the next chunk or tile while this one is computed. A
// filter of one chunk stays there. A warp has four rows of 16 pixels x 32 channels: a fragment of
// pixels serves the three filter rows that it lies under.
#ifndef FASTCONV_CORE_CUDA_KERNELS_CONV3X3_H_
#define FASTCONV_CORE_CUDA_KERNELS_CONV3X3_H_

#include <cstdint>

#include "core/cuda/device/matrix.h"
#include "core/cuda/kernels/codes.h"
#include "core/cuda/kernels/pooled_cell.h"
#include "core/cuda/kernels/quad.h"
#include "core/cuda/kernels/stage.h"
#include "core/cuda/kernels/tensor_product.h"
#include "core/cuda/kernels/values.h"

namespace fastconv::cuda {

struct Conv3x3Args {
  const void* x;       // [images][height][width][channels]
  const void* filter;  // [9][channels][outputs]; rotated: [9][outputs][channels]
  const void* bias;    // [outputs], or null
  void* y;
  uint8_t* code;  // pooled
  ActivationArgs activation;
  int height, width, channels;
  int out_height, out_width, outputs;  // before pooling
  int pad_h, pad_w;                    // before the map
  int tile_rows, tile_columns;         // of an image
  int tiles;                           // of all images
  int chunks;
};

template <class T, Precision kPrecision, int kOutputs, bool kRotated, bool kPooled>
struct Conv3x3 {
  using Args = Conv3x3Args;
  static constexpr int kTile = 16;
  static constexpr int kWarpRows = 4, kWarpOutputs = 32;
  static constexpr int kTileWarps = kTile / kWarpRows;
  static constexpr int kThreads = kTileWarps * (kOutputs / kWarpOutputs) * kWarpSize;
  static constexpr int kMinBlocks = kOutputs == 32 ? 2 : 1;

  static constexpr int kElement = static_cast<int>(sizeof(T));
  static constexpr int kCopyBytes = 16, kCopy = kCopyBytes / kElement;
  static constexpr int kChunkBytes = 64, kChunk = kChunkBytes / kElement;
  static constexpr int kDepth = TensorProduct<T, kPrecision>::kDepth;
  // Pitches put 8 rows of a fragment into different banks.
  static constexpr int kPixelPitch = kChunkBytes + 16;
  static constexpr int kHalo = kTile + 2;
  static constexpr int kFilterRows = kRotated ? kOutputs : kChunk;  // of a tap
  static constexpr int kFilterRowBytes = kRotated ? kChunkBytes : kOutputs * kElement;
  static constexpr int kFilterPitch = kFilterRowBytes + (!kRotated && kElement == 4 ? 32 : 16);
  static constexpr int kPixelBytes = kHalo * kHalo * kPixelPitch;
  static constexpr int kFilterBytes = 9 * kFilterRows * kFilterPitch;
  static_assert(kPixelBytes % 16 == 0 && kFilterBytes % 16 == 0, "copies are 16 bytes");
  static_assert(kChunk % kDepth == 0 && kOutputs % kWarpOutputs == 0, "whole fragments");

  static constexpr int SharedBytes(int chunks) {
    return 2 * kPixelBytes + (chunks == 1 ? 1 : 2) * kFilterBytes;
  }

  static FASTCONV_DEVICE void Run(const Args& args) {
    Conv3x3 thread(args);
    thread.Tiles();
  }

 private:
  static constexpr int kNTiles = kWarpOutputs / 8;

  FASTCONV_DEVICE explicit Conv3x3(const Args& args)
      : args_(args),
        shared_(SharedMemory()),
        first_output_(BlockIndex().y * kOutputs),
        warp_row_(WarpIndex() % kTileWarps * kWarpRows),
        warp_output_(WarpIndex() / kTileWarps * kWarpOutputs) {}

  struct Tile {
    int64_t image;
    int row, column;  // of its first pixel
  };
  FASTCONV_DEVICE Tile TileAt(int index) const {
    const int rows = index / args_.tile_columns;
    const int image = rows / args_.tile_rows;
    return {image, (rows - image * args_.tile_rows) * kTile,
            (index - rows * args_.tile_columns) * kTile};
  }

  FASTCONV_DEVICE void Tiles() {
    const int first = BlockIndex().x, step = GridSize().x;
    if (first >= args_.tiles) return;
    int slot = 0;
    if (args_.chunks == 1) FetchFilter(0, Filter(slot));
    Fetch(first, 0, slot);
    CommitCopies();
    for (int tile = first; tile < args_.tiles; tile += step) {
      FASTCONV_UNROLL
      for (int i = 0; i < kWarpRows; ++i) {
        FASTCONV_UNROLL
        for (int j = 0; j < kNTiles; ++j) {
          FASTCONV_UNROLL
          for (int k = 0; k < 4; ++k) sum_[i][j][k] = 0;
        }
      }
      for (int chunk = 0; chunk < args_.chunks; ++chunk) {
        const bool last = chunk + 1 == args_.chunks;
        const int next_tile = last ? tile + step : tile;
        if (next_tile < args_.tiles) Fetch(next_tile, last ? 0 : chunk + 1, slot ^ 1);
        CommitCopies();  // an empty group where nothing is left
        WaitForCopies<1>();
        SyncThreads();
        MultiplyChunk(slot);
        SyncThreads();  // before the slot is filled again
        slot ^= 1;
      }
      Finish(TileAt(tile));
    }
  }

  // Filters of one chunk stay in the first slot.
  FASTCONV_DEVICE int FilterSlot(int slot) const { return args_.chunks == 1 ? 0 : slot; }
  FASTCONV_DEVICE unsigned char* Pixels(int slot) const { return shared_ + slot * kPixelBytes; }
  FASTCONV_DEVICE unsigned char* Filter(int slot) const {
    return shared_ + 2 * kPixelBytes + FilterSlot(slot) * kFilterBytes;
  }

  FASTCONV_DEVICE void Fetch(int tile_index, int chunk, int slot) {
    const int first_channel = chunk * kChunk;
    FetchPixels(TileAt(tile_index), first_channel, Pixels(slot));
    if (args_.chunks > 1) FetchFilter(first_channel, Filter(slot));
  }

  FASTCONV_DEVICE void FetchPixels(const Tile& tile, int first_channel, unsigned char* to) {
    constexpr int kCopies = kChunkBytes / kCopyBytes;
    const T* x = static_cast<const T*>(args_.x);
    for (int i = ThreadIndex(); i < kHalo * kHalo * kCopies; i += kThreads) {
      const int pixel = i / kCopies, part = i % kCopies;
      const int h = tile.row + pixel / kHalo - args_.pad_h;
      const int w = tile.column + pixel % kHalo - args_.pad_w;
      const int channel = first_channel + part * kCopy;
      const bool present =
          h >= 0 && h < args_.height && w >= 0 && w < args_.width && channel < args_.channels;
      const int64_t from =
          ((tile.image * args_.height + h) * args_.width + w) * args_.channels + channel;
      CopyAsync(to + pixel * kPixelPitch + part * kCopyBytes, present ? x + from : x, present);
    }
  }

  FASTCONV_DEVICE void FetchFilter(int first_channel, unsigned char* to) {
    constexpr int kCopies = kFilterRowBytes / kCopyBytes;
    const T* filter = static_cast<const T*>(args_.filter);
    for (int i = ThreadIndex(); i < 9 * kFilterRows * kCopies; i += kThreads) {
      const int row = i / kCopies, part = i % kCopies;
      const int tap = row / kFilterRows, in_tap = row % kFilterRows;
      const int channel = first_channel + (kRotated ? part * kCopy : in_tap);
      const int output = first_output_ + (kRotated ? in_tap : part * kCopy);
      const bool present = channel < args_.channels && output < args_.outputs;
      const int64_t from =
          kRotated
              ? (static_cast<int64_t>(8 - tap) * args_.outputs + output) * args_.channels + channel
              : (static_cast<int64_t>(tap) * args_.channels + channel) * args_.outputs + output;
      CopyAsync(to + row * kFilterPitch + part * kCopyBytes, present ? filter + from : filter,
                present);
    }
  }

  // The fragments' rows are pixels, in an order that keeps neighbours in one thread and 8 rows in
  // different banks: rows r and r + 8 are the pixels Pixel(r) and Pixel(r) ^ 1.
  static FASTCONV_DEVICE int Pixel(int row) {
    const int r = row % 8;
    const int pixel = r < 4 ? 2 * r : 2 * r + 1;
    return row < 8 ? pixel : pixel ^ 1;
  }

  FASTCONV_DEVICE void MultiplyChunk(int slot) {
    using Product = TensorProduct<T, kPrecision>;
    const int lane = LaneIndex();
    const unsigned char* pixels =
        Pixels(slot) + lane / 16 * 16 + (warp_row_ * kHalo + Pixel(lane % 16)) * kPixelPitch;
    const unsigned char* filter = Filter(slot);
    for (int depth = 0; depth < kChunk; depth += kDepth) {
      FASTCONV_UNROLL
      for (int s = 0; s < 3; ++s) {
        typename Product::B b[3][kNTiles];
        FASTCONV_UNROLL
        for (int r = 0; r < 3; ++r) LoadFilter(filter, 3 * r + s, depth, b[r]);
        FASTCONV_UNROLL
        for (int row = 0; row < kWarpRows + 2; ++row) {
          typename Product::A a;
          Product::LoadA(pixels + (row * kHalo + s) * kPixelPitch + depth * kElement, &a);
          FASTCONV_UNROLL
          for (int r = 0; r < 3; ++r) {
            const int i = row - r;
            if (i < 0 || i >= kWarpRows) continue;
            FASTCONV_UNROLL
            for (int j = 0; j < kNTiles; ++j) Product::Add(a, b[r][j], sum_[i][j]);
          }
        }
      }
    }
  }

  FASTCONV_DEVICE void LoadFilter(const unsigned char* filter, int tap, int depth,
                                  typename TensorProduct<T, kPrecision>::B (&b)[kNTiles]) const {
    using Product = TensorProduct<T, kPrecision>;
    FASTCONV_UNROLL
    for (int j = 0; j < kNTiles; j += 2) {
      const int output = warp_output_ + 8 * j;
      if constexpr (kRotated) {
        Product::LoadColumns(
            filter + (tap * kFilterRows + output) * kFilterPitch + depth * kElement, kFilterPitch,
            &b[j], &b[j + 1]);
      } else {
        Product::LoadRows(filter + (tap * kFilterRows + depth) * kFilterPitch + output * kElement,
                          kFilterPitch, &b[j], &b[j + 1]);
      }
    }
  }

  FASTCONV_DEVICE void Finish(const Tile& tile) const {
    // After the exchange with its neighbours (quad.h) a thread has these channels.
    const int output = first_output_ + warp_output_ + LaneIndex() % 4 * 8;
    const bool present = output < args_.outputs;
    float bias[8];
    FASTCONV_UNROLL
    for (int c = 0; c < 8; ++c) bias[c] = 0;
    if (args_.bias != nullptr && present) {
      LoadValues(static_cast<const T*>(args_.bias) + output, bias);
    }
    const int row = tile.row + warp_row_, column = tile.column + Pixel(LaneIndex() / 4);
    if constexpr (kPooled) {
      FASTCONV_UNROLL
      for (int i = 0; i < kWarpRows; i += 2) {
        StorePooled(tile.image, (row + i) / 2, column / 2, output, present, bias, i);
      }
    } else {
      FASTCONV_UNROLL
      for (int i = 0; i < kWarpRows; ++i) {
        FASTCONV_UNROLL
        for (int neighbour = 0; neighbour < 2; ++neighbour) {
          float v[8];
          Values(i, neighbour, bias, v);
          const int h = row + i, w = column ^ neighbour;
          if (!present || h >= args_.out_height || w >= args_.out_width) continue;
          const int64_t pixel = (tile.image * args_.out_height + h) * args_.out_width + w;
          StoreValues(v, static_cast<T*>(args_.y) + pixel * args_.outputs + output);
        }
      }
    }
  }

  // Eight channels of a pixel, behind bias and activation. Called by whole warps.
  FASTCONV_DEVICE void Values(int i, int neighbour, const float (&bias)[8], float (&v)[8]) const {
    FASTCONV_UNROLL
    for (int part = 0; part < 2; ++part) {
      float of_tile[kNTiles];
      FASTCONV_UNROLL
      for (int j = 0; j < kNTiles; ++j) of_tile[j] = sum_[i][j][2 * neighbour + part];
      TransposeQuad(of_tile);
      FASTCONV_UNROLL
      for (int j = 0; j < kNTiles; ++j) v[2 * j + part] = of_tile[j];
    }
    FASTCONV_UNROLL
    for (int c = 0; c < 8; ++c) v[c] = Activate(args_.activation, v[c] + bias[c]);
  }

  // Rows i and i + 1 of the warp. The neighbours of a pixel on the right are on its left for half
  // of the threads.
  FASTCONV_DEVICE void StorePooled(int64_t image, int row, int column, int output, bool present,
                                   const float (&bias)[8], int i) const {
    const bool odd = Pixel(LaneIndex() / 4) % 2 != 0;
    PooledCell<8> cell(0);
    FASTCONV_UNROLL
    for (int below = 0; below < 2; ++below) {
      float mine[8], neighbour[8];
      Values(i + below, 0, bias, mine);
      Values(i + below, 1, bias, neighbour);
      FASTCONV_UNROLL
      for (int c = 0; c < 8; ++c) {
        cell.Add(c, odd ? neighbour[c] : mine[c], 2 * below);
        cell.Add(c, odd ? mine[c] : neighbour[c], 2 * below + 1);
      }
    }
    const int height = args_.out_height / 2, width = args_.out_width / 2;
    if (!present || row >= height || column >= width) return;
    const int64_t at = ((image * height + row) * width + column) * args_.outputs + output;
    int code[8];
    FASTCONV_UNROLL
    for (int c = 0; c < 8; ++c) code[c] = CodeOf(false, cell.position[c], cell.maximum[c] > 0);
    StoreValues(cell.maximum, static_cast<T*>(args_.y) + at);
    StoreCodes(false, code, args_.code, at);
  }

  const Args& args_;
  unsigned char* const shared_;
  const int first_output_;            // of the block
  const int warp_row_, warp_output_;  // in the tile
  float sum_[kWarpRows][kNTiles][4];
};

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_KERNELS_CONV3X3_H_
