// How Winograd's algorithms cut maps into tiles and keep them in scratch.
#ifndef FASTCONV_CORE_CPU_WINOGRAD_TILES_H_
#define FASTCONV_CORE_CPU_WINOGRAD_TILES_H_

#include <cstdint>
#include <functional>

#include "core/cpu/conv2d/geometry.h"
#include "core/cpu/conv2d/slab.h"
#include "core/cpu/conv2d/tap_algorithm.h"
#include "core/cpu/kernels/kernels.h"

namespace fastconv::cpu {

constexpr int64_t kMaxTilePoints = 8;  // per axis, of kTileShapes

struct MapSizes {
  int64_t in_rows, in_cols;
  int64_t out_rows, out_cols;
};

// Which shape of tiles takes the fewest multiplications for maps of these sizes; an index of
// kTileShapes, or -1 where there is none for filters of taps x taps.
int ChooseTileShape(int64_t taps, const MapSizes& sizes);
int ChooseTileShape(const TapConvolution& convolution);
// Per axis, of the square filter of a convolution.
int64_t FilterTaps(const TapConvolution& convolution);

inline int64_t TilesAlong(int64_t outputs, const TileShape& shape) {
  return (outputs + shape.outputs() - 1) / shape.outputs();
}

// The tiles of a block of rows in scratch: one plane per point of the tile, each [tile][channel],
// so that every plane is an operand of one matrix product.
class TilePlanes {
 public:
  TilePlanes() = default;
  TilePlanes(const TileShape& shape, int64_t tiles, int64_t channels);

  int64_t tile_stride() const { return tile_stride_; }
  int64_t plane_stride() const { return plane_stride_; }
  int64_t elements() const { return elements_; }

 private:
  int64_t tile_stride_ = 0;
  int64_t plane_stride_ = 0;
  int64_t elements_ = 0;
};

// Where tiles lie over the input of a convolution without stride or dilation: the tile that yields
// the results from (row, col) on reads the map from (row + first_row, col + first_col) on.
struct TileGrid {
  TileShape shape;
  int64_t tile_cols;
  int64_t first_row, first_col;
  int64_t map_rows, map_cols;

  static TileGrid Of(const TileShape& shape, const TapConvolution& convolution);
  // Rows of the map under `tile_rows` rows of tiles.
  int64_t RowsUnder(int64_t tile_rows) const {
    return tile_rows * shape.outputs() + shape.taps - 1;
  }
};

// Rows of one image of the map, in a tensor or in scratch.
struct MapRows {
  const void* data;  // of row `first_row`
  int64_t first_row;
  int64_t row_stride, pixel_stride;
  bool in_tensor;  // T, else Acc
};

// Loads the rows under some rows of tiles, which yield results from `row` on, into scratch of
// RowsUnder(tile_rows) * map_cols * channels elements.
MapRows LoadMapRows(const TileGrid& grid, int64_t row, int64_t tile_rows, int64_t channels,
                    int64_t acc_bytes, void* scratch, const Slab::LoadRow& load_row);

// Applies a transform of WinogradKernels to rows of tiles of the map.
void TransformRows(const Kernels& kernels, void (*transform)(const WinogradMapArgs&),
                   const TileGrid& grid, const MapRows& map, int64_t row, int64_t tile_rows,
                   int64_t channels, const void* zeros, const TilePlanes& data, void* planes);

// Transforms rows of tiles, which yield results from `row` on, into `planes`, which points at the
// first tile's place. `zeros`: a pixel of zeros.
void TransformData(const Kernels& kernels, const WinogradKernels& winograd, const TileGrid& grid,
                   const MapRows& map, int64_t row, int64_t tile_rows, int64_t channels,
                   const void* zeros, const TilePlanes& data, void* planes);

}  // namespace fastconv::cpu

#endif  // FASTCONV_CORE_CPU_WINOGRAD_TILES_H_
