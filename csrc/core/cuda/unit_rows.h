// Tensor maps of images for the kernels of warpgroups, which fetch rows in units of 128 bytes.
#ifndef FASTCONV_CORE_CUDA_UNIT_ROWS_H_
#define FASTCONV_CORE_CUDA_UNIT_ROWS_H_

#include <algorithm>

#include "core/cuda/device/tensor_map.h"
#include "core/cuda/kernels/warpgroup_conv3x3_args.h"

namespace fastconv::cuda {

inline int CeilDiv(int a, int b) { return (a + b - 1) / b; }

// Boxes of box_columns columns, of column_pixels pixels or one plane of a pixel each, of a row of
// box_images images. The width is a multiple of a column's.
struct RowBoxes {
  DataType dtype;
  const void* tensor;  // [images][height][width][channels]
  int64_t images, height, width;
  int channels, planes;
  int column_pixels;
  int box_columns, box_images;
};

inline Status EncodeBoxes(const RowBoxes& rows, TensorMap* map) {
  const int column = rows.channels * rows.column_pixels;
  TileDescription tile = {};
  tile.dtype = rows.dtype;
  tile.tensor = rows.tensor;
  const int64_t extent[] = {column, rows.width / rows.column_pixels, rows.height, rows.images};
  std::copy(extent, extent + kTileRank, tile.extent);
  tile.stride_bytes[0] = column * static_cast<int64_t>(SizeOf(rows.dtype));
  tile.stride_bytes[1] = tile.stride_bytes[0] * extent[1];
  tile.stride_bytes[2] = tile.stride_bytes[1] * extent[2];
  const int box[] = {column / rows.planes, rows.box_columns, 1, rows.box_images};
  std::copy(box, box + kTileRank, tile.box);
  return Encode(tile, map);
}

// Boxes of box_units units of a map.
struct UnitRows {
  DataType dtype;
  const void* tensor;
  int64_t images, height, width;
  int channels;
  int box_units, box_images;
  int unit_bytes = kUnitBytes;

  RowBoxes boxes(const void* of) const {
    const int pixel_bytes = channels * static_cast<int>(SizeOf(dtype));
    const int planes = CeilDiv(pixel_bytes, unit_bytes), pixels = CeilDiv(unit_bytes, pixel_bytes);
    return {dtype, of, images, height, width, channels, planes, pixels, box_units, box_images};
  }
  // The same pixels of what is behind a 2x2 pooling.
  RowBoxes cells(DataType of_type, const void* of) const {
    const int pixels = box_units * boxes(of).column_pixels;
    return {of_type, of, images, height / 2, width / 2, channels, 1, 1, pixels / 2, box_images};
  }
};

inline Status EncodeRows(const UnitRows& rows, TensorMap* map) {
  return EncodeBoxes(rows.boxes(rows.tensor), map);
}

// Of dz, whose gradients before it are folded.
template <Folded kFolded>
Status EncodeRows(const UnitRows& dz, const FoldedArgs& folded, RowMaps* maps) {
  maps->folded = folded;
  if constexpr (kFolded == Folded::kPooling) {
    FASTCONV_RETURN_IF_ERROR(EncodeBoxes(dz.cells(dz.dtype, dz.tensor), &maps->map));
    return EncodeBoxes(dz.cells(DataType::kUint8, folded.code), &maps->signs);
  } else {
    FASTCONV_RETURN_IF_ERROR(EncodeRows(dz, &maps->map));
    return kFolded == Folded::kNothing ? Status() : EncodeBoxes(dz.boxes(folded.y), &maps->signs);
  }
}

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_UNIT_ROWS_H_
