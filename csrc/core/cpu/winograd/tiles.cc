#include "core/cpu/winograd/tiles.h"

#include <algorithm>
#include <limits>

#include "core/cpu/workspace.h"

namespace fastconv::cpu {

int ChooseTileShape(int64_t taps, const MapSizes& sizes) {
  // Larger tiles round more and transform more per multiplication: they have to save this much.
  constexpr double kGain = 1.05;
  int best = -1;
  double best_products = std::numeric_limits<double>::infinity();
  for (int i = 0; i < kNumTileShapes; ++i) {
    const TileShape& shape = kTileShapes[i];
    if (shape.taps != taps) continue;
    // A large tile over little but padding yields small results with the errors of large ones.
    const bool padded = std::min(sizes.in_rows, sizes.in_cols) < shape.points - 2;
    if (best >= 0 && padded) continue;
    const double products = static_cast<double>(TilesAlong(sizes.out_rows, shape)) *
                            static_cast<double>(TilesAlong(sizes.out_cols, shape)) *
                            static_cast<double>(shape.planes());
    if (products * kGain < best_products) {
      best = i;
      best_products = products;
    }
  }
  return best;
}

int64_t FilterTaps(const TapConvolution& convolution) {
  const int64_t count = convolution.phases[0].taps.size();
  int64_t taps = 1;
  while (taps * taps < count) ++taps;
  return taps;
}

int ChooseTileShape(const TapConvolution& convolution) {
  const Phase& phase = convolution.phases[0];
  return ChooseTileShape(FilterTaps(convolution),
                         {convolution.in_rows, convolution.in_cols, phase.rows, phase.cols});
}

TilePlanes::TilePlanes(const TileShape& shape, int64_t tiles, int64_t channels) {
  constexpr int64_t kLineElements = 16;
  constexpr int64_t kAliasedElements = 256;
  tile_stride_ = channels % kAliasedElements == 0 ? channels + kLineElements : channels;
  // An odd number of cache lines between planes: the transforms write to all of them at a time,
  // which must not fall into the same cache sets.
  plane_stride_ = (tiles * tile_stride_ + kLineElements - 1) / kLineElements * kLineElements;
  if (plane_stride_ / kLineElements % 2 == 0) plane_stride_ += kLineElements;
  elements_ = shape.planes() * plane_stride_;
}

TileGrid TileGrid::Of(const TileShape& shape, const TapConvolution& convolution) {
  const Phase& phase = convolution.phases[0];
  TileGrid grid{shape,
                TilesAlong(phase.cols, shape),
                phase.taps[0].row,
                phase.taps[0].col,
                convolution.in_rows,
                convolution.in_cols};
  for (const Tap& tap : phase.taps) {
    grid.first_row = std::min(grid.first_row, tap.row);
    grid.first_col = std::min(grid.first_col, tap.col);
  }
  return grid;
}

MapRows LoadMapRows(const TileGrid& grid, int64_t row, int64_t tile_rows, int64_t channels,
                    int64_t acc_bytes, void* scratch, const Slab::LoadRow& load_row) {
  const int64_t first = std::max<int64_t>(row + grid.first_row, 0);
  const int64_t end = std::min(row + grid.first_row + grid.RowsUnder(tile_rows), grid.map_rows);
  const int64_t row_stride = grid.map_cols * channels;
  for (int64_t r = first; r < end; ++r) {
    load_row({r, 0, grid.map_cols, 1, At(scratch, (r - first) * row_stride, acc_bytes)});
  }
  return {scratch, first, row_stride, channels, /*in_tensor=*/false};
}

void TransformRows(const Kernels& kernels, void (*transform)(const WinogradMapArgs&),
                   const TileGrid& grid, const MapRows& map, int64_t row, int64_t tile_rows,
                   int64_t channels, const void* zeros, const TilePlanes& data, void* planes) {
  const int64_t acc_bytes = SizeOf(AccumulationType(kernels.dtype));
  const int64_t element_bytes = map.in_tensor ? SizeOf(kernels.dtype) : acc_bytes;
  for (int64_t i = 0; i < tile_rows; ++i) {
    const int64_t first = row + i * grid.shape.outputs() + grid.first_row;
    const void* rows[kMaxTilePoints];
    for (int64_t p = 0; p < grid.shape.points; ++p) {
      const int64_t r = first + p;
      rows[p] = r < 0 || r >= grid.map_rows
                    ? nullptr
                    : At(map.data, (r - map.first_row) * map.row_stride, element_bytes);
    }
    transform({rows, grid.first_col, grid.map_cols, map.pixel_stride, channels, zeros,
               At(planes, i * grid.tile_cols * data.tile_stride(), acc_bytes), data.tile_stride(),
               data.plane_stride(), grid.tile_cols, grid.shape.outputs()});
  }
}

void TransformData(const Kernels& kernels, const WinogradKernels& winograd, const TileGrid& grid,
                   const MapRows& map, int64_t row, int64_t tile_rows, int64_t channels,
                   const void* zeros, const TilePlanes& data, void* planes) {
  TransformRows(kernels, map.in_tensor ? winograd.data_from_tensor : winograd.data_from_acc, grid,
                map, row, tile_rows, channels, zeros, data, planes);
}

}  // namespace fastconv::cpu
