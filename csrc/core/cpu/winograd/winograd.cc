#include "core/cpu/winograd/winograd.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "core/cpu/winograd/tiles.h"
#include "core/cpu/workspace.h"

namespace fastconv::cpu {
namespace {

constexpr int64_t kTilesPerItem = 42;      // three full register tiles of the matrix product
constexpr int64_t kDataBytes = 768 << 10;  // of the transformed input of one item
constexpr int64_t kItemsPerThread = 4;

// An item is one band of some neighbouring images: slab -> 36 planes of transformed input; then per
// panel of output channels 36 matrix products with the transformed filter, and back to the band's
// sums.
class Winograd final : public TapAlgorithm {
 public:
  explicit Winograd(TapProblem problem);

  size_t workspace_bytes() const override { return layout_.bytes(); }
  const Panels& panels() const override { return panels_; }
  const std::vector<Band>& bands(int64_t) const override { return bands_; }
  void Run(const Callbacks& callbacks, void* workspace, ThreadPool* pool) const override;

 private:
  const Phase& phase() const { return problem_.convolution.phases[0]; }
  void* FilterPanel(int64_t panel, void* workspace) const {
    const int64_t first = panels_.first_channel(panel) * problem_.in_channels * kTilePlanes;
    return At(workspace, filter_offset_ + first * acc_bytes_);
  }
  void TransformFilter(const Callbacks& callbacks, int64_t panel, int worker,
                       void* workspace) const;
  void RunItem(const Callbacks& callbacks, int64_t item, int worker, void* workspace) const;

