// Tensor maps of images for the kernels of warpgroups, which fetch rows in units of 128 bytes.
#ifndef FASTCONV_CORE_CUDA_UNIT_ROWS_H_
#define FASTCONV_CORE_CUDA_UNIT_ROWS_H_

#include <algorithm>

#include "core/cuda/device/tensor_map.h"
#include "core/cuda/kernels/warpgroup_conv3x3_args.h"

namespace fastconv::cuda {

inline int CeilDiv(int a, int b) { return (a + b - 1) / b; }

// Boxes of box_units units of a row of box_images images. A unit is one or more pixels, and the
// width a multiple of them.
struct UnitRows {
  DataType dtype;
  const void* tensor;  // [images][height][width][channels]
  int64_t images, height, width;
  int channels;
  int box_units, box_images;
};

inline Status EncodeRows(const UnitRows& rows, TensorMap* map) {
  const int size = static_cast<int>(SizeOf(rows.dtype));
  const int unit = kUnitBytes / size, pixels = kUnitBytes / (rows.channels * size);
  TileDescription tile = {};
  tile.dtype = rows.dtype;
  tile.tensor = rows.tensor;
  const int64_t extent[] = {unit, rows.width / pixels, rows.height, rows.images};
  std::copy(extent, extent + kTileRank, tile.extent);
  tile.stride_bytes[0] = kUnitBytes;
  tile.stride_bytes[1] = kUnitBytes * extent[1];
  tile.stride_bytes[2] = tile.stride_bytes[1] * extent[2];
  const int box[] = {unit, rows.box_units, 1, rows.box_images};
  std::copy(box, box + kTileRank, tile.box);
  return Encode(tile, map);
}

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_UNIT_ROWS_H_
