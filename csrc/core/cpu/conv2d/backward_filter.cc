#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "core/cpu/conv2d/filter_grad_algorithm.h"
#include "core/cpu/conv2d/operands.h"
#include "core/cpu/conv2d/passes.h"
#include "core/cpu/epilogue.h"
#include "core/cpu/workspace.h"

namespace fastconv::cpu {
namespace {

// dfilter[tap, c, k] = sum over pixels of x[pixel + tap, c] * dz[pixel, k].
//
// Pixels are cut into units (FilterGradAlgorithm), units into slots of neighbours. Each slot sums
// on its own and the slots are added up in order at the end, so that the result depends on the
// number of threads (it sets the number of slots) but not on their timing. Large filters get fewer
// slots and are cut by output channels instead.
class BackwardFilter final : public Conv2DPlan {
 public:
  BackwardFilter(const char* name, const Kernels& kernels, const FusedConv2DProblem& problem,
                 int num_threads, MakeFilterGradAlgorithm make_algorithm)
      : name_(name),
        kernels_(kernels),
        conv_(problem.conv),
        epilogue_(problem.epilogue),
        dropout_(kernels, epilogue_, conv_.window.h.out, conv_.window.w.out, conv_.out_channels),
        element_bytes_(SizeOf(conv_.dtype)),
        acc_bytes_(SizeOf(AccumulationType(conv_.dtype))),
        num_threads_(num_threads),
        algorithm_(make_algorithm({kernels, ForwardTaps(conv_.window), conv_.batch, conv_.groups,
                                   conv_.in_channels_per_group(), conv_.out_channels_per_group(),
                                   num_threads})),
        panels_(algorithm_->panels()),
        unit_(algorithm_->unit()) {
    units_per_image_group_ = (conv_.window.h.out + unit_.rows - 1) / unit_.rows;
    units_ = (conv_.batch + unit_.images - 1) / unit_.images * units_per_image_group_;
    slots_ = std::max<int64_t>(std::min(algorithm_->cut().slots, units_), 1);
    panel_groups_ = conv_.out_channels / panels_.channels();
    slot_channels_ = panel_groups_ * panels_.padded_channels();
    sums_offset_ = layout_.Add(slots_ * slot_channels_ * algorithm_->depth() * acc_bytes_);
    bias_sums_offset_ = layout_.Add(slots_ * slot_channels_ * acc_bytes_);
    for (int worker = 0; worker < num_threads_; ++worker) {
      scratch_offsets_.push_back(layout_.Add(algorithm_->scratch_bytes()));
    }
  }

  const char* implementation() const override { return name_; }
  size_t workspace_bytes() const override { return layout_.bytes(); }

  Status Execute(const Conv2DArgs& args, void* workspace, ThreadPool* pool) const override {
    const int64_t panels_per_item = algorithm_->cut().panels_per_item;
    const int64_t ranges = (panels_.count() + panels_per_item - 1) / panels_per_item;
    ParallelFor(pool, num_threads_, slots_ * panel_groups_ * ranges, [&](int64_t item, int worker) {
      const int64_t first = item / slots_ % ranges * panels_per_item;
      SumSlot(args, item % slots_, item / slots_ / ranges, first,
              std::min(first + panels_per_item, panels_.count()), worker, workspace);
    });
    // Waking workers costs more than a small filter.
    constexpr int64_t kSmall = 16 << 10;
    const int workers = slots_ * slot_channels_ * algorithm_->depth() < kSmall ? 1 : num_threads_;
    ParallelFor(pool, workers, panel_groups_ * panels_.count(), [&](int64_t item, int worker) {
      FinishPanel(args, item / panels_.count(), item % panels_.count(), worker, workspace);
    });
    return Status();
  }

 private:
  int64_t FirstSum(int64_t slot, int64_t group, int64_t panel) const {
    return slot * slot_channels_ + group * panels_.padded_channels() + panels_.first_channel(panel);
  }
  // Sums of a slot: [group][panel][depth][width].
  void* Sums(void* workspace, int64_t slot, int64_t group, int64_t panel) const {
    return At(At(workspace, sums_offset_), FirstSum(slot, group, panel) * algorithm_->depth(),
              acc_bytes_);
  }
  void* BiasSums(void* workspace, int64_t slot, int64_t group, int64_t panel) const {
    return At(At(workspace, bias_sums_offset_), FirstSum(slot, group, panel), acc_bytes_);
  }

