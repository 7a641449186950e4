// How Winograd's algorithms keep 6x6 tiles in scratch: 36 planes, one per point of the tile, each
// [tile][channel], so that every plane is an operand of one matrix product.
#ifndef FASTCONV_CORE_CPU_WINOGRAD_TILES_H_
#define FASTCONV_CORE_CPU_WINOGRAD_TILES_H_

#include <cstdint>

#include "core/cpu/conv2d/slab.h"
#include "core/cpu/kernels/kernels.h"

namespace fastconv::cpu {

constexpr int64_t kTileOutputs = 4;  // per axis
constexpr int64_t kTilePoints = 6;   // per axis: kTileOutputs + filter size - 1
constexpr int64_t kTilePlanes = kTilePoints * kTilePoints;
constexpr int64_t kWinogradTaps = 3;  // per axis

inline int64_t TilesAlong(int64_t outputs) { return (outputs + kTileOutputs - 1) / kTileOutputs; }

class TilePlanes {
 public:
  TilePlanes(int64_t tiles, int64_t channels)
      : channels_(channels),
        tile_stride_(channels % kAliasedElements == 0 ? channels + kLineElements : channels),
        // An odd number of cache lines between planes: the transforms write to all 36 at a time,
        // which must not fall into the same cache sets.
        plane_stride_((tiles * tile_stride_ + kLineElements - 1) / kLineElements * kLineElements) {
    if (plane_stride_ / kLineElements % 2 == 0) plane_stride_ += kLineElements;
  }

  int64_t channels() const { return channels_; }
  int64_t tile_stride() const { return tile_stride_; }
  int64_t plane_stride() const { return plane_stride_; }
  int64_t row_stride() const { return kTilePoints * plane_stride_; }  // of points
  int64_t elements() const { return kTilePlanes * plane_stride_; }

 private:
  static constexpr int64_t kLineElements = 16;
  static constexpr int64_t kAliasedElements = 256;

  int64_t channels_;
  int64_t tile_stride_;
  int64_t plane_stride_;
};

// No limit on the results of a tile transform.
constexpr int64_t kAllResults = int64_t{1} << 40;

// The phase in whole tiles, for the slab's size.
inline Phase WholeTiles(Phase phase) {
  phase.cols = TilesAlong(phase.cols) * kTileOutputs;
  return phase;
}

// Rows of tiles of one image.
struct TileRows {
  int64_t first_row;  // of the outputs
  int64_t count;
};

// Fills the slab under some rows of tiles and transforms it into `planes`, which points at the
// first tile's place.
void TransformData(const Slab& slab, const Kernels& kernels, const TileRows& rows,
                   int64_t tile_cols, const TilePlanes& data, void* planes, void* slab_scratch,
                   const Slab::LoadRow& load_row);

}  // namespace fastconv::cpu

#endif  // FASTCONV_CORE_CPU_WINOGRAD_TILES_H_
