#include "core/cpu/few_outputs/few_outputs.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "core/cpu/workspace.h"

namespace fastconv::cpu {
namespace {

constexpr int64_t kProductsBytes = 256 << 10;  // of a band, in the second level of cache
constexpr int64_t kItemsPerThread = 4;

// Vectors hold (tap, output channel) pairs: each input pixel is multiplied with the filters of all
// taps in one matrix product, and an output is the sum of its taps' products. All that is
// multiplied is used, at the price of adding in memory.
class FewOutputs final : public TapAlgorithm {
 public:
  explicit FewOutputs(TapProblem problem);

  size_t workspace_bytes() const override { return layout_.bytes(); }
  const Panels& panels() const override { return panels_; }
  const std::vector<Band>& bands(int64_t phase) const override { return parts_[phase].bands; }
  void Run(const Callbacks& callbacks, void* workspace, ThreadPool* pool) const override;

 private:
  // Neighbouring taps, one panel of the matrix product.
  struct TapPanel {
    int64_t first_tap, num_taps;
    int64_t vectors, width;
    int64_t filter_offset;         // elements, from those of the phase: [input channel][width]
    int64_t products_offset;       // elements, per pixel of the band: times its pixels
    std::vector<int64_t> offsets;  // of each tap's products from those of the output pixel
  };
  // Products of a band cover what its outputs read, in the image or not: `rows` more rows than the
  // band has, columns from min_col on.
  struct Part {  // of one phase
    int64_t min_row = 0, min_col = 0;
    int64_t rows = 0, cols = 0;
    std::vector<TapPanel> panels;
    int64_t filter_elements = 0, products_pixel = 0;
    std::vector<Band> bands;
    size_t filter_offset = 0;
  };

  Part MakePart(const Phase& phase) const;
  int64_t Items(const Part& part) const {
    return problem_.batch * static_cast<int64_t>(part.bands.size());
  }
  void LoadFilter(const Callbacks& callbacks, void* workspace) const;
  void Multiply(const Callbacks& callbacks, const Part& part, int64_t image, const Band& band,
                int worker, void* workspace) const;
  void RunItem(const Callbacks& callbacks, int64_t item, int worker, void* workspace) const;

