#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "core/cpu/winograd/tiles.h"
#include "core/cpu/winograd/winograd.h"
#include "core/cpu/workspace.h"

namespace fastconv::cpu {
namespace {

constexpr int64_t kTilesPerBlock = 64;
constexpr int64_t kBlocksPerThread = 2;

// Tiles of outputs() x outputs() values cover the map that is read; each adds points x points
// values to the results.
TileGrid GridOf(const TileShape& shape, const TapConvolution& convolution) {
  const int64_t cols = convolution.in_cols;
  return {shape, TilesAlong(cols, shape), 0, 0, convolution.in_rows, cols};
}

// The shape with the fewest products over a map of rows x cols. Results at the border are small
// remainders of large tiles' values, and a map of a single tile is all border: not of a large one.
int ChooseAdjointShape(int64_t taps, int64_t rows, int64_t cols) {
  const int fewest = ChooseTileShape(taps, {rows, cols, rows, cols});
  if (std::min(rows, cols) > kTileShapes[fewest].outputs()) return fewest;
  return ChooseTileShape(taps, {1, 1, rows, cols});
}

double Products(const TileShape& shape, int64_t rows, int64_t cols) {
  return static_cast<double>(TilesAlong(rows, shape) * TilesAlong(cols, shape) * shape.planes());
}

// A block is some neighbouring images.
class WinogradAdjoint final : public TapAlgorithm {
 public:
  explicit WinogradAdjoint(TapProblem problem)
      : problem_(std::move(problem)),
        kernels_(problem_.kernels),
        winograd_(kernels_.winograd[ChooseAdjointShape(FilterTaps(problem_.convolution),
                                                       problem_.convolution.in_rows,
                                                       problem_.convolution.in_cols)]),
        grid_(GridOf(winograd_.shape, problem_.convolution)),
        panels_(problem_.out_channels, kernels_.lanes),
        acc_bytes_(SizeOf(AccumulationType(kernels_.dtype))),
        bands_(problem_.split(phase(), phase().rows)),
        image_tiles_(TilesAlong(grid_.map_rows, shape()) * grid_.tile_cols) {
    for (const Tap& tap : phase().taps) {
      last_row_ = std::max(last_row_, tap.row);
      last_col_ = std::max(last_col_, tap.col);
    }
    const int64_t wanted = kBlocksPerThread * problem_.num_threads;
    images_per_block_ = std::clamp<int64_t>(kTilesPerBlock / image_tiles_, 1,
                                            std::max<int64_t>(problem_.batch / wanted, 1));
    data_ = TilePlanes(shape(), images_per_block_ * image_tiles_, depth());
    LayOut();
  }

  size_t workspace_bytes() const override { return layout_.bytes(); }
  const Panels& panels() const override { return panels_; }
  const std::vector<Band>& bands(int64_t) const override { return bands_; }

  void Run(const Callbacks& callbacks, void* workspace, ThreadPool* pool) const override {
    if (problem_.batch == 0) return;
    std::memset(At(workspace, zeros_offset_), 0, depth() * acc_bytes_);
    ParallelFor(pool, problem_.num_threads, panels_.count(), [&](int64_t panel, int worker) {
      TransformFilter(callbacks, panel, Filter(panel, workspace),
                      At(workspace, workers_[worker].rows));
    });
    const int64_t blocks = (problem_.batch + images_per_block_ - 1) / images_per_block_;
    ParallelFor(pool, problem_.num_threads, blocks, [&](int64_t block, int worker) {
      RunBlock(callbacks, block * images_per_block_, workers_[worker], workspace);
    });
  }

 private:
  struct WorkerOffsets {
    size_t data, rows, products, sums;
  };

  const Phase& phase() const { return problem_.convolution.phases[0]; }
  const TileShape& shape() const { return winograd_.shape; }
  int64_t depth() const { return problem_.in_channels; }
  int64_t FilterElements(int64_t channels) const { return shape().planes() * depth() * channels; }
  void* Filter(int64_t panel, void* workspace) const {
    return At(workspace,
              filter_offset_ + FilterElements(panels_.first_channel(panel)) * acc_bytes_);
  }

  void LayOut() {
    const int64_t width = panels_.width(0);
    const int64_t rows = grid_.map_rows * grid_.map_cols * depth();
    const int64_t taps = shape().taps * shape().taps * depth() * width;
    const TilePlanes products(shape(), images_per_block_ * image_tiles_, width);
    zeros_offset_ = layout_.Add(depth() * acc_bytes_);
    filter_offset_ = layout_.Add(FilterElements(panels_.padded_channels()) * acc_bytes_);
    for (int worker = 0; worker < problem_.num_threads; ++worker) {
      WorkerOffsets offsets;
      offsets.data = layout_.Add(data_.elements() * acc_bytes_);
      // Rows of the map and taps of the filter are never needed at the same time.
      offsets.rows = layout_.Add(std::max(rows, taps) * acc_bytes_);
      offsets.products = layout_.Add(products.elements() * acc_bytes_);
      offsets.sums = layout_.Add(phase().rows * phase().cols * width * acc_bytes_);
      workers_.push_back(offsets);
    }
  }

  void TransformFilter(const Callbacks& callbacks, int64_t panel, void* filter, void* taps) const {
    const int64_t width = panels_.width(panel), elements = depth() * width;
    for (const Tap& tap : phase().taps) {
      const int64_t place = (last_row_ - tap.row) * shape().taps + last_col_ - tap.col;
      callbacks.load_panel({&tap, 0, 0, depth(), panels_.first_channel(panel),
                            panels_.channels(panel), width,
                            At(taps, place * elements, acc_bytes_)});
    }
    winograd_.filter({taps, elements, filter, elements, elements});
  }

