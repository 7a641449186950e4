// What warpgroup_conv3x3.h is told, how the map is cut, and where things lie in shared memory.
//
// A warpgroup computes one row after the other of a strip of the map, which is as wide as its sums
// allow; of narrow maps several images lie side by side. Its rows of the input come through a ring
// of stages. Rows are measured in units of 128 bytes, a pixel or two, or of 64, a pixel. Pixels of
// more bytes lie in planes of 128.
#ifndef FASTCONV_CORE_CUDA_KERNELS_WARPGROUP_CONV3X3_ARGS_H_
#define FASTCONV_CORE_CUDA_KERNELS_WARPGROUP_CONV3X3_ARGS_H_

#include <cstdint>

#include "core/cuda/device/bulk_copy.h"
#include "core/cuda/kernels/folded.h"

namespace fastconv::cuda {

// How maps are cut: strip by strip, and those of box_images images as one.
struct StripCut {
  int rows;    // of a strip, after pooling
  int strips;  // of a map
  int box_images;
  int total_rows;  // of all strips
};

// Rows of a map or, where gradients are folded, of dz.
struct RowMaps {
  // [images][height][width in units][unit]; kPooling: [images][height][width][channels] of cells
  TensorMap map;
  TensorMap signs;    // kActivation: y, like the map; kPooling: codes of cells
  FoldedArgs folded;  // what else the fold needs
};

struct WarpgroupConv3x3Args {
  RowMaps x;
  const void* filter;  // PackedFilter3x3
  const void* bias;    // [outputs], or null
  void* y;
  int outputs;        // channels of y, which rows of blocks may share
  uint8_t* code;      // pooled
  float* statistics;  // [block][kStatisticsPerBlock][kStatisticsValues][outputs]
  ActivationArgs activation;
  DropoutArgs dropout;  // pooled
  int images;
  int out_height, out_width;  // before pooling
  int pad_h;
  StripCut cut;
  int strip_pixels;  // of the output's rows; even
  int box_units;     // of a strip's input
  int units_before;  // a strip's output, that a box begins with
  int shift;         // pixels of those that no output needs
  int stages, stage_bytes;
  int plane_bytes;  // of a stage; behind all planes is what dz is made of
};

// Consecutive rows of a strip.
struct StripRows {
  int first_image, strip;
  int first, count;  // of the output before pooling
};

// Calls body(StripRows) for the part of all rows that is the worker's; kRows are pooled. Those who
// fetch rows and those who use them agree.
template <int kRows, class Body>
FASTCONV_DEVICE void ForStripRows(const StripCut& cut, int worker, int workers, const Body& body) {
  const auto first_of = [&](int i) {
    return static_cast<int>(static_cast<int64_t>(cut.total_rows) * i / workers);
  };
  const int end = first_of(worker + 1);
  for (int row = first_of(worker); row < end;) {
    const int strip = row / cut.rows, first = row - strip * cut.rows;
    const int left = cut.rows - first;
    const int count = end - row < left ? end - row : left;
    const int boxes = strip / cut.strips;
    body(StripRows{boxes * cut.box_images, strip - boxes * cut.strips, first * kRows,
                   count * kRows});
    row += count;
  }
}

constexpr int kUnitBytes = 128;        // the widest
constexpr int kStageAlignment = 1024;  // after which the permutation of units repeats
constexpr int kMaxStages = 5;          // more were no faster

constexpr FASTCONV_HOST_DEVICE int AlignStage(int bytes) {
  return (bytes + kStageAlignment - 1) / kStageAlignment * kStageAlignment;
}

// Planes that a pixel's channels lie in: one, unless they take more than a unit.
template <class T, int kAllChannels>
struct PixelPlanes {
  static constexpr int kPixelBytes = kAllChannels * static_cast<int>(sizeof(T));
  static constexpr int kCount = kPixelBytes <= kUnitBytes ? 1 : kPixelBytes / kUnitBytes;
  // Of each:
  static constexpr int kChannels = kAllChannels / kCount;
  static constexpr int kBytes = kPixelBytes / kCount;
};

// Two warpgroups that multiply, each with a ring, and behind them those that fill both.
struct WarpgroupRings {
  static constexpr int kWorkers = 2;

  struct Stage {
    Barrier brought, full, empty;  // `brought`: what dz is made of
  };
  struct Barriers {
    Barrier filter;
    Stage stage[kWorkers][kMaxStages];
  };

  static constexpr int SharedBytes(int fixed_bytes, int stages, int stage_bytes) {
    return kStageAlignment + fixed_bytes + kWorkers * stages * stage_bytes +
           static_cast<int>(sizeof(Barriers));
  }
};

// Each warp that multiplies leaves some.
constexpr int kStatisticsPerBlock = WarpgroupRings::kWorkers * 4;

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_KERNELS_WARPGROUP_CONV3X3_ARGS_H_