  const TapProblem problem_;
  const Kernels& kernels_;
  const Panels panels_;
  const int64_t acc_bytes_;
  const int64_t tile_cols_;
  Slab slab_;  // of whole tiles
  std::vector<Band> bands_;
  int64_t images_per_item_ = 1;
  TilePlanes data_{0, 0};
  WorkspaceLayout layout_;
  size_t filter_offset_ = 0;
  std::vector<size_t> slab_offsets_, data_offsets_, products_offsets_, sums_offsets_;
};

Winograd::Winograd(TapProblem problem)
    : problem_(std::move(problem)),
      kernels_(problem_.kernels),
      panels_(problem_.out_channels, kernels_.lanes),
      acc_bytes_(SizeOf(AccumulationType(kernels_.dtype))),
      tile_cols_(TilesAlong(phase().cols)),
      slab_(problem_.convolution, WholeTiles(phase()), problem_.in_channels) {
  const int64_t tile_bytes = kTilePlanes * problem_.in_channels * acc_bytes_;
  const int64_t tiles = std::clamp<int64_t>(kDataBytes / tile_bytes, 1, kTilesPerItem);
  const int64_t tile_rows = std::clamp<int64_t>(tiles / tile_cols_, 1, TilesAlong(phase().rows));
  bands_ = problem_.split(phase(), tile_rows * kTileOutputs);
  int64_t max_rows = 0;
  for (const Band& band : bands_) max_rows = std::max(max_rows, band.rows);
  const int64_t band_tiles = TilesAlong(max_rows) * tile_cols_;
  if (bands_.size() == 1) {
    const int64_t items_wanted = kItemsPerThread * problem_.num_threads;
    images_per_item_ = std::clamp<int64_t>(tiles / band_tiles, 1,
                                           std::max<int64_t>(problem_.batch / items_wanted, 1));
  }
  data_ = TilePlanes(images_per_item_ * band_tiles, problem_.in_channels);
  const int64_t width = panels_.width(0);
  filter_offset_ =
      layout_.Add(kTilePlanes * problem_.in_channels * panels_.padded_channels() * acc_bytes_);
  const int64_t taps = kWinogradTaps * kWinogradTaps;
  const int64_t slab_elements = slab_.elements(TilesAlong(max_rows) * kTileOutputs);
  for (int worker = 0; worker < problem_.num_threads; ++worker) {
    // The slab's place also holds a panel of the filter before its transformation.
    slab_offsets_.push_back(
        layout_.Add(std::max(slab_elements, taps * problem_.in_channels * width) * acc_bytes_));
    data_offsets_.push_back(layout_.Add(data_.elements() * acc_bytes_));
    products_offsets_.push_back(
        layout_.Add(TilePlanes(images_per_item_ * band_tiles, width).elements() * acc_bytes_));
    sums_offsets_.push_back(layout_.Add(max_rows * phase().cols * width * acc_bytes_));
  }
}

void Winograd::TransformFilter(const Callbacks& callbacks, int64_t panel, int worker,
                               void* workspace) const {
  const int64_t width = panels_.width(panel), depth = problem_.in_channels;
  void* taps = At(workspace, slab_offsets_[worker]);
  int64_t index = 0;
  for (const Tap& tap : slab_.taps()) {  // row by row, as the input meets them
    callbacks.load_panel({&tap, 0, 0, depth, panels_.first_channel(panel), panels_.channels(panel),
                          width, At(taps, index++ * depth * width, acc_bytes_)});
  }
  const int64_t elements = depth * width;
  kernels_.winograd_filter({taps, 0, kWinogradTaps * elements, elements,
                            FilterPanel(panel, workspace), 0, kTilePoints * elements, elements, 1,
                            elements, kAllResults, kAllResults});
}

void Winograd::RunItem(const Callbacks& callbacks, int64_t item, int worker,
                       void* workspace) const {
  const int64_t num_bands = bands_.size();
  const int64_t band_index = item % num_bands;
  const Band& band = bands_[band_index];
  const int64_t first_image = item / num_bands * images_per_item_;
  const int64_t images = std::min(images_per_item_, problem_.batch - first_image);
  const int64_t tile_rows = TilesAlong(band.rows);
  const int64_t tiles = images * tile_rows * tile_cols_;
  const int64_t channels = problem_.in_channels;
  void* slab = At(workspace, slab_offsets_[worker]);
  void* data = At(workspace, data_offsets_[worker]);
  void* products = At(workspace, products_offsets_[worker]);
  void* sums = At(workspace, sums_offsets_[worker]);

  for (int64_t i = 0; i < images; ++i) {
    TransformData(
        slab_, kernels_, {band.first_row, tile_rows}, tile_cols_, data_,
        At(data, i * tile_rows * tile_cols_ * data_.tile_stride(), acc_bytes_), slab,
        [&](const Slab::Row& row) { callbacks.load_row({first_image + i, 0, 0, channels, row}); });
  }
  const cpu::Run whole_tile{0, channels, 0};
  for (int64_t panel = 0; panel < panels_.count(); ++panel) {
    const int64_t width = panels_.width(panel);
    const TilePlanes planes(tiles, width);
    for (int64_t plane = 0; plane < kTilePlanes; ++plane) {
      kernels_.conv_rows({At(data, plane * data_.plane_stride(), acc_bytes_), 0,
                          data_.tile_stride(), &whole_tile, 1, FilledRows{0, 1, 0},
                          At(FilterPanel(panel, workspace), plane * channels * width, acc_bytes_),
                          panels_.vectors(panel),
                          At(products, plane * planes.plane_stride(), acc_bytes_), 1, tiles,
                          /*accumulate=*/false});
    }
    const int64_t cols = phase().cols;
    for (int64_t i = 0; i < images; ++i) {
      for (int64_t row = 0; row < tile_rows; ++row) {
        const int64_t tile = (i * tile_rows + row) * tile_cols_;
        kernels_.winograd_output({At(products, tile * width, acc_bytes_), width,
                                  planes.row_stride(), planes.plane_stride(),
                                  At(sums, row * kTileOutputs * cols * width, acc_bytes_),
                                  kTileOutputs * width, cols * width, width, tile_cols_, width,
                                  band.rows - row * kTileOutputs, cols});
      }
      callbacks.consume_sums({&phase(), first_image + i, 0, band_index, band,
                              panels_.first_channel(panel), panels_.channels(panel), width, sums});
    }
  }
}

void Winograd::Run(const Callbacks& callbacks, void* workspace, ThreadPool* pool) const {
  if (problem_.batch == 0) return;
  ParallelFor(pool, problem_.num_threads, panels_.count(), [&](int64_t panel, int worker) {
    TransformFilter(callbacks, panel, worker, workspace);
  });
  const int64_t image_groups = (problem_.batch + images_per_item_ - 1) / images_per_item_;
  ParallelFor(pool, problem_.num_threads, image_groups * static_cast<int64_t>(bands_.size()),
              [&](int64_t item, int worker) { RunItem(callbacks, item, worker, workspace); });
}

}  // namespace

std::string WinogradInability(const FusedConv2DProblem& problem) {
  const Conv2DProblem& conv = problem.conv;
  if (conv.dtype != DataType::kFloat32) return "only for float32";
  for (const WindowAxis& axis : {conv.window.h, conv.window.w}) {
    if (axis.window != kWinogradTaps) return "only for 3x3 filters";
    if (axis.stride != 1 || axis.dilation != 1) return "not for strides or dilations";
  }
  if (conv.groups != 1) return "not for groups";
  return "";
}

std::string WinogradDisadvantage(Conv2DPass pass, const FusedConv2DProblem& problem) {
  constexpr int64_t kMinChannels = 16;
  constexpr int64_t kMinTiles = 32;
  const Conv2DProblem& conv = problem.conv;
  if (conv.in_channels < kMinChannels || conv.out_channels < kMinChannels) {
    return "too few channels to pay for the transforms";
  }
  // The filter gradient transforms its sums once, whatever the number of tiles.
  if (pass == Conv2DPass::kBackwardFilter) return "";
  const bool forward = pass == Conv2DPass::kForward;
  const WindowAxis& h = conv.window.h;
  const WindowAxis& w = conv.window.w;
  const int64_t tiles =
      conv.batch * TilesAlong(forward ? h.out : h.in) * TilesAlong(forward ? w.out : w.in);
  return tiles < kMinTiles ? "too few tiles to pay for the filter's transform" : "";
}

std::unique_ptr<TapAlgorithm> MakeWinograd(TapProblem problem) {
  return std::make_unique<Winograd>(std::move(problem));
}

}  // namespace fastconv::cpu
