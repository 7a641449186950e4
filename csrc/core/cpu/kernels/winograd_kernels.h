// The kernels of Winograd's algorithms: what each computes and its arguments. See kernels.h.
#ifndef FASTCONV_CORE_CPU_KERNELS_WINOGRAD_KERNELS_H_
#define FASTCONV_CORE_CPU_KERNELS_WINOGRAD_KERNELS_H_

#include <cstdint>

#include "core/cpu/kernels/pointwise_stage.h"

namespace fastconv::cpu {

// Per axis, a tile of `points` inputs yields points - taps + 1 results of a filter of `taps`. The
// transformed tile is points x points planes, plane (i, j) the (i * points + j)-th.
struct TileShape {
  int64_t points, taps;

  constexpr int64_t outputs() const { return points - taps + 1; }
  constexpr int64_t planes() const { return points * points; }
};

// A row of tiles of a map: of points x points inputs or, for the transposes, of outputs() x
// outputs() gradients.
struct WinogradMapArgs {
  const void* const* rows;  // T or Acc; per row of the tile, column 0 of the map; null: zeros
  int64_t first_col;        // of the first tile; columns outside [0, cols) are zeros
  int64_t cols;
  int64_t pixel_stride, channels;
  const void* zeros;  // `channels` zeros of the rows' type
  void* dst;          // Acc
  int64_t dst_tile_stride, dst_plane_stride;
  int64_t tiles;
  int64_t tile_step;  // columns from one tile to the next
};

// A row of tiles of outputs() x outputs() gradients at the convolution's output, side by side from
// column 0 on. Tiles do not overlap: on the way the gradients are summed per channel.
struct WinogradGradientArgs {
  const void* dy;    // T or Acc, at column 0 of the tiles' first row; pooled: of the pooled map
  const void* y;     // T, likewise, or null: the gradient is dy * (y > 0 ? 1 : slope), else dy
  const void* code;  // uint8_t, pooled: likewise
  int64_t row_stride, pixel_stride;  // of dy, y, code
  int64_t rows, cols;                // of the map from here on; gradients beyond are zeros
  int64_t first_row;                 // of the tiles in the map; pooled only
  int64_t channels;
  double negative_slope;
  double scale;  // of dy, pooled only
  void* dst;     // Acc
  int64_t dst_tile_stride, dst_plane_stride;
  int64_t tiles;
  void* sums;  // Acc, whole vectors: added to
};

// A square matrix of points, each `elements` values. All Acc.
struct WinogradMatrixArgs {
  const void* src;
  int64_t src_stride;  // from one point to the next
  void* dst;
  int64_t dst_stride;
  int64_t elements;
};

// products[tile][0, width) = sum over d < depth of data[tile][d] * filter[d][0, width), width =
// vectors * lanes, for one plane. All Acc.
struct WinogradProductArgs {
  const void* data;
  int64_t tile_stride;
  int64_t tiles, depth;
  const void* filter;
  int64_t vectors;  // 1 or 2
  void* products;
  int64_t product_stride;
};

// A row of tiles of products back to results, through the stage and, in output_pool, through 2x2
// max pooling without padding. Of the results those with row < valid_rows and, counted along the
// row of tiles, col < valid_cols lie inside the map.
struct WinogradOutputArgs {
  const void* src;  // Acc, whole vectors
  int64_t src_tile_stride, src_plane_stride;
  int64_t tiles, channels;
  int64_t valid_rows, valid_cols;
  PointwiseStage stage;
  void* y;                               // T; Acc in output_sums, which has no stage
  void* code;                            // uint8_t, output_pool only
  int64_t y_row_stride, y_pixel_stride;  // of y and of code
  bool around_caches;                    // output_map: see MapRowsArgs
};

// A row of tiles of products, each transposed back to points x points values that are added to acc,
// where they lie inside [0, rows) x [0, cols). All Acc.
struct WinogradAdjointArgs {
  const void* src;
  int64_t src_tile_stride, src_plane_stride;
  int64_t tiles, channels;  // whole vectors
  int64_t first_row,
      first_col;  // of the first tile in acc; the next ones tile_step columns further
  int64_t tile_step;
  void* acc;  // [rows][cols][channels]
  int64_t rows, cols;
};

// The transforms of one shape of tiles (winograd.h).
struct WinogradKernels {
  TileShape shape;

  void (*data_from_tensor)(const WinogradMapArgs&);
  void (*data_from_acc)(const WinogradMapArgs&);
  void (*filter)(const WinogradMatrixArgs&);  // taps -> points
  void (*product)(const WinogradProductArgs&);
  void (*output_sums)(const WinogradOutputArgs&);
  void (*output_map)(const WinogradOutputArgs&);
  void (*output_pool)(const WinogradOutputArgs&);
  // The filter gradient has outputs() x outputs() filters and yields taps x taps results.
  void (*gradient_from_tensor)(const WinogradGradientArgs&);
  void (*gradient_from_pool)(const WinogradGradientArgs&);  // 2x2 windows without padding
  void (*gradient_from_acc)(const WinogradGradientArgs&);
  void (*filter_output)(const WinogradMatrixArgs&);  // points -> taps
  // The transposes of output and data transform, for input gradients.
  void (*output_adjoint_from_tensor)(const WinogradMapArgs&);
  void (*output_adjoint_from_acc)(const WinogradMapArgs&);
  void (*add_data_adjoint)(const WinogradAdjointArgs&);
};
constexpr TileShape kTileShapes[] = {{6, 3}, {7, 3}, {8, 3}, {6, 5}, {8, 5}};
constexpr int kNumTileShapes = 5;

}  // namespace fastconv::cpu

#endif  // FASTCONV_CORE_CPU_KERNELS_WINOGRAD_KERNELS_H_
