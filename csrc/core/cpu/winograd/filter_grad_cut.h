// How a filter gradient by Winograd's algorithm is cut: a pure function of the problem and the
// number of threads.
#ifndef FASTCONV_CORE_CPU_WINOGRAD_FILTER_GRAD_CUT_H_
#define FASTCONV_CORE_CPU_WINOGRAD_FILTER_GRAD_CUT_H_

#include <cstdint>

#include "core/cpu/conv2d/geometry.h"
#include "core/cpu/kernels/kernels.h"
#include "core/problem.h"

namespace fastconv::cpu {

constexpr int64_t kFinishChannels = 16;  // input channels transformed back at a time
// Units whose sums are added one after the other. Groups of them are added apart from each other:
// a further level of sums, for rounding errors that do not grow with the batch.
constexpr int64_t kUnitsPerGroup = 16;

// Rows of tiles, counted over all images.
struct TileRows {
  int64_t first, count;

  // The `index`-th of `parts` nearly equal parts.
  TileRows Part(int64_t index, int64_t parts) const {
    const int64_t begin = count * index / parts;
    return {first + begin, count * (index + 1) / parts - begin};
  }
};

// An index of kTileShapes.
int ChooseGradientTileShape(const Conv2DProblem& conv);

// The sum over all tiles is cut into units, whose transformed tiles stay in a cache. Small filters:
// every slot of consecutive units has sums of its own and is done by one thread, or by several,
// each for a range of output channels. Large filters: there is one set of sums, and all threads
// share every unit, first its transforms, then its products; where one unit is all, no sums are
// kept but those of a few channels at a time.
struct GradientCut {
  bool shared = false;
  bool single_unit = false;  // of a shared sum
  bool grouped = false;      // several groups of units: every slot has sums for two
  int64_t ranges = 1;        // of panels
  int64_t slots = 1;
  int64_t bias_slots = 1;  // parts of a shared unit's transforms
  int64_t rows_per_unit = 1;
  int64_t item_channels = 1;  // of a single unit's item

  static GradientCut Of(const Conv2DProblem& conv, const TileShape& shape, const Panels& panels,
                        int64_t tile_rows, int64_t tile_cols, int num_threads, int64_t acc_bytes);
  int64_t units(const TileRows& rows) const {
    return (rows.count + rows_per_unit - 1) / rows_per_unit;
  }
};

}  // namespace fastconv::cpu

#endif  // FASTCONV_CORE_CPU_WINOGRAD_FILTER_GRAD_CUT_H_
