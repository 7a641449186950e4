// The general algorithm: packs bands of the input into slabs and multiplies them with packed filter
// panels. Every size, stride, dilation, group count, padding and type.
#include "core/cpu/implicit_gemm/implicit_gemm.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/cpu/conv2d/tap_algorithm.h"
#include "core/cpu/workspace.h"

namespace fastconv::cpu {
namespace {

// With slab and sums (RowsPerBand) the panel part in use fits a 1 MiB second level of cache.
constexpr int64_t kPanelBytes = 256 << 10;

class ImplicitGemm final : public TapAlgorithm {
 public:
  explicit ImplicitGemm(TapProblem problem);

  size_t workspace_bytes() const override { return layout_.bytes(); }
  const Panels& panels() const override { return panels_; }
  const std::vector<Band>& bands(int64_t phase) const override { return parts_[phase].bands; }
  void Run(const Callbacks& callbacks, void* workspace, ThreadPool* pool) const override;

 private:
  struct Chunk {
    int64_t first_channel;
    int64_t panel_depth_offset;  // elements of the reduction before this chunk
    Slab slab;
    std::vector<std::vector<cpu::Run>> runs;
  };
  struct Part {  // of one phase
    std::vector<Chunk> chunks;
    std::vector<Band> bands;
    int64_t depth;           // elements of the reduction
    int64_t panel_elements;  // of all groups
    size_t panels_offset;
  };

  int64_t Items(int64_t phase) const {
    return problem_.groups * problem_.batch * parts_[phase].bands.size();
  }
  void LoadPanels(const Callbacks& callbacks, void* workspace, ThreadPool* pool) const;
  void RunItem(const Callbacks& callbacks, int64_t item, int worker, void* workspace) const;
  void* Panel(const Part& part, int64_t group, int64_t panel, void* workspace) const;

