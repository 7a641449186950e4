#include <algorithm>
#include <utility>
#include <vector>

#include "core/cpu/grouped/blocks.h"
#include "core/cpu/grouped/grouped.h"
#include "core/cpu/workspace.h"

namespace fastconv::cpu {
namespace {

constexpr int64_t kPixelsPerUnit = 512;    // long register sums, dz in the first levels of cache
constexpr int64_t kSlabBytes = 256 << 10;  // of one unit

class GroupedFilterGrad final : public FilterGradAlgorithm {
 public:
  explicit GroupedFilterGrad(FilterGradProblem problem)
      : problem_(std::move(problem)),
        kernels_(problem_.kernels),
        channels_{problem_.groups, problem_.in_channels, problem_.out_channels},
        panels_(channels_.groups * channels_.out, kernels_.lanes),
        acc_bytes_(SizeOf(AccumulationType(kernels_.dtype))),
        panels_per_block_(PanelsPerBlock(channels_, panels_)),
        blocks_(
            GroupedBlocks(problem_.convolution, phase(), channels_, panels_, panels_per_block_)) {
    FilterGradProblem together = problem_;
    together.groups = 1;
    cut_ = FilterGradCut::Of(together, panels_, depth());
    cut_.panels_per_item = (cut_.panels_per_item + panels_per_block_ - 1) / panels_per_block_ *
                           panels_per_block_;     // whole blocks
    const GroupedBlock& block = blocks_.front();  // of the largest slab
    const int64_t lanes = kernels_.lanes;
    rows_ = std::clamp<int64_t>(kPixelsPerUnit / phase().cols, 1, phase().rows);
    while (rows_ > 1 && block.slab_elements(rows_, lanes) * acc_bytes_ > kSlabBytes) {
      rows_ = (rows_ + 1) / 2;
    }
    slab_offset_ = layout_.Add(block.slab_elements(rows_, lanes) * acc_bytes_);
    int64_t row_elements = 0;
    for (const GroupedBlock& any : blocks_) {
      row_elements = std::max(row_elements, any.row_elements(problem_.convolution.in_cols, lanes));
    }
    row_offset_ = layout_.Add(row_elements * acc_bytes_);
    dz_offset_ = layout_.Add(rows_ * phase().cols * panels_.width(0) * acc_bytes_);
  }

  const Panels& panels() const override { return panels_; }
  const FilterGradCut& cut() const override { return cut_; }
  int64_t depth() const override {
    return static_cast<int64_t>(phase().taps.size()) * channels_.in;
  }
  UnitShape unit() const override { return {1, rows_}; }
  size_t scratch_bytes() const override { return layout_.bytes(); }

  void AddUnit(const Unit& unit, const Operands& operands, void* scratch) const override {
    void* slab = At(scratch, slab_offset_);
    void* dz = At(scratch, dz_offset_);
    for (int64_t first = unit.first_panel; first < unit.end_panel; first += panels_per_block_) {
      const GroupedBlock& block = blocks_[first / panels_per_block_];
      block.FillSlab(kernels_, unit.band, slab, At(scratch, row_offset_),
                     [&](int64_t first_channel, int64_t channels, const Slab::Row& row) {
                       operands.load_row(unit.first_image, first_channel, channels, row);
                     });
      for (int64_t panel = block.first_panel(); panel < block.end_panel(); ++panel) {
        operands.load_gradient(panel, unit.first_image, dz, phase().cols * panels_.width(panel));
        kernels_.grouped_filter_grad({At(slab, block.panel_offset(panel, panels_), acc_bytes_),
                                      block.slab().output_row_stride(), block.slab().pixel_stride(),
                                      block.elements().data(), depth(), dz, panels_.vectors(panel),
                                      operands.sums(panel), unit.band.rows, phase().cols});
      }
    }
  }

  void Finish(int64_t panel, const void* sums, void*, const ConsumeTap& consume) const override {
    for (const Tap& tap : blocks_.front().slab().taps()) {
      consume(tap, 0, channels_.in, sums);
      sums = At(sums, channels_.in * panels_.width(panel), acc_bytes_);
    }
  }

 private:
  const Phase& phase() const { return problem_.convolution.phases[0]; }

  const FilterGradProblem problem_;
  const Kernels& kernels_;
  const GroupedChannels channels_;
  const Panels panels_;
  const int64_t acc_bytes_;
  const int64_t panels_per_block_;
  const std::vector<GroupedBlock> blocks_;
  FilterGradCut cut_{};
  int64_t rows_ = 1;  // of a unit
  WorkspaceLayout layout_;
  size_t slab_offset_ = 0, row_offset_ = 0, dz_offset_ = 0;
};

}  // namespace

std::unique_ptr<FilterGradAlgorithm> MakeGroupedFilterGrad(FilterGradProblem problem) {
  return std::make_unique<GroupedFilterGrad>(std::move(problem));
}

}  // namespace fastconv::cpu
