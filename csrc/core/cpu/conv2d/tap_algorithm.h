// The interface between the passes that are tap convolutions (geometry.h: forward, input gradient)
// and the algorithms that compute them. A pass says how operands are read and what becomes of the
// sums; an algorithm cuts the work and multiplies.
#ifndef FASTCONV_CORE_CPU_CONV2D_TAP_ALGORITHM_H_
#define FASTCONV_CORE_CPU_CONV2D_TAP_ALGORITHM_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "core/cpu/conv2d/geometry.h"
#include "core/cpu/conv2d/slab.h"
#include "core/cpu/epilogue.h"
#include "core/cpu/kernels/kernels.h"
#include "core/thread_pool.h"

namespace fastconv::cpu {

struct TapProblem {
  const Kernels& kernels;
  TapConvolution convolution;
  int64_t batch;
  int64_t groups;
  int64_t in_channels, out_channels;  // of one group
  int num_threads;
  // Cuts a phase's rows into bands. An algorithm calls it once per phase, with the number of rows
  // that suits it.
  std::function<std::vector<Band>(const Phase& phase, int64_t rows_per_band)> split;
};

class TapAlgorithm {
 public:
  virtual ~TapAlgorithm() = default;

  virtual size_t workspace_bytes() const = 0;
  // How output channels are cut: each group's or, where an algorithm takes all groups at once, all
  // of them. In the latter's requests the group is 0 and channels count on through the groups.
  virtual const Panels& panels() const = 0;
  // Bands of a phase in each image.
  virtual const std::vector<Band>& bands(int64_t phase) const = 0;

  // One tap's filter panel: panel[0, depth)[0, width) for input channels [first_in, first_in +
  // depth).
  struct PanelRequest {
    const Tap* tap;
    int64_t group, first_in, depth;
    int64_t first_out, channels, width;
    void* panel;
  };
  // One row of the input channels [first_channel, first_channel + channels) of a group.
  struct RowRequest {
    int64_t image, group;
    int64_t first_channel, channels;
    Slab::Row row;
  };
  // Sums of one band (the band_index-th of the image) and panel: acc [rows][cols][width], or null
  // where the finished values have been written (OutputPlace).
  struct SumsRequest {
    const Phase* phase;
    int64_t image, group;
    int64_t band_index;
    Band band;
    int64_t first_out, channels, width;
    void* acc;
  };
  // The input as it lies in a tensor, for algorithms that can read it there.
  struct InputPlace {
    const void* data;
    int64_t image_stride, row_stride, pixel_stride;
  };
  // Where the results of an image's output rows from `row` on and of a panel go, for algorithms
  // that can finish and write them: through the stage and, if `pool`, a 2x2 max pooling with
  // stride 2 and without padding.
  struct OutputPlace {
    PointwiseStage stage;
    bool pool;
    void* y;
    void* code;
    int64_t row_stride, pixel_stride;
    bool around_caches;  // see MapRowsArgs
  };
  struct Callbacks {
    std::function<void(const PanelRequest&)> load_panel;
    std::function<void(const RowRequest&)> load_row;
    std::function<void(const SumsRequest&)> consume_sums;
    InputPlace input{};  // data null: use load_row
    std::function<OutputPlace(int64_t image, int64_t row, int64_t first_out)> output;  // or empty
    bool output_pools = false;  // what `output` yields
  };
  virtual void Run(const Callbacks& callbacks, void* workspace, ThreadPool* pool) const = 0;
};

using MakeTapAlgorithm = std::unique_ptr<TapAlgorithm> (*)(TapProblem problem);

}  // namespace fastconv::cpu

#endif  // FASTCONV_CORE_CPU_CONV2D_TAP_ALGORITHM_H_
