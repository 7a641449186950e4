// The filter's gradient of a 3x3 convolution with stride 1, on tensor cores:
//   dfilter[r][s][c][k] = sum over images and pixels of x[h + r - pad][w + s - pad][c] *
//   dz[h][w][k].
//
// A block has 32 input and 32 output channels; of the tiles of 16x16 pixels, every so many. Of its
// twelve warps each has a filter column s and four rows of the tile: a fragment of x serves the
// three filter rows. The block's sums are added up in the order of warps and go to its own partial
// result; another kernel adds those up.
#ifndef FASTCONV_CORE_CUDA_KERNELS_FILTER_GRAD3X3_H_
#define FASTCONV_CORE_CUDA_KERNELS_FILTER_GRAD3X3_H_

#include <cstdint>

#include "core/cuda/device/matrix.h"
#include "core/cuda/kernels/tensor_product.h"
#include "core/cuda/kernels/values.h"

namespace fastconv::cuda {

struct FilterGrad3x3Args {
  const void* x;    // [images][height][width][channels]
  const void* dz;   // [images][out_height][out_width][outputs]
  float* partials;  // [block.x][9][channels][outputs]
  int height, width, channels;
  int out_height, out_width, outputs;
  int pad_h, pad_w;
  int tile_rows, tile_columns;  // of an image
  int tiles;                    // of all images
  int output_blocks;            // block.y = channel block * output_blocks + output block
};

template <class T, Precision kPrecision>
struct FilterGrad3x3 {
  using Args = FilterGrad3x3Args;
  using Product = TensorProduct<T, kPrecision>;
  static constexpr int kTile = 16;
  static constexpr int kSide = 32;  // channels of a block, of either kind
  static constexpr int kWarpRows = 4, kRowWarps = kTile / kWarpRows;
  static constexpr int kThreads = 3 * kRowWarps * kWarpSize;
  static constexpr int kMinBlocks = 1;

  static constexpr int kElement = static_cast<int>(sizeof(T));
  static constexpr int kCopyBytes = 16, kCopy = kCopyBytes / kElement;
  static constexpr int kDepth = Product::kDepth;  // pixels of a row
  // Rows of fragments lie in different banks.
  static constexpr int kPitch = kSide * kElement + (kElement == 4 ? 32 : 16);
  static constexpr int kHalo = kTile + 2;
  static constexpr int kXBytes = kHalo * kHalo * kPitch;
  static constexpr int kTileBytes = kXBytes + kTile * kTile * kPitch;
  // Of float, two tiles are more than what every GPU has.
  static constexpr int kSlots = kElement == 4 ? 1 : 2;
  static constexpr int kSharedBytes = kSlots * kTileBytes;
  static constexpr int kSums = 9 * kSide * kSide;
  static_assert(kSums * static_cast<int>(sizeof(float)) <= kSharedBytes,
                "sums take a tile's place");

  static FASTCONV_DEVICE void Run(const Args& args) {
    FilterGrad3x3 thread(args);
    thread.Tiles();
    thread.StoreSums();
  }

 private:
  static constexpr int kMTiles = kSide / 16, kNTiles = kSide / 8;