  const TapProblem problem_;
  const Kernels& kernels_;
  const Panels panels_;
  const int64_t acc_bytes_;  // of one accumulator element
  std::vector<Part> parts_;
  WorkspaceLayout layout_;
  std::vector<size_t> slab_offsets_, sums_offsets_;  // per worker
  int64_t sums_panel_stride_ = 0;  // elements between panels' sums; 0: one buffer for all
};

ImplicitGemm::ImplicitGemm(TapProblem problem)
    : problem_(std::move(problem)),
      kernels_(problem_.kernels),
      panels_(problem_.out_channels, kernels_.lanes),
      acc_bytes_(SizeOf(AccumulationType(kernels_.dtype))) {
  const ChannelChunks chunks = ChannelChunks::Of(problem_.in_channels);
  const int64_t width = panels_.width(0);
  const int64_t sums_pixel = chunks.count() > 1 ? panels_.padded_channels() : width;
  const int64_t max_depth = std::max<int64_t>(kPanelBytes / (width * acc_bytes_), 1);
  int64_t slab_elements = 0, max_pixels = 0;
  for (const Phase& phase : problem_.convolution.phases) {
    Part part;
    part.depth = 0;
    for (int64_t c = 0; c < chunks.count(); ++c) {
      Slab slab(problem_.convolution, phase, chunks.length(c));
      std::vector<std::vector<cpu::Run>> runs = slab.Runs(max_depth);
      part.chunks.push_back({chunks.first(c), part.depth, slab, std::move(runs)});
      part.depth += static_cast<int64_t>(phase.taps.size()) * chunks.length(c);
    }
    const Slab& slab = part.chunks.front().slab;  // the first chunk is the largest
    const int64_t rows = RowsPerBand(phase, slab, phase.cols * sums_pixel * acc_bytes_, acc_bytes_,
                                     problem_.batch * problem_.groups, problem_.num_threads);
    part.bands = problem_.split(phase, rows);
    for (const Band& band : part.bands) {
      slab_elements = std::max(slab_elements, slab.elements(band.rows));
      max_pixels = std::max(max_pixels, band.rows * phase.cols);
    }
    part.panel_elements = problem_.groups * part.depth * panels_.padded_channels();
    part.panels_offset = layout_.Add(part.panel_elements * acc_bytes_);
    parts_.push_back(std::move(part));
  }
  if (chunks.count() > 1) sums_panel_stride_ = max_pixels * width;
  for (int worker = 0; worker < problem_.num_threads; ++worker) {
    slab_offsets_.push_back(layout_.Add(slab_elements * acc_bytes_));
    sums_offsets_.push_back(layout_.Add(max_pixels * sums_pixel * acc_bytes_));
  }
}

void* ImplicitGemm::Panel(const Part& part, int64_t group, int64_t panel, void* workspace) const {
  const int64_t channels = group * panels_.padded_channels() + panels_.first_channel(panel);
  return At(workspace, part.panels_offset + channels * part.depth * acc_bytes_);
}

void ImplicitGemm::LoadPanels(const Callbacks& callbacks, void* workspace, ThreadPool* pool) const {
  for (const Part& part : parts_) {
    if (part.depth == 0) continue;
    // One item per (group, panel, tap).
    const std::vector<Tap>& taps = part.chunks.front().slab.taps();
    const int64_t num_taps = taps.size();
    const auto load = [&](int64_t item, int) {
      const int64_t tap = item % num_taps;
      const int64_t panel = item / num_taps % panels_.count();
      const int64_t group = item / num_taps / panels_.count();
      const int64_t width = panels_.width(panel);
      for (const Chunk& chunk : part.chunks) {
        const int64_t depth = chunk.slab.channels();
        const int64_t row = chunk.panel_depth_offset + tap * depth;
        callbacks.load_panel({&taps[tap], group, chunk.first_channel, depth,
                              panels_.first_channel(panel), panels_.channels(panel), width,
                              At(Panel(part, group, panel, workspace), row * width, acc_bytes_)});
      }
    };
    // Waking workers costs more than a small filter.
    constexpr int64_t kSmall = 16 << 10;
    const int workers = part.panel_elements < kSmall ? 1 : problem_.num_threads;
    ParallelFor(pool, workers, problem_.groups * panels_.count() * num_taps, load);
  }
}

void ImplicitGemm::RunItem(const Callbacks& callbacks, int64_t item, int worker,
                           void* workspace) const {
  size_t p = 0;
  while (item >= Items(p)) item -= Items(p++);
  const Part& part = parts_[p];
  const Phase& phase = problem_.convolution.phases[p];
  const int64_t bands = part.bands.size();
  const int64_t band_index = item % bands;
  const int64_t image = item / bands % problem_.batch;
  const int64_t group = item / bands / problem_.batch;
  const Band& band = part.bands[band_index];
  void* slab_data = At(workspace, slab_offsets_[worker]);
  void* sums = At(workspace, sums_offsets_[worker]);
  for (const Chunk& chunk : part.chunks) {
    const bool first = &chunk == &part.chunks.front();
    const bool last = &chunk == &part.chunks.back();
    chunk.slab.Fill(band, acc_bytes_, slab_data, [&](const Slab::Row& row) {
      callbacks.load_row({image, group, chunk.first_channel, chunk.slab.channels(), row});
    });
    const FilledRows filled = chunk.slab.filled(band);
    for (int64_t panel = 0; panel < panels_.count(); ++panel) {
      const int64_t width = panels_.width(panel);
      void* acc = At(sums, panel * sums_panel_stride_, acc_bytes_);
      const void* operand =
          At(Panel(part, group, panel, workspace), chunk.panel_depth_offset * width, acc_bytes_);
      if (part.depth == 0) std::memset(acc, 0, band.rows * phase.cols * width * acc_bytes_);
      bool accumulate = !first;
      for (const std::vector<cpu::Run>& runs : chunk.runs) {
        kernels_.conv_rows({slab_data, chunk.slab.output_row_stride(), chunk.slab.pixel_stride(),
                            runs.data(), static_cast<int64_t>(runs.size()), filled, operand,
                            panels_.vectors(panel), acc, band.rows, phase.cols, accumulate});
        for (const cpu::Run& run : runs) {
          operand = At(operand, run.length * width, acc_bytes_);
        }
        accumulate = true;
      }
      if (last) {
        callbacks.consume_sums({&phase, image, group, band_index, band,
                                panels_.first_channel(panel), panels_.channels(panel), width, acc});
      }
    }
  }
}

void ImplicitGemm::Run(const Callbacks& callbacks, void* workspace, ThreadPool* pool) const {
  int64_t items = 0;
  for (size_t p = 0; p < parts_.size(); ++p) items += Items(p);
  if (items == 0) return;
  LoadPanels(callbacks, workspace, pool);
  ParallelFor(pool, problem_.num_threads, items,
              [&](int64_t item, int worker) { RunItem(callbacks, item, worker, workspace); });
}

}  // namespace

std::unique_ptr<TapAlgorithm> MakeImplicitGemm(TapProblem problem) {
  return std::make_unique<ImplicitGemm>(std::move(problem));
}

}  // namespace fastconv::cpu
