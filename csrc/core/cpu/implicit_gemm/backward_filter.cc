#include <algorithm>
#include <cstring>

#include "core/cpu/epilogue.h"
#include "core/cpu/implicit_gemm/geometry.h"
#include "core/cpu/implicit_gemm/implicit_gemm.h"
#include "core/cpu/implicit_gemm/operands.h"
#include "core/cpu/implicit_gemm/slab.h"
#include "core/cpu/workspace.h"

namespace fastconv::cpu {
namespace {

constexpr int64_t kPixelsPerUnit = 512;    // long register sums, dz in the first levels of cache
constexpr int64_t kUnitBytes = 512 << 10;  // slab and dz of one unit
constexpr int64_t kPartialSumsBytes = 16 << 20;  // of all slots together
constexpr int64_t kSlotsPerThread = 4;

// dfilter[tap, c, k] = sum over pixels of x[pixel + tap, c] * dz[pixel, k].
//
// Pixels are cut into units (some rows of an image, or some whole small images), units into slots
// of neighbours. Each slot sums on its own and the slots are added up in order at the end, so that
// the result depends on the number of threads (it sets the number of slots) but not on their
// timing. Large filters get fewer slots and are cut by output channels instead.
class ImplicitGemmBackwardFilter final : public Conv2DPlan {
 public:
  ImplicitGemmBackwardFilter(const char* name, const Kernels& kernels,
                             const FusedConv2DProblem& problem, int num_threads)
      : name_(name),
        kernels_(kernels),
        conv_(problem.conv),
        epilogue_(problem.epilogue),
        element_bytes_(SizeOf(conv_.dtype)),
        acc_bytes_(SizeOf(AccumulationType(conv_.dtype))),
        num_threads_(num_threads),
        groups_(MergedGroups::Of(conv_, conv_.out_channels_per_group(), kernels.lanes)),
        panels_(groups_.out_channels, kernels.lanes),
        convolution_(ForwardTaps(conv_.window)) {
    const ChannelChunks chunks = ChannelChunks::Of(groups_.in_channels);
    for (int64_t c = 0; c < chunks.count(); ++c) {
      Slab slab(convolution_, convolution_.phases[0], chunks.length(c));
      std::vector<Run> runs = slab.Runs(int64_t{1} << 62).front();
      chunks_.push_back({chunks.first(c), depth_, slab, std::move(runs)});
      depth_ += static_cast<int64_t>(slab.taps().size()) * slab.channels();
    }
    CutWork();
    const int64_t slot_elements = groups_.count * panels_.padded_channels() * depth_;
    sums_offset_ = layout_.Add(slots_ * slot_elements * acc_bytes_);
    bias_sums_offset_ =
        layout_.Add(slots_ * groups_.count * panels_.padded_channels() * acc_bytes_);
    for (int worker = 0; worker < num_threads_; ++worker) {
      slab_offsets_.push_back(layout_.Add(unit_images_ * slab_image_elements() * acc_bytes_));
      dz_offsets_.push_back(layout_.Add(unit_images_ * unit_rows_ * conv_.window.w.out *
                                        panels_per_item_ * panels_.width(0) * acc_bytes_));
    }
  }

  const char* implementation() const override { return name_; }
  size_t workspace_bytes() const override { return layout_.bytes(); }

  Status Execute(const Conv2DArgs& args, void* workspace, ThreadPool* pool) const override {
    const int64_t panel_ranges = (panels_.count() + panels_per_item_ - 1) / panels_per_item_;
    ParallelFor(pool, num_threads_, slots_ * groups_.count * panel_ranges,
                [&](int64_t item, int worker) {
                  const int64_t slot = item % slots_;
                  const int64_t first = item / slots_ % panel_ranges * panels_per_item_;
                  const int64_t group = item / slots_ / panel_ranges;
                  SumSlot(args, slot, group, first, worker, workspace);
                });
    const int64_t panels = groups_.count * panels_.count();
    const int workers = slots_ * depth_ * panels < (1 << 14) ? 1 : num_threads_;
    ParallelFor(pool, workers, panels, [&](int64_t item, int) {
      FinishPanel(args, item / panels_.count(), item % panels_.count(), workspace);
    });
    return Status();
  }

 private:
  struct Chunk {
    int64_t first_channel;
    int64_t depth_offset;
    Slab slab;
    std::vector<Run> runs;
  };

