#include "core/cpu/winograd/tiles.h"

#include "core/cpu/workspace.h"

namespace fastconv::cpu {

void TransformData(const Slab& slab, const Kernels& kernels, const TileRows& rows,
                   int64_t tile_cols, const TilePlanes& data, void* planes, void* slab_scratch,
                   const Slab::LoadRow& load_row) {
  const int64_t acc_bytes = SizeOf(AccumulationType(kernels.dtype));
  const int64_t row_stride = slab.output_row_stride();
  slab.Fill({rows.first_row, rows.count * kTileOutputs}, acc_bytes, slab_scratch, load_row);
  for (int64_t row = 0; row < rows.count; ++row) {
    const int64_t first = slab.first_tap_offset() + row * kTileOutputs * row_stride;
    kernels.winograd_data({At(slab_scratch, first, acc_bytes), kTileOutputs * slab.pixel_stride(),
                           row_stride, slab.pixel_stride(),
                           At(planes, row * tile_cols * data.tile_stride(), acc_bytes),
                           data.tile_stride(), data.row_stride(), data.plane_stride(), tile_cols,
                           slab.channels(), kAllResults, kAllResults});
  }
}

}  // namespace fastconv::cpu