  const TapProblem problem_;
  const Kernels& kernels_;
  const Panels panels_;
  const int64_t acc_bytes_;
  const ChannelChunks chunks_;
  std::vector<Part> parts_;
  WorkspaceLayout layout_;
  size_t tap_filter_offset_ = 0;
  std::vector<size_t> row_offsets_, products_offsets_, sums_offsets_;  // per worker
};

FewOutputs::FewOutputs(TapProblem problem)
    : problem_(std::move(problem)),
      kernels_(problem_.kernels),
      panels_(problem_.out_channels, kernels_.lanes),
      acc_bytes_(SizeOf(AccumulationType(kernels_.dtype))),
      chunks_(ChannelChunks::Of(problem_.in_channels)) {
  int64_t products_elements = 0, sums_elements = 0;
  for (const Phase& phase : problem_.convolution.phases) {
    Part part = MakePart(phase);
    part.filter_offset = layout_.Add(part.filter_elements * acc_bytes_);
    for (const Band& band : part.bands) {
      const int64_t pixels = (band.rows + part.rows) * part.cols;
      products_elements =
          std::max(products_elements, pixels * part.products_pixel + kAddTapsChannels);
      sums_elements = std::max(sums_elements, band.rows * phase.cols * kAddTapsChannels);
    }
    parts_.push_back(std::move(part));
  }
  tap_filter_offset_ = layout_.Add(problem_.in_channels * problem_.out_channels * acc_bytes_);
  for (int worker = 0; worker < problem_.num_threads; ++worker) {
    row_offsets_.push_back(layout_.Add(problem_.convolution.in_cols * chunks_.size * acc_bytes_));
    products_offsets_.push_back(layout_.Add(products_elements * acc_bytes_));
    sums_offsets_.push_back(layout_.Add(sums_elements * acc_bytes_));
  }
}

FewOutputs::Part FewOutputs::MakePart(const Phase& phase) const {
  Part part;
  const std::vector<Tap>& taps = phase.taps;
  const int64_t num_taps = taps.size();
  if (num_taps > 0) {
    const auto by_row = [](const Tap& a, const Tap& b) { return a.row < b.row; };
    const auto by_col = [](const Tap& a, const Tap& b) { return a.col < b.col; };
    const auto [min_row, max_row] = std::minmax_element(taps.begin(), taps.end(), by_row);
    const auto [min_col, max_col] = std::minmax_element(taps.begin(), taps.end(), by_col);
    part.min_row = min_row->row;
    part.min_col = min_col->col;
    part.rows = max_row->row - min_row->row;
    part.cols = phase.cols + max_col->col - min_col->col;
  }
  const int64_t lanes = kernels_.lanes, channels = problem_.out_channels;
  const int64_t taps_per_panel = std::max<int64_t>(2 * lanes / channels, 1);
  for (int64_t first = 0; first < num_taps; first += taps_per_panel) {
    TapPanel panel;
    panel.first_tap = first;
    panel.num_taps = std::min(taps_per_panel, num_taps - first);
    panel.vectors = panel.num_taps * channels <= lanes ? 1 : 2;
    panel.width = panel.vectors * lanes;
    panel.filter_offset = part.filter_elements;
    panel.products_offset = part.products_pixel;
    for (int64_t t = 0; t < panel.num_taps; ++t) {
      const Tap& tap = taps[first + t];
      const int64_t pixel = (tap.row - part.min_row) * part.cols + tap.col - part.min_col;
      panel.offsets.push_back(pixel * panel.width + t * channels);
    }
    part.filter_elements += problem_.in_channels * panel.width;
    part.products_pixel += panel.width;
    part.panels.push_back(std::move(panel));
  }
  const int64_t row_bytes = std::max<int64_t>(part.cols * part.products_pixel * acc_bytes_, 1);
  const int64_t wanted_items = kItemsPerThread * problem_.num_threads;
  const int64_t bands_wanted =
      (wanted_items + problem_.batch - 1) / std::max<int64_t>(problem_.batch, 1);
  const int64_t rows = std::min(kProductsBytes / row_bytes - part.rows,
                                phase.rows / std::max<int64_t>(bands_wanted, 1));
  part.bands = problem_.split(phase, std::clamp<int64_t>(rows, 1, phase.rows));
  return part;
}

void FewOutputs::LoadFilter(const Callbacks& callbacks, void* workspace) const {
  void* tap_filter = At(workspace, tap_filter_offset_);
  const int64_t channels = problem_.out_channels, depth = problem_.in_channels;
  for (size_t p = 0; p < parts_.size(); ++p) {
    const std::vector<Tap>& taps = problem_.convolution.phases[p].taps;
    void* filter = At(workspace, parts_[p].filter_offset);
    std::memset(filter, 0, parts_[p].filter_elements * acc_bytes_);
    for (const TapPanel& panel : parts_[p].panels) {
      for (int64_t t = 0; t < panel.num_taps; ++t) {
        callbacks.load_panel(
            {&taps[panel.first_tap + t], 0, 0, depth, 0, channels, channels, tap_filter});
        for (int64_t d = 0; d < depth; ++d) {
          std::memcpy(At(filter, panel.filter_offset + d * panel.width + t * channels, acc_bytes_),
                      At(tap_filter, d * channels, acc_bytes_), channels * acc_bytes_);
        }
      }
    }
  }
}

// Products of the inputs that the band reads; zeros around the image.
void FewOutputs::Multiply(const Callbacks& callbacks, const Part& part, int64_t image,
                          const Band& band, int worker, void* workspace) const {
  const int64_t in_rows = problem_.convolution.in_rows, in_cols = problem_.convolution.in_cols;
  const int64_t rows = band.rows + part.rows;
  const int64_t first_row = band.first_row + part.min_row;
  const int64_t begin = std::clamp<int64_t>(-part.min_col, 0, part.cols);
  const int64_t end = std::clamp<int64_t>(in_cols - part.min_col, begin, part.cols);
  void* products = At(workspace, products_offsets_[worker]);
  void* inputs = At(workspace, row_offsets_[worker]);
  for (int64_t row = 0; row < rows; ++row) {
    const bool in_image = first_row + row >= 0 && first_row + row < in_rows && begin < end;
    for (const TapPanel& panel : part.panels) {
      const auto pixel = [&](int64_t col) {
        return At(products,
                  panel.products_offset * rows * part.cols + (row * part.cols + col) * panel.width,
                  acc_bytes_);
      };
      const int64_t pixel_bytes = panel.width * acc_bytes_;
      std::memset(pixel(0), 0, (in_image ? begin : part.cols) * pixel_bytes);
      if (in_image) std::memset(pixel(end), 0, (part.cols - end) * pixel_bytes);
    }
    if (!in_image) continue;
    for (int64_t c = 0; c < chunks_.count(); ++c) {
      const int64_t channels = chunks_.length(c);
      callbacks.load_row(
          {image, 0, chunks_.first(c), channels, {first_row + row, 0, in_cols, 1, inputs}});
      const cpu::Run run{0, channels, 0};
      for (const TapPanel& panel : part.panels) {
        const int64_t to =
            panel.products_offset * rows * part.cols + (row * part.cols + begin) * panel.width;
        kernels_.conv_rows({At(inputs, (begin + part.min_col) * channels, acc_bytes_), 0, channels,
                            &run, 1, FilledRows{0, 1, 0},
                            At(At(workspace, part.filter_offset),
                               panel.filter_offset + chunks_.first(c) * panel.width, acc_bytes_),
                            panel.vectors, At(products, to, acc_bytes_), 1, end - begin,
                            /*accumulate=*/c > 0});
      }
    }
  }
}

void FewOutputs::RunItem(const Callbacks& callbacks, int64_t item, int worker,
                         void* workspace) const {
  size_t p = 0;
  while (item >= Items(parts_[p])) item -= Items(parts_[p++]);
  const Part& part = parts_[p];
  const Phase& phase = problem_.convolution.phases[p];
  const int64_t num_bands = part.bands.size();
  const int64_t image = item / num_bands, band_index = item % num_bands;
  const Band& band = part.bands[band_index];
  void* sums = At(workspace, sums_offsets_[worker]);
  if (part.panels.empty()) {
    std::memset(sums, 0, band.rows * phase.cols * kAddTapsChannels * acc_bytes_);
  } else {
    Multiply(callbacks, part, image, band, worker, workspace);
  }
  const int64_t pixels = (band.rows + part.rows) * part.cols;
  for (const TapPanel& panel : part.panels) {
    kernels_.add_taps(
        {At(At(workspace, products_offsets_[worker]), panel.products_offset * pixels, acc_bytes_),
         part.cols * panel.width, panel.width, panel.offsets.data(), panel.num_taps, sums,
         band.rows, phase.cols,
         /*accumulate=*/panel.first_tap > 0});
  }
  callbacks.consume_sums(
      {&phase, image, 0, band_index, band, 0, problem_.out_channels, kAddTapsChannels, sums});
}

void FewOutputs::Run(const Callbacks& callbacks, void* workspace, ThreadPool* pool) const {
  int64_t items = 0;
  for (const Part& part : parts_) items += Items(part);
  if (items == 0) return;
  LoadFilter(callbacks, workspace);
  ParallelFor(pool, problem_.num_threads, items,
              [&](int64_t item, int worker) { RunItem(callbacks, item, worker, workspace); });
}

std::string Inability(const Conv2DProblem& conv, int64_t out_channels) {
  if (conv.groups != 1) return "not for groups";
  return out_channels > kAddTapsChannels ? "only for up to 4 channels of the result" : "";
}

}  // namespace

std::string FewOutputsForwardInability(const FusedConv2DProblem& problem) {
  const Window2D& window = problem.conv.window;
  if (window.h.stride != 1 || window.w.stride != 1) return "not for strides";
  return Inability(problem.conv, problem.conv.out_channels);
}

std::string FewOutputsBackwardInputInability(const FusedConv2DProblem& problem) {
  return Inability(problem.conv, problem.conv.in_channels);
}

std::string FewOutputsDisadvantage(Conv2DPass pass, const FusedConv2DProblem& problem) {
  constexpr int64_t kMinInputs = 16;
  const Conv2DProblem& conv = problem.conv;
  if (conv.window.h.window * conv.window.w.window == 1) return "no taps to share a vector";
  const int64_t in_channels = pass == Conv2DPass::kForward ? conv.in_channels : conv.out_channels;
  return in_channels < kMinInputs ? "sums too short to pay for adding in memory" : "";
}

std::unique_ptr<TapAlgorithm> MakeFewOutputs(TapProblem problem) {
  return std::make_unique<FewOutputs>(std::move(problem));
}

}  // namespace fastconv::cpu