  void CutWork() {
    const WindowAxis& h = conv_.window.h;
    const int64_t cols = conv_.window.w.out;
    const int64_t filter_bytes =
        std::max<int64_t>(groups_.count * panels_.padded_channels() * depth_ * acc_bytes_, 1);
    const int64_t affordable = std::max<int64_t>(kPartialSumsBytes / filter_bytes, 1);
    const int64_t wanted = kSlotsPerThread * num_threads_;
    slots_ = std::min(affordable, wanted);
    const int64_t ranges =
        slots_ >= num_threads_ ? 1 : std::min(panels_.count(), (wanted + slots_ - 1) / slots_);
    panels_per_item_ = (panels_.count() + ranges - 1) / ranges;
    const int64_t dz_width = panels_per_item_ * panels_.width(0);
    const auto unit_bytes = [&](int64_t rows) {
      return (chunks_.front().slab.elements(rows) + rows * cols * dz_width) * acc_bytes_;
    };
    unit_rows_ = std::clamp<int64_t>(kPixelsPerUnit / cols, 1, h.out);
    while (unit_rows_ > 1 && unit_bytes(unit_rows_) > kUnitBytes) unit_rows_ = (unit_rows_ + 1) / 2;
    if (unit_rows_ == h.out) {
      unit_images_ = std::min({kPixelsPerUnit / (h.out * cols), kUnitBytes / unit_bytes(h.out),
                               (conv_.batch + slots_ - 1) / slots_});
      unit_images_ = std::max<int64_t>(unit_images_, 1);
    }
    units_per_image_group_ = (h.out + unit_rows_ - 1) / unit_rows_;
    units_ = (conv_.batch + unit_images_ - 1) / unit_images_ * units_per_image_group_;
    slots_ = std::max<int64_t>(std::min(slots_, units_), 1);
  }

  int64_t slab_image_elements() const { return chunks_.front().slab.elements(unit_rows_); }

  // Sums of a slot: [group][panel][depth][width].
  void* Sums(void* workspace, int64_t slot, int64_t group, int64_t panel) const {
    const int64_t channels =
        (slot * groups_.count + group) * panels_.padded_channels() + panels_.first_channel(panel);
    return At(workspace, sums_offset_ + channels * depth_ * acc_bytes_);
  }
  void* BiasSums(void* workspace, int64_t slot, int64_t group, int64_t panel) const {
    const int64_t channels =
        (slot * groups_.count + group) * panels_.padded_channels() + panels_.first_channel(panel);
    return At(workspace, bias_sums_offset_ + channels * acc_bytes_);
  }

  void SumSlot(const Conv2DArgs& args, int64_t slot, int64_t group, int64_t first_panel, int worker,
               void* workspace) const {
    const int64_t end_panel = std::min(first_panel + panels_per_item_, panels_.count());
    for (int64_t panel = first_panel; panel < end_panel; ++panel) {
      const int64_t width = panels_.width(panel);
      std::memset(Sums(workspace, slot, group, panel), 0, depth_ * width * acc_bytes_);
      std::memset(BiasSums(workspace, slot, group, panel), 0, width * acc_bytes_);
    }
    const int64_t end_unit = units_ * (slot + 1) / slots_;
    for (int64_t unit = units_ * slot / slots_; unit < end_unit; ++unit) {
      SumUnit(args, slot, group, first_panel, end_panel, unit, worker, workspace);
    }
  }

