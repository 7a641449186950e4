#include "core/cpu/winograd/winograd.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "core/cpu/winograd/read_ahead.h"
#include "core/cpu/winograd/tiles.h"
#include "core/cpu/workspace.h"

namespace fastconv::cpu {
namespace {

constexpr int64_t kTilesPerBlock = 48;
// A transformed filter that no cache holds is read once per block: fewer, larger ones.
constexpr int64_t kTilesPerLargeBlock = 96;
constexpr int64_t kLargeBlockBytes = 10 << 20;  // of transformed input
constexpr int64_t kLargeFilterBytes = 16 << 20;
constexpr int64_t kBlocksPerThread = 4;
constexpr int64_t kLargeBlocksPerThread = 2;
// Up to this size the transformed input of all blocks may stay in cache, and each panel of the
// filter is transformed, used by all of them and forgotten.
constexpr int64_t kSharedDataBytes = 24 << 20;

// Tiles of a block of rows -> planes of transformed input; then per panel of output channels one
// matrix product per plane with the transformed filter, and back to results. A block is one band of
// some neighbouring images.
class Winograd final : public TapAlgorithm {
 public:
  explicit Winograd(TapProblem problem);

  size_t workspace_bytes() const override { return layout_.bytes(); }
  const Panels& panels() const override { return panels_; }
  const std::vector<Band>& bands(int64_t) const override { return bands_; }
  void Run(const Callbacks& callbacks, void* workspace, ThreadPool* pool) const override;

 private:
  struct Block {
    int64_t band_index;
    int64_t first_image, images;
    int64_t tile_rows;  // of each image
  };

  const Phase& phase() const { return problem_.convolution.phases[0]; }
  const TileShape& shape() const { return winograd_.shape; }
  int64_t depth() const { return problem_.in_channels; }
  int64_t num_blocks() const {
    return (problem_.batch + images_per_block_ - 1) / images_per_block_ *
           static_cast<int64_t>(bands_.size());
  }
  Block BlockOf(int64_t index) const;
  int64_t Tiles(const Block& block) const {
    return block.images * block.tile_rows * grid_.tile_cols;
  }
  int64_t FilterElements(int64_t channels) const { return shape().planes() * depth() * channels; }

  void CutBlocks();
  void LayOut();
  void RunByBlock(const Callbacks& callbacks, void* workspace, ThreadPool* pool) const;
  void RunByPanel(const Callbacks& callbacks, void* workspace, ThreadPool* pool) const;
  void TransformFilter(const Callbacks& callbacks, int64_t panel, void* filter, void* taps) const;
  void TransformBlock(const Callbacks& callbacks, const Block& block, void* data, void* rows,
                      const void* zeros) const;
  ReadAhead InputOf(const Callbacks& callbacks, int64_t block_index, int64_t steps) const;
  void Multiply(int64_t panel, int64_t tiles, const void* data, const void* filter, void* products,
                ReadAhead* ahead) const;
  void Finish(const Callbacks& callbacks, const Block& block, int64_t panel,
              const TilePlanes& planes, const void* products, void* sums) const;