  void SumSlot(const Conv2DArgs& args, int64_t slot, int64_t group, int64_t first_panel,
               int64_t end_panel, int worker, void* workspace) const {
    for (int64_t panel = first_panel; panel < end_panel; ++panel) {
      const int64_t width = panels_.width(panel);
      std::memset(Sums(workspace, slot, group, panel), 0, algorithm_->depth() * width * acc_bytes_);
      std::memset(BiasSums(workspace, slot, group, panel), 0, width * acc_bytes_);
    }
    const WindowAxis& h = conv_.window.h;
    FilterGradAlgorithm::Unit unit{0, 0, {0, 0}, group, first_panel, end_panel};
    FilterGradAlgorithm::Operands operands;
    operands.load_row = [&](int64_t image, int64_t first_channel, int64_t channels,
                            const Slab::Row& row) {
      LoadInputRow(kernels_, conv_, args.x, image,
                   group * conv_.in_channels_per_group() + first_channel, channels, row);
    };
    operands.load_gradient = [&](int64_t panel, int64_t image, void* dz, int64_t row_stride) {
      LoadGradient(args, unit, panel, image, dz, row_stride,
                   BiasSums(workspace, slot, group, panel));
    };
    if (!epilogue_.pool.enabled && epilogue_.dropout.kind == DropoutKind::kNone) {
      operands.gradient = [&](int64_t panel, int64_t image) {
        return Place(args, unit, panel, image, BiasSums(workspace, slot, group, panel));
      };
    }
    operands.sums = [&](int64_t panel) { return Sums(workspace, slot, group, panel); };
    const int64_t end_unit = units_ * (slot + 1) / slots_;
    for (int64_t index = units_ * slot / slots_; index < end_unit; ++index) {
      unit.first_image = index / units_per_image_group_ * unit_.images;
      unit.images = std::min(unit_.images, conv_.batch - unit.first_image);
      unit.band.first_row = index % units_per_image_group_ * unit_.rows;
      unit.band.rows = std::min(unit_.rows, h.out - unit.band.first_row);
      algorithm_->AddUnit(unit, operands, At(workspace, scratch_offsets_[worker]));
    }
  }

  FilterGradAlgorithm::GradientPlace Place(const Conv2DArgs& args,
                                           const FilterGradAlgorithm::Unit& unit, int64_t panel,
                                           int64_t image, void* bias_sums) const {
    const int64_t row_stride = conv_.window.w.out * conv_.out_channels;
    const int64_t first = (image * conv_.window.h.out + unit.band.first_row) * row_stride +
                          unit.group * conv_.out_channels_per_group() +
                          panels_.first_channel(panel);
    const bool by_sign = epilogue_.activation != Activation::kLinear;
    return {At(args.dy, first, element_bytes_),
            by_sign ? At(static_cast<const void*>(args.y), first, element_bytes_) : nullptr,
            row_stride,
            conv_.out_channels,
            NegativeSlope(epilogue_),
            args.dbias == nullptr ? nullptr : bias_sums};
  }

  void LoadGradient(const Conv2DArgs& args, const FilterGradAlgorithm::Unit& unit, int64_t panel,
                    int64_t image, void* dz, int64_t row_stride, void* bias_sums) const {
    const int64_t width = panels_.width(panel);
    LoadGradientRows(kernels_, conv_, epilogue_, dropout_, args, image,
                     unit.group * conv_.out_channels_per_group() + panels_.first_channel(panel),
                     panels_.channels(panel), width, unit.band, dz, row_stride);
    if (args.dbias == nullptr) return;
    for (int64_t row = 0; row < unit.band.rows; ++row) {
      kernels_.add_rows(
          {At(dz, row * row_stride, acc_bytes_), width, bias_sums, conv_.window.w.out, width});
    }
  }

  // Adds up the slots in order and writes the panel's channels of dfilter and dbias.
  void FinishPanel(const Conv2DArgs& args, int64_t group, int64_t panel, int worker,
                   void* workspace) const {
    const int64_t width = panels_.width(panel), channels = panels_.channels(panel);
    const int64_t first_channel = panels_.first_channel(panel);
    const int64_t depth = algorithm_->depth();
    void* sums = Sums(workspace, 0, group, panel);
    void* bias_sums = BiasSums(workspace, 0, group, panel);
    if (slots_ > 1) {
      kernels_.add_rows({Sums(workspace, 1, group, panel), slot_channels_ * depth, sums, slots_ - 1,
                         depth * width});
      kernels_.add_rows(
          {BiasSums(workspace, 1, group, panel), slot_channels_, bias_sums, slots_ - 1, width});
    }
    algorithm_->Finish(
        panel, sums, At(workspace, scratch_offsets_[worker]),
        [&](const Tap& tap, int64_t first_in, int64_t in_channels, const void* tap_sums) {
          const int64_t offset = FilterOffset(conv_, tap, group, first_in, first_channel);
          kernels_.store_rows({tap_sums, width, At(args.dfilter, offset, element_bytes_),
                               conv_.out_channels, in_channels, channels});
        });
    if (args.dbias != nullptr) {
      const int64_t channel = group * conv_.out_channels_per_group() + first_channel;
      kernels_.store_rows({bias_sums, width, At(args.dbias, channel, element_bytes_),
                           conv_.out_channels, 1, channels});
    }
  }

  const char* name_;
  const Kernels& kernels_;
  const Conv2DProblem conv_;
  const Epilogue epilogue_;
  const DropoutStage dropout_;
  const int64_t element_bytes_, acc_bytes_;
  const int num_threads_;
  const std::unique_ptr<FilterGradAlgorithm> algorithm_;
  const Panels& panels_;
  const FilterGradAlgorithm::UnitShape unit_;
  int64_t units_per_image_group_ = 1, units_ = 0, slots_ = 1, slot_channels_ = 0;
  int64_t panel_groups_ = 1;  // 1 where the algorithm takes all groups at once
  WorkspaceLayout layout_;
  size_t sums_offset_ = 0, bias_sums_offset_ = 0;
  std::vector<size_t> scratch_offsets_;  // per worker
};

}  // namespace

std::unique_ptr<Conv2DPlan> MakeBackwardFilter(const char* name, const Kernels& kernels,
                                               const FusedConv2DProblem& problem, int num_threads,
                                               MakeFilterGradAlgorithm make_algorithm) {
  return std::make_unique<BackwardFilter>(name, kernels, problem, num_threads, make_algorithm);
}

}  // namespace fastconv::cpu