  void TransformImage(const Callbacks& callbacks, int64_t image, const WorkerOffsets& offsets,
                      void* workspace, void* planes) const {
    const InputPlace& input = callbacks.input;
    const int64_t tile_rows = image_tiles_ / grid_.tile_cols;
    MapRows map;
    if (input.data != nullptr) {
      map = {At(input.data, image * input.image_stride, SizeOf(kernels_.dtype)), 0,
             input.row_stride, input.pixel_stride, /*in_tensor=*/true};
    } else {
      map = LoadMapRows(
          grid_, 0, tile_rows, depth(), acc_bytes_, At(workspace, offsets.rows),
          [&](const Slab::Row& row) { callbacks.load_row({image, 0, 0, depth(), row}); });
    }
    TransformRows(
        kernels_,
        map.in_tensor ? winograd_.output_adjoint_from_tensor : winograd_.output_adjoint_from_acc,
        grid_, map, 0, tile_rows, depth(), At(workspace, zeros_offset_), data_, planes);
  }

  void RunBlock(const Callbacks& callbacks, int64_t first_image, const WorkerOffsets& offsets,
                void* workspace) const {
    const int64_t images = std::min(images_per_block_, problem_.batch - first_image);
    const int64_t tiles = images * image_tiles_;
    void* data = At(workspace, offsets.data);
    for (int64_t i = 0; i < images; ++i) {
      TransformImage(callbacks, first_image + i, offsets, workspace,
                     At(data, i * image_tiles_ * data_.tile_stride(), acc_bytes_));
    }
    void* products = At(workspace, offsets.products);
    void* sums = At(workspace, offsets.sums);
    for (int64_t panel = 0; panel < panels_.count(); ++panel) {
      const int64_t width = panels_.width(panel);
      const TilePlanes planes(shape(), tiles, width);
      const void* filter = Filter(panel, workspace);
      for (int64_t plane = 0; plane < shape().planes(); ++plane) {
        winograd_.product(
            {At(data, plane * data_.plane_stride(), acc_bytes_), data_.tile_stride(), tiles,
             depth(), At(filter, plane * depth() * width, acc_bytes_), panels_.vectors(panel),
             At(products, plane * planes.plane_stride(), acc_bytes_), planes.tile_stride()});
      }
      for (int64_t i = 0; i < images; ++i) {
        AddTiles(At(products, i * image_tiles_ * planes.tile_stride(), acc_bytes_), planes, width,
                 sums);
        callbacks.consume_sums({&phase(), first_image + i, 0, 0, bands_[0],
                                panels_.first_channel(panel), panels_.channels(panel), width,
                                sums});
      }
    }
  }

  // The results of an image from its tiles.
  void AddTiles(const void* products, const TilePlanes& planes, int64_t width, void* sums) const {
    const int64_t rows = phase().rows, cols = phase().cols, step = shape().outputs();
    std::memset(sums, 0, rows * cols * width * acc_bytes_);
    for (int64_t tile = 0; tile < image_tiles_; tile += grid_.tile_cols) {
      winograd_.add_data_adjoint({At(products, tile * planes.tile_stride(), acc_bytes_),
                                  planes.tile_stride(), planes.plane_stride(), grid_.tile_cols,
                                  width, tile / grid_.tile_cols * step - last_row_, -last_col_,
                                  step, sums, rows, cols});
    }
  }

  const TapProblem problem_;
  const Kernels& kernels_;
  const WinogradKernels& winograd_;
  const TileGrid grid_;
  const Panels panels_;
  const int64_t acc_bytes_;
  const std::vector<Band> bands_;  // one, the whole map
  const int64_t image_tiles_;
  // Of the taps: the value at (row, col) of the map is the first to reach (row - last_row_, ...).
  int64_t last_row_ = INT64_MIN, last_col_ = INT64_MIN;
  int64_t images_per_block_ = 1;
  TilePlanes data_;
  WorkspaceLayout layout_;
  size_t zeros_offset_ = 0, filter_offset_ = 0;
  std::vector<WorkerOffsets> workers_;
};

}  // namespace

std::string WinogradAdjointDisadvantage(Conv2DPass pass, const FusedConv2DProblem& problem) {
  constexpr double kGain = 1.2;      // overlapping results cost more to add
  constexpr int64_t kMinImages = 8;  // an image is not cut, see RunBlock
  const std::string too_small = WinogradDisadvantage(pass, problem);
  if (!too_small.empty()) return too_small;
  if (problem.conv.batch < kMinImages) return "too few images to share among threads";
  const WindowAxis& h = problem.conv.window.h;
  const WindowAxis& w = problem.conv.window.w;
  const TileShape& adjoint = kTileShapes[ChooseAdjointShape(h.window, h.out, w.out)];
  const TileShape& rotated =
      kTileShapes[ChooseTileShape(h.window, MapSizes{h.out, w.out, h.in, w.in})];
  if (Products(adjoint, h.out, w.out) * kGain > Products(rotated, h.in, w.in)) {
    return "takes no fewer products than the rotated filter";
  }
  return "";
}

std::unique_ptr<TapAlgorithm> MakeWinogradAdjoint(TapProblem problem) {
  return std::make_unique<WinogradAdjoint>(std::move(problem));
}

}  // namespace fastconv::cpu