  const TapProblem problem_;
  const Kernels& kernels_;
  const WinogradKernels& winograd_;
  const TileGrid grid_;
  const Panels panels_;
  const int64_t acc_bytes_;
  std::vector<Band> bands_;
  int64_t images_per_block_ = 1;
  int64_t ranges_ = 1;     // of panels, when there are fewer blocks than threads
  int64_t max_rows_ = 0;   // of a band
  bool by_panel_ = false;  // all blocks per panel instead of all panels per block
  TilePlanes data_;
  WorkspaceLayout layout_;
  size_t zeros_offset_ = 0;
  size_t filter_offset_ = 0, data_offset_ = 0;  // shared
  struct WorkerOffsets {
    size_t filter, data, rows, products, sums;
  };
  std::vector<WorkerOffsets> workers_;
};

Winograd::Winograd(TapProblem problem)
    : problem_(std::move(problem)),
      kernels_(problem_.kernels),
      winograd_(kernels_.winograd[ChooseTileShape(problem_.convolution)]),
      grid_(TileGrid::Of(winograd_.shape, problem_.convolution)),
      panels_(problem_.out_channels, kernels_.lanes),
      acc_bytes_(SizeOf(AccumulationType(kernels_.dtype))) {
  CutBlocks();
  LayOut();
}

void Winograd::CutBlocks() {
  const int64_t filter_bytes = FilterElements(panels_.padded_channels()) * acc_bytes_;
  const bool large = filter_bytes >= kLargeFilterBytes;
  const int64_t tile_bytes = shape().planes() * depth() * acc_bytes_;
  const int64_t tiles =
      large ? std::clamp<int64_t>(kLargeBlockBytes / tile_bytes, 1, kTilesPerLargeBlock)
            : kTilesPerBlock;
  const int64_t tile_rows = TilesAlong(phase().rows, shape());
  const int64_t bands =
      std::clamp<int64_t>((tile_rows * grid_.tile_cols + tiles / 2) / tiles, 1, tile_rows);
  bands_ = problem_.split(phase(), (tile_rows + bands - 1) / bands * shape().outputs());
  for (const Band& band : bands_) max_rows_ = std::max(max_rows_, band.rows);
  const int64_t wanted = (large ? kLargeBlocksPerThread : kBlocksPerThread) * problem_.num_threads;
  const int64_t band_tiles = TilesAlong(max_rows_, shape()) * grid_.tile_cols;
  if (bands_.size() == 1) {
    const int64_t most =
        std::clamp<int64_t>(problem_.batch / wanted, 1, std::max<int64_t>(tiles / band_tiles, 1));
    const int64_t blocks = (problem_.batch + most - 1) / most;
    images_per_block_ = blocks == 0 ? 1 : (problem_.batch + blocks - 1) / blocks;
  }
  const int64_t all_tiles = problem_.batch * static_cast<int64_t>(bands_.size()) * band_tiles;
  // What comes from beyond the second level of cache either way.
  const int64_t data_bytes = all_tiles * shape().planes() * depth() * acc_bytes_;
  // Where the tiles outweigh the filter, so do their products, which would leave the second level.
  by_panel_ = data_bytes <= std::min(filter_bytes, kSharedDataBytes) &&
              panels_.count() >= 2 * problem_.num_threads &&
              panels_.count() * data_bytes < (num_blocks() + 2) * filter_bytes;
  if (num_blocks() < problem_.num_threads) {
    ranges_ = std::min<int64_t>(panels_.count(), problem_.num_threads);
  }
  const int64_t data_tiles = by_panel_ ? all_tiles : images_per_block_ * band_tiles;
  data_ = TilePlanes(shape(), data_tiles, depth());
}

void Winograd::LayOut() {
  const int64_t width = panels_.width(0);
  const int64_t block_tiles = images_per_block_ * TilesAlong(max_rows_, shape()) * grid_.tile_cols;
  const int64_t product_tiles = by_panel_ ? num_blocks() * block_tiles : block_tiles;
  const int64_t rows = grid_.RowsUnder(TilesAlong(max_rows_, shape())) * grid_.map_cols * depth();
  const int64_t taps = shape().taps * shape().taps * depth() * width;
  zeros_offset_ = layout_.Add(depth() * acc_bytes_);
  if (by_panel_) {
    data_offset_ = layout_.Add(data_.elements() * acc_bytes_);
  } else {
    filter_offset_ = layout_.Add(FilterElements(panels_.padded_channels()) * acc_bytes_);
  }
  for (int worker = 0; worker < problem_.num_threads; ++worker) {
    WorkerOffsets offsets{};
    if (by_panel_) {
      offsets.filter = layout_.Add(FilterElements(width) * acc_bytes_);
    } else {
      offsets.data = layout_.Add(data_.elements() * acc_bytes_);
    }
    // Rows of the map and taps of the filter are never needed at the same time.
    offsets.rows = layout_.Add(std::max(rows, taps) * acc_bytes_);
    offsets.products =
        layout_.Add(TilePlanes(shape(), product_tiles, width).elements() * acc_bytes_);
    offsets.sums = layout_.Add(max_rows_ * phase().cols * width * acc_bytes_);
    workers_.push_back(offsets);
  }
}

Winograd::Block Winograd::BlockOf(int64_t index) const {
  const int64_t num_bands = bands_.size();
  const int64_t first_image = index / num_bands * images_per_block_;
  const int64_t band_index = index % num_bands;
  return {band_index, first_image, std::min(images_per_block_, problem_.batch - first_image),
          TilesAlong(bands_[band_index].rows, shape())};
}

void Winograd::TransformFilter(const Callbacks& callbacks, int64_t panel, void* filter,
                               void* taps) const {
  const int64_t width = panels_.width(panel), elements = depth() * width;
  for (const Tap& tap : phase().taps) {
    const int64_t place = (tap.row - grid_.first_row) * shape().taps + tap.col - grid_.first_col;
    callbacks.load_panel({&tap, 0, 0, depth(), panels_.first_channel(panel),
                          panels_.channels(panel), width, At(taps, place * elements, acc_bytes_)});
  }
  winograd_.filter({taps, elements, filter, elements, elements});
}

void Winograd::TransformBlock(const Callbacks& callbacks, const Block& block, void* data,
                              void* rows, const void* zeros) const {
  const int64_t row = bands_[block.band_index].first_row;
  for (int64_t i = 0; i < block.images; ++i) {
    const int64_t image = block.first_image + i;
    const InputPlace& input = callbacks.input;
    MapRows map;
    if (input.data != nullptr) {
      map = {At(input.data, image * input.image_stride, SizeOf(kernels_.dtype)), 0,
             input.row_stride, input.pixel_stride, /*in_tensor=*/true};
    } else {
      map = LoadMapRows(grid_, row, block.tile_rows, depth(), acc_bytes_, rows,
                        [&](const Slab::Row& r) { callbacks.load_row({image, 0, 0, depth(), r}); });
    }
    const int64_t tile = i * block.tile_rows * grid_.tile_cols;
    TransformData(kernels_, winograd_, grid_, map, row, block.tile_rows, depth(), zeros, data_,
                  At(data, tile * data_.tile_stride(), acc_bytes_));
  }
}

// Of a block, where the input is read in place.
ReadAhead Winograd::InputOf(const Callbacks& callbacks, int64_t block_index, int64_t steps) const {
  ReadAhead ahead;
  const InputPlace& input = callbacks.input;
  if (input.data == nullptr || block_index >= num_blocks()) return ahead;
  const Block block = BlockOf(block_index);
  const int64_t row = bands_[block.band_index].first_row + grid_.first_row;
  const int64_t first = std::max<int64_t>(row, 0);
  const int64_t end = std::min(row + grid_.RowsUnder(block.tile_rows), grid_.map_rows);
  const int64_t element_bytes = SizeOf(kernels_.dtype);
  const int64_t offset = block.first_image * input.image_stride + first * input.row_stride;
  const int64_t elements =
      (block.images - 1) * input.image_stride + (end - first) * input.row_stride;
  ahead.Add(At(input.data, offset, element_bytes), elements * element_bytes);
  ahead.DealOut(steps);
  return ahead;
}

void Winograd::Multiply(int64_t panel, int64_t tiles, const void* data, const void* filter,
                        void* products, ReadAhead* ahead) const {
  const int64_t width = panels_.width(panel);
  const TilePlanes planes(shape(), tiles, width);
  for (int64_t plane = 0; plane < shape().planes(); ++plane) {
    const ReadAhead::Piece piece = ahead->Next();
    for (int64_t line = 0; line < piece.lines; ++line) {
      __builtin_prefetch(At(piece.begin, line, ReadAhead::kLine), /*rw=*/0, /*locality=*/2);
    }
    winograd_.product(
        {At(data, plane * data_.plane_stride(), acc_bytes_), data_.tile_stride(), tiles, depth(),
         At(filter, plane * depth() * width, acc_bytes_), panels_.vectors(panel),
         At(products, plane * planes.plane_stride(), acc_bytes_), planes.tile_stride()});
  }
}

void Winograd::Finish(const Callbacks& callbacks, const Block& block, int64_t panel,
                      const TilePlanes& planes, const void* products, void* sums) const {
  const Band& band = bands_[block.band_index];
  const int64_t width = panels_.width(panel), channels = panels_.channels(panel);
  const int64_t first_out = panels_.first_channel(panel);
  const int64_t cols = phase().cols, outputs = shape().outputs();
  // Tiles with an odd number of results cut pooling windows.
  const bool in_place = callbacks.output && (outputs % 2 == 0 || !callbacks.output_pools);
  for (int64_t i = 0; i < block.images; ++i) {
    const int64_t image = block.first_image + i;
    for (int64_t row = 0; row < block.tile_rows; ++row) {
      const int64_t tile = (i * block.tile_rows + row) * grid_.tile_cols;
      WinogradOutputArgs args{};
      args.src = At(products, tile * planes.tile_stride(), acc_bytes_);
      args.src_tile_stride = planes.tile_stride();
      args.src_plane_stride = planes.plane_stride();
      args.tiles = grid_.tile_cols;
      args.valid_rows = band.rows - row * outputs;
      args.valid_cols = cols;
      if (in_place) {
        const OutputPlace place =
            callbacks.output(image, band.first_row + row * outputs, first_out);
        args.channels = channels;
        args.stage = place.stage;
        args.y = place.y;
        args.code = place.code;
        args.y_row_stride = place.row_stride;
        args.y_pixel_stride = place.pixel_stride;
        args.around_caches = place.around_caches;
        (place.pool ? winograd_.output_pool : winograd_.output_map)(args);
      } else {
        args.channels = width;
        args.y = At(sums, row * outputs * cols * width, acc_bytes_);
        args.y_row_stride = cols * width;
        args.y_pixel_stride = width;
        winograd_.output_sums(args);
      }
    }
    callbacks.consume_sums({&phase(), image, 0, block.band_index, band, first_out, channels, width,
                            in_place ? nullptr : sums});
  }
}

void Winograd::RunByBlock(const Callbacks& callbacks, void* workspace, ThreadPool* pool) const {
  const auto filter = [&](int64_t panel) {
    return At(workspace,
              filter_offset_ + FilterElements(panels_.first_channel(panel)) * acc_bytes_);
  };
  ParallelFor(pool, problem_.num_threads, panels_.count(), [&](int64_t panel, int worker) {
    TransformFilter(callbacks, panel, filter(panel), At(workspace, workers_[worker].rows));
  });
  ParallelFor(pool, problem_.num_threads, num_blocks() * ranges_, [&](int64_t item, int worker) {
    const WorkerOffsets& offsets = workers_[worker];
    const Block block = BlockOf(item / ranges_);
    void* data = At(workspace, offsets.data);
    void* products = At(workspace, offsets.products);
    TransformBlock(callbacks, block, data, At(workspace, offsets.rows),
                   At(workspace, zeros_offset_));
    const int64_t range = item % ranges_, tiles = Tiles(block);
    const int64_t first = panels_.count() * range / ranges_;
    const int64_t end = panels_.count() * (range + 1) / ranges_;
    // Items are claimed in order: this worker's next one will be about as many further.
    ReadAhead ahead = InputOf(callbacks, (item + problem_.num_threads) / ranges_,
                              (end - first) * shape().planes());
    for (int64_t panel = first; panel < end; ++panel) {
      Multiply(panel, tiles, data, filter(panel), products, &ahead);
      Finish(callbacks, block, panel, TilePlanes(shape(), tiles, panels_.width(panel)), products,
             At(workspace, offsets.sums));
    }
  });
}

void Winograd::RunByPanel(const Callbacks& callbacks, void* workspace, ThreadPool* pool) const {
  std::vector<int64_t> first_tiles{0};
  for (int64_t index = 0; index < num_blocks(); ++index) {
    first_tiles.push_back(first_tiles.back() + Tiles(BlockOf(index)));
  }
  void* data = At(workspace, data_offset_);
  ParallelFor(pool, problem_.num_threads, num_blocks(), [&](int64_t index, int worker) {
    TransformBlock(callbacks, BlockOf(index),
                   At(data, first_tiles[index] * data_.tile_stride(), acc_bytes_),
                   At(workspace, workers_[worker].rows), At(workspace, zeros_offset_));
  });
  ParallelFor(pool, problem_.num_threads, panels_.count(), [&](int64_t panel, int worker) {
    const WorkerOffsets& offsets = workers_[worker];
    void* filter = At(workspace, offsets.filter);
    void* products = At(workspace, offsets.products);
    TransformFilter(callbacks, panel, filter, At(workspace, offsets.rows));
    const TilePlanes planes(shape(), first_tiles.back(), panels_.width(panel));
    ReadAhead none;
    Multiply(panel, first_tiles.back(), data, filter, products, &none);
    for (int64_t index = 0; index < num_blocks(); ++index) {
      Finish(callbacks, BlockOf(index), panel, planes,
             At(products, first_tiles[index] * planes.tile_stride(), acc_bytes_),
             At(workspace, offsets.sums));
    }
  });
}

void Winograd::Run(const Callbacks& callbacks, void* workspace, ThreadPool* pool) const {
  if (problem_.batch == 0) return;
  std::memset(At(workspace, zeros_offset_), 0, depth() * acc_bytes_);
  by_panel_ ? RunByPanel(callbacks, workspace, pool) : RunByBlock(callbacks, workspace, pool);
}

}  // namespace

std::string WinogradInability(const FusedConv2DProblem& problem) {
  const Conv2DProblem& conv = problem.conv;
  if (conv.dtype == DataType::kFloat64) return "not for float64";
  const Window2D& window = conv.window;
  if (window.h.window != window.w.window || ChooseTileShape(window.h.window, {1, 1, 1, 1}) < 0) {
    return "only for 3x3 and 5x5 filters";
  }
  for (const WindowAxis& axis : {window.h, window.w}) {
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
  const MapSizes sizes =
      forward ? MapSizes{h.in, w.in, h.out, w.out} : MapSizes{h.out, w.out, h.in, w.in};
  const TileShape& shape = kTileShapes[ChooseTileShape(h.window, sizes)];
  const int64_t tiles =
      conv.batch * TilesAlong(sizes.out_rows, shape) * TilesAlong(sizes.out_cols, shape);
  return tiles < kMinTiles ? "too few tiles to pay for the filter's transform" : "";
}

std::unique_ptr<TapAlgorithm> MakeWinograd(TapProblem problem) {
  return std::make_unique<Winograd>(std::move(problem));
}

}  // namespace fastconv::cpu
