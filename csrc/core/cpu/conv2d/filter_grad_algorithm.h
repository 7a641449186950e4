// The interface between the filter gradient's pass, which cuts pixels into slots and reads and
// writes tensors, and the algorithms that sum products of inputs and gradients.
#ifndef FASTCONV_CORE_CPU_CONV2D_FILTER_GRAD_ALGORITHM_H_
#define FASTCONV_CORE_CPU_CONV2D_FILTER_GRAD_ALGORITHM_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "core/cpu/conv2d/geometry.h"
#include "core/cpu/conv2d/slab.h"
#include "core/cpu/epilogue.h"
#include "core/cpu/kernels/kernels.h"

namespace fastconv::cpu {

struct FilterGradProblem {
  const Kernels& kernels;
  TapConvolution convolution;  // forward
  int64_t batch;
  int64_t groups;
  int64_t in_channels, out_channels;  // of one group
  int num_threads;
};

// Into how many slots (partial sums) pixels are cut, and how many panels of output channels an item
// takes.
struct FilterGradCut {
  int64_t slots;
  int64_t panels_per_item;

  // `depth`: sums per output channel. Large filters get fewer slots, and items of fewer panels.
  static FilterGradCut Of(const FilterGradProblem& problem, const Panels& panels, int64_t depth) {
    constexpr int64_t kPartialSumsBytes = 16 << 20;  // of all slots together
    constexpr int64_t kSlotsPerThread = 4;
    const int64_t acc_bytes = SizeOf(AccumulationType(problem.kernels.dtype));
    const int64_t slot_bytes = problem.groups * panels.padded_channels() * depth * acc_bytes;
    const int64_t wanted = kSlotsPerThread * problem.num_threads;
    const int64_t slots =
        std::clamp<int64_t>(kPartialSumsBytes / std::max<int64_t>(slot_bytes, 1), 1, wanted);
    const int64_t ranges =
        slots >= problem.num_threads ? 1 : std::min(panels.count(), (wanted + slots - 1) / slots);
    return {slots, (panels.count() + ranges - 1) / ranges};
  }
};

class FilterGradAlgorithm {
 public:
  virtual ~FilterGradAlgorithm() = default;

  virtual const Panels& panels() const = 0;  // of each group or of all, see TapAlgorithm
  virtual const FilterGradCut& cut() const = 0;
  // Sums are [depth][width] per panel.
  virtual int64_t depth() const = 0;
  // A unit is what AddUnit takes at a time: `rows` output rows of one image or, where those are all
  // of an image's, of some neighbouring images.
  struct UnitShape {
    int64_t images, rows;
  };
  virtual UnitShape unit() const = 0;
  virtual size_t scratch_bytes() const = 0;  // of one worker

  struct Unit {
    int64_t first_image, images;
    Band band;
    int64_t group;
    int64_t first_panel, end_panel;
  };
  // Where the tensors lie that yield a panel's gradients at the band's outputs of an image, for
  // algorithms that take them from there: dy * (y > 0 ? 1 : negative_slope), or dy where y is null.
  struct GradientPlace {
    const void* dy;
    const void* y;
    int64_t row_stride, pixel_stride;
    double negative_slope;
    void* bias_sums;  // the sums of the gradients are to be added; null: not wanted
  };
  struct Operands {
    // A row of input channels [first_channel, first_channel + channels) of the unit's group.
    std::function<void(int64_t image, int64_t first_channel, int64_t channels,
                       const Slab::Row& row)>
        load_row;
    // The gradients of a panel at the band's outputs: dz[row][col][width], rows row_stride apart.
    // Asked for once per unit, panel and image.
    std::function<void(int64_t panel, int64_t image, void* dz, int64_t row_stride)> load_gradient;
    // Instead of load_gradient; empty where no such place yields them.
    std::function<GradientPlace(int64_t panel, int64_t image)> gradient;
    // Where the sums of a panel are.
    std::function<void*(int64_t panel)> sums;
  };
  virtual void AddUnit(const Unit& unit, const Operands& operands, void* scratch) const = 0;

  // Called with the finished sums of one tap, [channels][width] from input channel first_channel
  // on.
  using ConsumeTap = std::function<void(const Tap& tap, int64_t first_channel, int64_t channels,
                                        const void* sums)>;
  virtual void Finish(int64_t panel, const void* sums, void* scratch,
                      const ConsumeTap& consume) const = 0;
};

using MakeFilterGradAlgorithm = std::unique_ptr<FilterGradAlgorithm> (*)(FilterGradProblem problem);

}  // namespace fastconv::cpu

#endif  // FASTCONV_CORE_CPU_CONV2D_FILTER_GRAD_ALGORITHM_H_