  void SumUnit(const Conv2DArgs& args, int64_t slot, int64_t group, int64_t first_panel,
               int64_t end_panel, int64_t unit, int worker, void* workspace) const {
    const Window2D& window = conv_.window;
    const int64_t cols = window.w.out;
    const int64_t first_image = unit / units_per_image_group_ * unit_images_;
    const int64_t images = std::min(unit_images_, conv_.batch - first_image);
    const int64_t first_row = unit % units_per_image_group_ * unit_rows_;
    const int64_t rows = std::min(unit_rows_, window.h.out - first_row);
    const Band band{first_row, rows};
    const int64_t pixels = images * rows * cols;
    const auto dz_of = [&](int64_t panel) {
      const int64_t offset = (panel - first_panel) * pixels * panels_.width(0);
      return At(At(workspace, dz_offsets_[worker]), offset, acc_bytes_);
    };
    for (int64_t panel = first_panel; panel < end_panel; ++panel) {
      const int64_t width = panels_.width(panel);
      for (int64_t image = 0; image < images; ++image) {
        LoadGradientRows(kernels_, conv_, epilogue_, args, first_image + image,
                         group * groups_.out_channels + panels_.first_channel(panel),
                         panels_.channels(panel), width, band,
                         At(dz_of(panel), image * rows * cols * width, acc_bytes_));
      }
      if (args.dbias == nullptr) continue;
      kernels_.add_rows(
          {dz_of(panel), width, BiasSums(workspace, slot, group, panel), pixels, width});
    }
    void* slab_data = At(workspace, slab_offsets_[worker]);
    for (const Chunk& chunk : chunks_) {
      const int64_t image_stride = chunk.slab.elements(rows);
      for (int64_t image = 0; image < images; ++image) {
        const auto load_row = [&](const Slab::Row& row) {
          LoadInputRow(kernels_, conv_, args.x, first_image + image,
                       group * groups_.in_channels + chunk.first_channel, chunk.slab.channels(),
                       row);
        };
        chunk.slab.Fill(band, acc_bytes_, At(slab_data, image * image_stride, acc_bytes_),
                        load_row);
      }
      for (int64_t panel = first_panel; panel < end_panel; ++panel) {
        void* sums = At(Sums(workspace, slot, group, panel),
                        chunk.depth_offset * panels_.width(panel), acc_bytes_);
        kernels_.filter_grad({slab_data, image_stride, chunk.slab.output_row_stride(),
                              chunk.slab.pixel_stride(), chunk.runs.data(),
                              static_cast<int64_t>(chunk.runs.size()), chunk.slab.filled(band),
                              dz_of(panel), panels_.vectors(panel), sums, images, rows, cols});
      }
    }
  }

  // Adds up the slots in order and writes the panel's channels of dfilter and dbias.
  void FinishPanel(const Conv2DArgs& args, int64_t group, int64_t panel, void* workspace) const {
    const int64_t width = panels_.width(panel), channels = panels_.channels(panel);
    const int64_t first_channel = panels_.first_channel(panel);
    const int64_t column = group * groups_.out_channels + first_channel;
    const int64_t slot_stride = groups_.count * panels_.padded_channels();
    void* sums = Sums(workspace, 0, group, panel);
    void* bias_sums = BiasSums(workspace, 0, group, panel);
    if (slots_ > 1) {
      kernels_.add_rows({Sums(workspace, 1, group, panel), slot_stride * depth_, sums, slots_ - 1,
                         depth_ * width});
      kernels_.add_rows(
          {BiasSums(workspace, 1, group, panel), slot_stride, bias_sums, slots_ - 1, width});
    }
    for (const Chunk& chunk : chunks_) {
      const void* rows = At(sums, chunk.depth_offset * width, acc_bytes_);
      for (const Tap& tap : chunk.slab.taps()) {
        ForEachFilterBlock(conv_, groups_, group, chunk.first_channel, chunk.slab.channels(),
                           first_channel, channels, [&](const FilterBlock& block) {
                             const int64_t at = (block.in - chunk.first_channel) * width +
                                                block.out - first_channel;
                             kernels_.store_rows(
                                 {At(rows, at, acc_bytes_), width,
                                  At(args.dfilter, FilterOffset(conv_, tap, block), element_bytes_),
                                  conv_.out_channels, block.in_count, block.out_count});
                           });
        rows = At(rows, chunk.slab.channels() * width, acc_bytes_);
      }
    }
    if (args.dbias != nullptr) {
      kernels_.store_rows({bias_sums, width, At(args.dbias, column, element_bytes_),
                           conv_.out_channels, 1, channels});
    }
  }

  const char* name_;
  const Kernels& kernels_;
  const Conv2DProblem conv_;
  const Epilogue epilogue_;
  const int64_t element_bytes_, acc_bytes_;
  const int num_threads_;
  const MergedGroups groups_;
  const Panels panels_;
  const TapConvolution convolution_;
  std::vector<Chunk> chunks_;
  int64_t depth_ = 0;  // elements of a filter per output channel
  int64_t slots_ = 1, panels_per_item_ = 1;
  int64_t unit_images_ = 1, unit_rows_ = 1, units_per_image_group_ = 1, units_ = 0;
  WorkspaceLayout layout_;
  size_t sums_offset_ = 0, bias_sums_offset_ = 0;
  std::vector<size_t> slab_offsets_, dz_offsets_;  // per worker
};

}  // namespace

std::unique_ptr<Conv2DPlan> MakeImplicitGemmBackwardFilter(const char* name, const Kernels& kernels,
                                                           const FusedConv2DProblem& problem,
                                                           int num_threads) {
  return std::make_unique<ImplicitGemmBackwardFilter>(name, kernels, problem, num_threads);
}

}  // namespace fastconv::cpu
