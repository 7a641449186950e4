// Tiles of a map of up to four channels, such as the images that a network reads, as operands of
// tensor cores.
//
// A fragment takes 16 values of a pixel, so in shared memory a pixel is a cell of 16: the four
// channels, absent ones 0, of itself and of its three neighbours on the right, of which the last is
// 0. A 3x3 filter over the map is a 3x1 filter over the cells.
#ifndef FASTCONV_CORE_CUDA_KERNELS_IMAGE_TILE_H_
#define FASTCONV_CORE_CUDA_KERNELS_IMAGE_TILE_H_

#include <cstdint>
#include <cstring>

#include "core/cuda/kernels/tile.h"
#include "core/cuda/kernels/values.h"

namespace fastconv::cuda {

constexpr int kImageChannels = 4;  // of a pixel in a cell
constexpr int kCellPixels = 4;
constexpr int kCellValues = kCellPixels * kImageChannels;

// A tile's cells and those of the two rows below, kPitch bytes apart: a thread's part of the
// pixels, on the way from memory, through registers, to shared memory.
template <class T, int kPitch, int kThreads>
class ImageTile {
 public:
  static constexpr int kHalo = kTile + 2;
  static constexpr int kRowBytes = kTile * kPitch;
  static constexpr int kBytes = kHalo * kRowBytes;

  // `row`, `column`: of the map's pixel that is the tile's first.
  FASTCONV_DEVICE void Load(const MapPart& map, int64_t image, int row, int column) {
    FASTCONV_UNROLL
    for (int i = 0; i < kRounds; ++i) {
      const int pixel = ThreadIndex() + i * kThreads;
      const int h = row + pixel / kHalo, w = column + pixel % kHalo;
      const bool present = h >= 0 && h < map.height && w >= 0 && w < map.width;
      const T* from = static_cast<const T*>(map.map) +
                      ((image * map.height + h) * map.width + w) * map.channels;
      T values[kImageChannels] = {};
      FASTCONV_UNROLL
      for (int c = 0; c < kImageChannels; ++c) {
        if (present && pixel < kPixels && c < map.channels) values[c] = from[c];
      }
      memcpy(&pixel_[i], values, sizeof(values));
    }
  }

  FASTCONV_DEVICE void Store(unsigned char* cells) const {
    FASTCONV_UNROLL
    for (int i = 0; i < kRounds; ++i) {
      const int pixel = ThreadIndex() + i * kThreads;
      if (pixel >= kPixels) break;
      FASTCONV_UNROLL
      for (int s = 0; s < kFilterColumns; ++s) {
        const int column = pixel % kHalo - s;
        if (column < 0 || column >= kTile) continue;
        cuda::Store<kPixelBytes>(CellPixel(cells, pixel / kHalo, column, s), pixel_[i]);
      }
    }
  }

  // Once: nothing is stored there later.
  static FASTCONV_DEVICE void ClearLastPixels(unsigned char* cells) {
    for (int i = ThreadIndex(); i < kHalo * kTile; i += kThreads) {
      cuda::Store<kPixelBytes>(CellPixel(cells, i / kTile, i % kTile, kCellPixels - 1), {});
    }
  }

 private:
  static constexpr int kFilterColumns = 3;
  static constexpr int kPixels = kHalo * kHalo;
  static constexpr int kRounds = (kPixels + kThreads - 1) / kThreads;
  static constexpr int kPixelBytes = kImageChannels * static_cast<int>(sizeof(T));

  static FASTCONV_DEVICE unsigned char* CellPixel(unsigned char* cells, int row, int column,
                                                  int s) {
    return cells + row * kRowBytes + column * kPitch + s * kPixelBytes;
  }

  Bits<kPixelBytes> pixel_[kRounds];
};

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_KERNELS_IMAGE_TILE_H_
