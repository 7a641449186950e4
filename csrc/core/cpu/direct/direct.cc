#include "core/cpu/direct/direct.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "core/cpu/workspace.h"

namespace fastconv::cpu {
namespace {

constexpr int64_t kMaxDepth = 160;  // products per output: a panel of the filter takes 20 KiB

class Direct final : public TapAlgorithm {
 public:
  explicit Direct(TapProblem problem);

  size_t workspace_bytes() const override { return layout_.bytes(); }
  const Panels& panels() const override { return panels_; }
  const std::vector<Band>& bands(int64_t) const override { return bands_; }
  void Run(const Callbacks& callbacks, void* workspace, ThreadPool* pool) const override;

 private:
  const Phase& phase() const { return problem_.convolution.phases[0]; }
  void LoadPanels(const Callbacks& callbacks, void* workspace) const;
  void RunItem(const Callbacks& callbacks, int64_t item, int worker, void* workspace) const;
  void WriteBand(const Callbacks& callbacks, const ConvRowsArgs& products, int64_t image,
                 const Band& band, int64_t panel) const;

  const TapProblem problem_;
  const Kernels& kernels_;
  const Panels panels_;
  const int64_t acc_bytes_;
  const Slab slab_;
  const std::vector<cpu::Run> runs_;
  const int64_t depth_;  // products per output
  std::vector<Band> bands_;
  WorkspaceLayout layout_;
  size_t panels_offset_ = 0;
  std::vector<size_t> slab_offsets_, sums_offsets_;  // per worker
};

Direct::Direct(TapProblem problem)
    : problem_(std::move(problem)),
      kernels_(problem_.kernels),
      panels_(problem_.out_channels, kernels_.lanes),
      acc_bytes_(SizeOf(AccumulationType(kernels_.dtype))),
      slab_(problem_.convolution, phase(), problem_.in_channels),
      runs_(slab_.Runs(kMaxDepth).front()),
      depth_(static_cast<int64_t>(phase().taps.size()) * problem_.in_channels) {
  const int64_t width = panels_.width(0);
  const int64_t rows = RowsPerBand(phase(), slab_, phase().cols * width * acc_bytes_, acc_bytes_,
                                   problem_.batch, problem_.num_threads);
  bands_ = problem_.split(phase(), rows);
  int64_t max_rows = 0;
  for (const Band& band : bands_) max_rows = std::max(max_rows, band.rows);
  panels_offset_ = layout_.Add(depth_ * panels_.padded_channels() * acc_bytes_);
  for (int worker = 0; worker < problem_.num_threads; ++worker) {
    slab_offsets_.push_back(layout_.Add(slab_.elements(max_rows) * acc_bytes_));
    sums_offsets_.push_back(layout_.Add(max_rows * phase().cols * width * acc_bytes_));
  }
}

void Direct::LoadPanels(const Callbacks& callbacks, void* workspace) const {
  for (int64_t panel = 0; panel < panels_.count(); ++panel) {
    void* to = At(At(workspace, panels_offset_), panels_.first_channel(panel) * depth_, acc_bytes_);
    for (const Tap& tap : slab_.taps()) {
      callbacks.load_panel({&tap, 0, 0, problem_.in_channels, panels_.first_channel(panel),
                            panels_.channels(panel), panels_.width(panel), to});
      to = At(to, problem_.in_channels * panels_.width(panel), acc_bytes_);
    }
  }
}

void Direct::WriteBand(const Callbacks& callbacks, const ConvRowsArgs& products, int64_t image,
                       const Band& band, int64_t panel) const {
  const OutputPlace place = callbacks.output(image, band.first_row, panels_.first_channel(panel));
  const DirectRowsArgs args{
      products,   panels_.channels(panel), place.stage,        place.y,
      place.code, place.row_stride,        place.pixel_stride, place.around_caches};
  (place.pool ? kernels_.direct_pool : kernels_.direct_map)(args);
}

void Direct::RunItem(const Callbacks& callbacks, int64_t item, int worker, void* workspace) const {
  const int64_t bands = bands_.size();
  const int64_t image = item / bands, band_index = item % bands;
  const Band& band = bands_[band_index];
  void* slab = At(workspace, slab_offsets_[worker]);
  slab_.Fill(band, acc_bytes_, slab, [&](const Slab::Row& row) {
    callbacks.load_row({image, 0, 0, problem_.in_channels, row});
  });
  for (int64_t panel = 0; panel < panels_.count(); ++panel) {
    void* sums = callbacks.output ? nullptr : At(workspace, sums_offsets_[worker]);
    const int64_t first_out = panels_.first_channel(panel);
    const ConvRowsArgs products{slab,
                                slab_.output_row_stride(),
                                slab_.pixel_stride(),
                                runs_.data(),
                                static_cast<int64_t>(runs_.size()),
                                slab_.filled(band),
                                At(At(workspace, panels_offset_), first_out * depth_, acc_bytes_),
                                panels_.vectors(panel),
                                sums,
                                band.rows,
                                phase().cols,
                                /*accumulate=*/false};
    if (callbacks.output) {
      WriteBand(callbacks, products, image, band, panel);
    } else {
      kernels_.conv_rows(products);
    }
    callbacks.consume_sums({&phase(), image, 0, band_index, band, first_out,
                            panels_.channels(panel), panels_.width(panel), sums});
  }
}

void Direct::Run(const Callbacks& callbacks, void* workspace, ThreadPool* pool) const {
  const int64_t items = problem_.batch * static_cast<int64_t>(bands_.size());
  if (items == 0) return;
  LoadPanels(callbacks, workspace);
  ParallelFor(pool, problem_.num_threads, items,
              [&](int64_t item, int worker) { RunItem(callbacks, item, worker, workspace); });
}

}  // namespace

std::string DirectForwardInability(const FusedConv2DProblem& problem) {
  const Conv2DProblem& conv = problem.conv;
  if (conv.groups != 1) return "not for groups";
  const int64_t depth = conv.window.h.window * conv.window.w.window * conv.in_channels;
  return depth > kMaxDepth ? "only for up to " + std::to_string(kMaxDepth) + " products per output"
                           : "";
}

std::string DirectDisadvantage(Conv2DPass, const FusedConv2DProblem& problem) {
  constexpr int64_t kMinPixels = 64;
  const Window2D& window = problem.conv.window;
  return window.h.out * window.w.out < kMinPixels ? "maps too small to pay for a call each" : "";
}

std::unique_ptr<TapAlgorithm> MakeDirect(TapProblem problem) {
  return std::make_unique<Direct>(std::move(problem));
}

}  // namespace fastconv::cpu