  FASTCONV_DEVICE explicit FilterGrad3x3(const Args& args)
      : args_(args),
        shared_(SharedMemory()),
        first_channel_(BlockIndex().y / args.output_blocks * kSide),
        first_output_(BlockIndex().y % args.output_blocks * kSide),
        column_(WarpIndex() % 3),
        row_(WarpIndex() / 3 * kWarpRows) {
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

  FASTCONV_DEVICE void Tiles() {
    const int first = BlockIndex().x, step = GridSize().x;
    int slot = 0;
    if (kSlots > 1) Fetch(first, slot);
    for (int tile = first; tile < args_.tiles; tile += step) {
      if constexpr (kSlots > 1) {
        Fetch(tile + step, slot ^ 1);
        WaitForCopies<1>();
      } else {
        Fetch(tile, slot);
        WaitForCopies<0>();
      }
      SyncThreads();
      Multiply(shared_ + slot * kTileBytes);
      SyncThreads();  // before the slot is filled again
      if (kSlots > 1) slot ^= 1;
    }
    WaitForCopies<0>();
  }

  // A group of copies, empty where there is no such tile.
  FASTCONV_DEVICE void Fetch(int index, int slot) {
    if (index < args_.tiles) {
      const int rows = index / args_.tile_columns;
      const int image = rows / args_.tile_rows;
      const int row = (rows - image * args_.tile_rows) * kTile;
      const int column = (index - rows * args_.tile_columns) * kTile;
      unsigned char* to = shared_ + slot * kTileBytes;
      FetchMap<kHalo>(args_.x, image, row - args_.pad_h, column - args_.pad_w, args_.height,
                      args_.width, first_channel_, args_.channels, to);
      FetchMap<kTile>(args_.dz, image, row, column, args_.out_height, args_.out_width,
                      first_output_, args_.outputs, to + kXBytes);
    }
    CommitCopies();
  }

  template <int kPixels>
  static FASTCONV_DEVICE void FetchMap(const void* map, int64_t image, int row, int column,
                                       int height, int width, int first_channel, int channels,
                                       unsigned char* to) {
    constexpr int kCopies = kSide / kCopy;
    const T* from = static_cast<const T*>(map);
    for (int i = ThreadIndex(); i < kPixels * kPixels * kCopies; i += kThreads) {
      const int pixel = i / kCopies, part = i % kCopies;
      const int h = row + pixel / kPixels, w = column + pixel % kPixels;
      const int channel = first_channel + part * kCopy;
      const bool present = h >= 0 && h < height && w >= 0 && w < width && channel < channels;
      const int64_t at = ((image * height + h) * width + w) * channels + channel;
      CopyAsync(to + pixel * kPitch + part * kCopyBytes, present ? from + at : from, present);
    }
  }

  FASTCONV_DEVICE void Multiply(const unsigned char* tile) {
    const unsigned char* x = tile + (row_ * kHalo + column_) * kPitch;
    const unsigned char* dz = tile + kXBytes + row_ * kTile * kPitch;
    for (int depth = 0; depth < kTile; depth += kDepth) {
      typename Product::B b[kWarpRows][kNTiles];
      FASTCONV_UNROLL
      for (int row = 0; row < kWarpRows; ++row) {
        FASTCONV_UNROLL
        for (int n = 0; n < kNTiles; n += 2) {
          Product::LoadRows(dz + (row * kTile + depth) * kPitch + n * 8 * kElement, kPitch,
                            &b[row][n], &b[row][n + 1]);
        }
      }
      FASTCONV_UNROLL
      for (int row = 0; row < kWarpRows + 2; ++row) {
        FASTCONV_UNROLL
        for (int m = 0; m < kMTiles; ++m) {
          typename Product::A a;
          Product::LoadATransposed(x + (row * kHalo + depth) * kPitch + m * 16 * kElement, kPitch,
                                   &a);
          FASTCONV_UNROLL
          for (int r = 0; r < 3; ++r) {
            if (row - r < 0 || row - r >= kWarpRows) continue;
            FASTCONV_UNROLL
            for (int n = 0; n < kNTiles; ++n) Product::Add(a, b[row - r][n], sum_[r][m][n]);
          }
        }
      }
    }
  }

  // All warps are done with the tiles.
  FASTCONV_DEVICE void StoreSums() {
    float* sums = reinterpret_cast<float*>(shared_);
    for (int turn = 0; turn < kRowWarps; ++turn) {
      if (row_ == turn * kWarpRows) AddSums(turn == 0, sums);
      SyncThreads();
    }
    float* to =
        args_.partials + static_cast<int64_t>(BlockIndex().x) * 9 * args_.channels * args_.outputs;
    for (int i = ThreadIndex(); i < kSums; i += kThreads) {
      const int tap = i / (kSide * kSide);
      const int channel = first_channel_ + i / kSide % kSide, output = first_output_ + i % kSide;
      if (channel >= args_.channels || output >= args_.outputs) continue;
      to[(static_cast<int64_t>(tap) * args_.channels + channel) * args_.outputs + output] = sums[i];
    }
  }

  FASTCONV_DEVICE void AddSums(bool first, float* sums) const {
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
            float& to = sums[((3 * r + column_) * kSide + channel) * kSide + output];
            to = first ? sum_[r][m][n][i] : to + sum_[r][m][n][i];
          }
        }
      }
    }
  }

  const Args& args_;
  unsigned char* const shared_;
  const int first_channel_, first_output_;
  const int column_, row_;  // of the filter; of the tile
  float sum_[3][kMTiles][kNTiles][4];
};

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_KERNELS_FILTER_GRAD3X3_H_
