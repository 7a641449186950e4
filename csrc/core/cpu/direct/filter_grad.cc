// The filter gradient from few input channels: the gradients at the outputs are read from where
// they lie in tensors, once.
#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "core/cpu/direct/direct.h"
#include "core/cpu/workspace.h"

namespace fastconv::cpu {
namespace {

// Gradients that are summed in registers, and lie in the first level of cache over all taps.
constexpr int64_t kPixelsPerSum = 128;
// Sums of so many are made apart, so that rounding errors hardly grow with the batch.
constexpr int64_t kPixelsPerUnit = 1024;

class DirectFilterGrad final : public FilterGradAlgorithm {
 public:
  explicit DirectFilterGrad(FilterGradProblem problem)
      : problem_(std::move(problem)),
        kernels_(problem_.kernels),
        panels_(problem_.out_channels, kernels_.lanes),
        acc_bytes_(SizeOf(AccumulationType(kernels_.dtype))),
        slab_(problem_.convolution, phase(), problem_.in_channels),
        runs_(slab_.Runs(int64_t{1} << 62).front()),
        depth_(static_cast<int64_t>(phase().taps.size()) * problem_.in_channels),
        cut_(FilterGradCut::Of(problem_, panels_, depth_)),
        unit_{1, std::clamp<int64_t>(kPixelsPerUnit / phase().cols, 1, phase().rows)} {
    slab_offset_ = layout_.Add(slab_.elements(unit_.rows) * acc_bytes_);
    dz_offset_ = layout_.Add(RowsPerSum() * phase().cols * panels_.width(0) * acc_bytes_);
    sums_offset_ = layout_.Add(depth_ * panels_.padded_channels() * acc_bytes_);
  }

  const Panels& panels() const override { return panels_; }
  const FilterGradCut& cut() const override { return cut_; }
  int64_t depth() const override { return depth_; }
  UnitShape unit() const override { return unit_; }
  size_t scratch_bytes() const override { return layout_.bytes(); }

  void AddUnit(const Unit& unit, const Operands& operands, void* scratch) const override {
    void* slab = At(scratch, slab_offset_);
    slab_.Fill(unit.band, acc_bytes_, slab, [&](const Slab::Row& row) {
      operands.load_row(unit.first_image, 0, problem_.in_channels, row);
    });
    for (int64_t panel = unit.first_panel; panel < unit.end_panel; ++panel) {
      std::memset(Sums(panel, scratch), 0, depth_ * panels_.width(panel) * acc_bytes_);
    }
    for (const Band& band : SplitRows(unit.band.rows, RowsPerSum())) {
      for (int64_t panel = unit.first_panel; panel < unit.end_panel; ++panel) {
        AddBand(unit, operands, band, panel, scratch);
      }
    }
    for (int64_t panel = unit.first_panel; panel < unit.end_panel; ++panel) {
      const int64_t elements = depth_ * panels_.width(panel);
      kernels_.add_rows({Sums(panel, scratch), elements, operands.sums(panel), 1, elements});
    }
  }

  void Finish(int64_t panel, const void* sums, void*, const ConsumeTap& consume) const override {
    for (const Tap& tap : slab_.taps()) {
      consume(tap, 0, problem_.in_channels, sums);
      sums = At(sums, problem_.in_channels * panels_.width(panel), acc_bytes_);
    }
  }

 private:
  const Phase& phase() const { return problem_.convolution.phases[0]; }

  int64_t RowsPerSum() const { return std::max<int64_t>(kPixelsPerSum / phase().cols, 1); }
  // Of a unit: [depth][width] per panel.
  void* Sums(int64_t panel, void* scratch) const {
    return At(At(scratch, sums_offset_), panels_.first_channel(panel) * depth_, acc_bytes_);
  }

  // Adds rows of the unit, `band` counted from its first one.
  void AddBand(const Unit& unit, const Operands& operands, const Band& band, int64_t panel,
               void* scratch) const {
    const GradientPlace place = operands.gradient(panel, unit.first_image);
    const int64_t bytes = SizeOf(kernels_.dtype);
    const int64_t row = band.first_row * place.row_stride;
    DirectFilterGradArgs args{};
    args.products = {
        At(At(scratch, slab_offset_), band.first_row * slab_.output_row_stride(), acc_bytes_),
        0,
        slab_.output_row_stride(),
        slab_.pixel_stride(),
        runs_.data(),
        static_cast<int64_t>(runs_.size()),
        slab_.filled({unit.band.first_row + band.first_row, band.rows}),
        nullptr,
        0,
        0,
        panels_.vectors(panel),
        Sums(panel, scratch),
        /*images=*/1,
        band.rows,
        phase().cols};
    args.dy = At(place.dy, row, bytes);
    args.y = At(place.y, row, bytes);
    args.row_stride = place.row_stride;
    args.pixel_stride = place.pixel_stride;
    args.channels = panels_.channels(panel);
    args.negative_slope = place.negative_slope;
    args.dz = At(scratch, dz_offset_);
    args.bias_sums = place.bias_sums;
    ReadAhead(unit, band, panel, bytes, &args);
    kernels_.direct_filter_grad(args);
  }

  // Asks for the panel's share of the rows behind the band: of the image or of the next one.
  void ReadAhead(const Unit& unit, const Band& band, int64_t panel, int64_t element_bytes,
                 DirectFilterGradArgs* args) const {
    const int64_t elements = band.rows * args->row_stride;
    const int64_t share = elements / (unit.end_panel - unit.first_panel);
    const int64_t skipped = (panel - unit.first_panel) * (share - panels_.width(0));
    args->prefetch = At(args->dy, elements + skipped, element_bytes);
    args->prefetch_bytes = share * element_bytes;
    if (args->y != nullptr) {
      args->prefetch_twin = static_cast<const char*>(args->y) - static_cast<const char*>(args->dy);
    }
  }

  const FilterGradProblem problem_;
  const Kernels& kernels_;
  const Panels panels_;
  const int64_t acc_bytes_;
  const Slab slab_;
  const std::vector<Run> runs_;
  const int64_t depth_;  // elements of a filter per output channel
  const FilterGradCut cut_;
  const UnitShape unit_;
  WorkspaceLayout layout_;
  size_t slab_offset_ = 0, dz_offset_ = 0, sums_offset_ = 0;
};

}  // namespace

std::string DirectFilterGradInability(const FusedConv2DProblem& problem) {
  const bool pools = problem.epilogue.pool.enabled;
  if (pools || problem.epilogue.dropout.kind != DropoutKind::kNone) {
    return std::string("not behind ") + (pools ? "pooling" : "dropout");
  }
  return DirectForwardInability(problem);
}

std::unique_ptr<FilterGradAlgorithm> MakeDirectFilterGrad(FilterGradProblem problem) {
  return std::make_unique<DirectFilterGrad>(std::move(problem));
}

}  // namespace fastconv::cpu
