#include "core/cpu/grouped/grouped.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "core/cpu/grouped/blocks.h"
#include "core/cpu/kernels/kernels.h"
#include "core/cpu/workspace.h"
#include "core/cpu_features.h"

namespace fastconv::cpu {
namespace {

// An item is one band of an image, for a block of panels.
class Grouped final : public TapAlgorithm {
 public:
  explicit Grouped(TapProblem problem);

  size_t workspace_bytes() const override { return layout_.bytes(); }
  const Panels& panels() const override { return panels_; }
  const std::vector<Band>& bands(int64_t phase) const override { return parts_[phase].bands; }
  void Run(const Callbacks& callbacks, void* workspace, ThreadPool* pool) const override;

 private:
  struct Part {  // of one phase
    std::vector<GroupedBlock> blocks;
    std::vector<Band> bands;
    size_t panels_offset;  // [tap][in channel of a group][padded channels]
  };

  int64_t Items(const Part& part) const {
    return problem_.batch * static_cast<int64_t>(part.bands.size() * part.blocks.size());
  }
  void LoadPanels(const Callbacks& callbacks, void* workspace, ThreadPool* pool) const;
  void RunItem(const Callbacks& callbacks, int64_t item, int worker, void* workspace) const;

  const TapProblem problem_;
  const Kernels& kernels_;
  const GroupedChannels channels_;
  const Panels panels_;
  const int64_t acc_bytes_;
  std::vector<Part> parts_;
  WorkspaceLayout layout_;
  std::vector<size_t> slab_offsets_, row_offsets_, sums_offsets_;  // per worker
};

Grouped::Grouped(TapProblem problem)
    : problem_(std::move(problem)),
      kernels_(problem_.kernels),
      channels_{problem_.groups, problem_.in_channels, problem_.out_channels},
      panels_(channels_.groups * channels_.out, kernels_.lanes),
      acc_bytes_(SizeOf(AccumulationType(kernels_.dtype))) {
  const int64_t width = panels_.width(0), lanes = kernels_.lanes;
  int64_t slab_elements = 0, row_elements = 0, sums_elements = 0;
  for (const Phase& phase : problem_.convolution.phases) {
    Part part;
    part.blocks = GroupedBlocks(problem_.convolution, phase, channels_, panels_,
                                PanelsPerBlock(channels_, panels_));
    const GroupedBlock& block = part.blocks.front();  // of the largest slab
    const int64_t blocks = part.blocks.size();
    part.bands = problem_.split(
        phase, RowsPerBand(phase, block.slab(), phase.cols * width * acc_bytes_, acc_bytes_,
                           problem_.batch * blocks, problem_.num_threads));
    for (const Band& band : part.bands) {
      slab_elements = std::max(slab_elements, block.slab_elements(band.rows, lanes));
      sums_elements = std::max(sums_elements, band.rows * phase.cols * width);
    }
    for (const GroupedBlock& any : part.blocks) {
      row_elements = std::max(row_elements, any.row_elements(problem_.convolution.in_cols, lanes));
    }
    part.panels_offset = layout_.Add(static_cast<int64_t>(phase.taps.size()) * channels_.in *
                                     panels_.padded_channels() * acc_bytes_);
    parts_.push_back(std::move(part));
  }
  for (int worker = 0; worker < problem_.num_threads; ++worker) {
    slab_offsets_.push_back(layout_.Add(slab_elements * acc_bytes_));
    row_offsets_.push_back(layout_.Add(row_elements * acc_bytes_));
    sums_offsets_.push_back(layout_.Add(sums_elements * acc_bytes_));
  }
}

void Grouped::LoadPanels(const Callbacks& callbacks, void* workspace, ThreadPool* pool) const {
  const int64_t padded = panels_.padded_channels();
  for (const Part& part : parts_) {
    const std::vector<Tap>& taps = part.blocks.front().slab().taps();
    const auto load = [&](int64_t tap, int) {
      callbacks.load_panel(
          {&taps[tap], 0, 0, channels_.in, 0, panels_.channels(), padded,
           At(workspace, part.panels_offset + tap * channels_.in * padded * acc_bytes_)});
    };
    // Waking workers costs more than a small filter.
    constexpr int64_t kSmall = 16 << 10;
    const int64_t num_taps = taps.size();
    const int workers = num_taps * channels_.in * padded < kSmall ? 1 : problem_.num_threads;
    ParallelFor(pool, workers, num_taps, load);
  }
}

void Grouped::RunItem(const Callbacks& callbacks, int64_t item, int worker, void* workspace) const {
  size_t p = 0;
  while (item >= Items(parts_[p])) item -= Items(parts_[p++]);
  const Part& part = parts_[p];
  const Phase& phase = problem_.convolution.phases[p];
  const int64_t bands = part.bands.size();
  const int64_t blocks = part.blocks.size();
  const int64_t band_index = item % bands;
  const GroupedBlock& block = part.blocks[item / bands % blocks];
  const int64_t image = item / bands / blocks;
  const Band& band = part.bands[band_index];
  void* slab = At(workspace, slab_offsets_[worker]);
  void* sums = At(workspace, sums_offsets_[worker]);
  block.FillSlab(kernels_, band, slab, At(workspace, row_offsets_[worker]),
                 [&](int64_t first_channel, int64_t channels, const Slab::Row& row) {
                   callbacks.load_row({image, 0, first_channel, channels, row});
                 });
  for (int64_t panel = block.first_panel(); panel < block.end_panel(); ++panel) {
    const int64_t first_out = panels_.first_channel(panel);
    kernels_.grouped_rows(
        {At(slab, block.panel_offset(panel, panels_), acc_bytes_), block.slab().output_row_stride(),
         block.slab().pixel_stride(), block.elements().data(),
         static_cast<int64_t>(block.elements().size()), block.slab().filled(band),
         At(workspace, part.panels_offset + first_out * acc_bytes_), panels_.padded_channels(),
         panels_.vectors(panel), sums, band.rows, phase.cols});
    callbacks.consume_sums({&phase, image, 0, band_index, band, first_out, panels_.channels(panel),
                            panels_.width(panel), sums});
  }
}

void Grouped::Run(const Callbacks& callbacks, void* workspace, ThreadPool* pool) const {
  int64_t items = 0;
  for (const Part& part : parts_) items += Items(part);
  if (items == 0) return;
  LoadPanels(callbacks, workspace, pool);
  ParallelFor(pool, problem_.num_threads, items,
              [&](int64_t item, int worker) { RunItem(callbacks, item, worker, workspace); });
}

}  // namespace

std::string GroupedInability(const FusedConv2DProblem& problem) {
  return problem.conv.groups == 1 ? "only for groups" : "";
}

std::string GroupedDisadvantage(Conv2DPass pass, const FusedConv2DProblem& problem) {
  const int64_t out_channels = pass == Conv2DPass::kBackwardInput
                                   ? problem.conv.in_channels_per_group()
                                   : problem.conv.out_channels_per_group();
  const int64_t lanes = GetKernels(ActiveIsa(), problem.conv.dtype).lanes;
  return out_channels >= lanes ? "groups wide enough to fill vectors of their own" : "";
}

std::unique_ptr<TapAlgorithm> MakeGrouped(TapProblem problem) {
  return std::make_unique<Grouped>(std::move(problem));
}

}  // namespace fastconv::cpu
