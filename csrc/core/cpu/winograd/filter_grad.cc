// Winograd's F(3x3, 4x4): the filter gradient as 36 matrix products over tiles of 4x4 output
// gradients and the 6x6 inputs under them; one inverse transform at the end.
#include <algorithm>
#include <cstring>
#include <utility>

#include "core/cpu/conv2d/filter_grad_algorithm.h"
#include "core/cpu/winograd/tiles.h"
#include "core/cpu/winograd/winograd.h"
#include "core/cpu/workspace.h"

namespace fastconv::cpu {
namespace {

constexpr int64_t kTilesPerUnit = 56;
constexpr int64_t kDataBytes = 1 << 20;  // of the transformed input of one unit

class WinogradFilterGrad final : public FilterGradAlgorithm {
 public:
  explicit WinogradFilterGrad(FilterGradProblem problem)
      : problem_(std::move(problem)),
        kernels_(problem_.kernels),
        panels_(problem_.out_channels, kernels_.lanes),
        acc_bytes_(SizeOf(AccumulationType(kernels_.dtype))),
        winograd_(kernels_.winograd[ChooseTileShape(problem_.convolution)]),
        grid_(TileGrid::Of(winograd_.shape, problem_.convolution)),
        cut_(FilterGradCut::Of(problem_, panels_, depth())) {
    const int64_t tile_cols = grid_.tile_cols, outputs = shape().outputs();
    const int64_t image_tile_rows = TilesAlong(phase().rows, shape());
    const int64_t tile_bytes = depth() * acc_bytes_;
    const int64_t tiles = std::clamp<int64_t>(kDataBytes / tile_bytes, 1, kTilesPerUnit);
    const int64_t tile_rows = std::clamp<int64_t>(tiles / tile_cols, 1, image_tile_rows);
    int64_t images = 1;
    if (tile_rows == image_tile_rows) {
      images =
          std::min(tiles / (tile_rows * tile_cols), (problem_.batch + cut_.slots - 1) / cut_.slots);
    }
    unit_ = {std::max<int64_t>(images, 1), std::min(tile_rows * outputs, phase().rows)};
    const int64_t width = panels_.width(0);
    const int64_t unit_tiles = unit_.images * tile_rows * tile_cols;
    zeros_offset_ = layout_.Add(problem_.in_channels * acc_bytes_);
    rows_offset_ = layout_.Add(grid_.RowsUnder(tile_rows) * grid_.map_cols * problem_.in_channels *
                               acc_bytes_);
    data_offset_ =
        layout_.Add(TilePlanes(shape(), unit_tiles, problem_.in_channels).elements() * acc_bytes_);
    dz_offset_ = layout_.Add(tile_rows * outputs * dz_row_elements(width) * acc_bytes_);
    gradients_offset_ = layout_.Add(TilePlanes(shape(), unit_tiles, width).elements() * acc_bytes_);
    taps_offset_ =
        layout_.Add(shape().taps * shape().taps * problem_.in_channels * width * acc_bytes_);
  }

  const Panels& panels() const override { return panels_; }
  const FilterGradCut& cut() const override { return cut_; }
  int64_t depth() const override { return shape().planes() * problem_.in_channels; }
  UnitShape unit() const override { return unit_; }
  size_t scratch_bytes() const override { return layout_.bytes(); }

  void AddUnit(const Unit& unit, const Operands& operands, void* scratch) const override {
    const int64_t tile_rows = TilesAlong(unit.band.rows, shape());
    const int64_t image_tiles = tile_rows * grid_.tile_cols, tiles = unit.images * image_tiles;
    const int64_t channels = problem_.in_channels;
    const TilePlanes data(shape(), tiles, channels);
    void* data_planes = At(scratch, data_offset_);
    void* zeros = At(scratch, zeros_offset_);
    std::memset(zeros, 0, channels * acc_bytes_);
    for (int64_t i = 0; i < unit.images; ++i) {
      const MapRows map = LoadMapRows(
          grid_, unit.band.first_row, tile_rows, channels, acc_bytes_, At(scratch, rows_offset_),
          [&](const Slab::Row& row) { operands.load_row(unit.first_image + i, 0, channels, row); });
      TransformData(kernels_, winograd_, grid_, map, unit.band.first_row, tile_rows, channels,
                    zeros, data, At(data_planes, i * image_tiles * data.tile_stride(), acc_bytes_));
    }
    for (int64_t panel = unit.first_panel; panel < unit.end_panel; ++panel) {
      const int64_t width = panels_.width(panel);
      const TilePlanes gradients(shape(), tiles, width);
      void* gradient_planes = At(scratch, gradients_offset_);
      for (int64_t i = 0; i < unit.images; ++i) {
        TransformGradients(
            unit, operands, panel, i, gradients,
            At(gradient_planes, i * image_tiles * gradients.tile_stride(), acc_bytes_), scratch);
      }
      const Run whole_tile{0, channels, 0};
      for (int64_t plane = 0; plane < shape().planes(); ++plane) {
        kernels_.filter_grad({At(data_planes, plane * data.plane_stride(), acc_bytes_), 0, 0,
                              data.tile_stride(), &whole_tile, 1, FilledRows{0, 1, 0},
                              At(gradient_planes, plane * gradients.plane_stride(), acc_bytes_),
                              panels_.vectors(panel),
                              At(operands.sums(panel), plane * channels * width, acc_bytes_), 1, 1,
                              tiles});
      }
    }
  }

  void Finish(int64_t panel, const void* sums, void* scratch,
              const ConsumeTap& consume) const override {
    const int64_t channels = problem_.in_channels;
    const int64_t elements = channels * panels_.width(panel);
    void* taps = At(scratch, taps_offset_);
    winograd_.filter_output({sums, elements, taps, elements, elements});
    for (const Tap& tap : phase().taps) {
      const int64_t place = (tap.row - grid_.first_row) * shape().taps + tap.col - grid_.first_col;
      consume(tap, 0, channels, At(taps, place * elements, acc_bytes_));
    }
  }

 private:
  const Phase& phase() const { return problem_.convolution.phases[0]; }
  const TileShape& shape() const { return winograd_.shape; }
  int64_t dz_row_elements(int64_t width) const {
    return grid_.tile_cols * shape().outputs() * width;
  }

  void TransformGradients(const Unit& unit, const Operands& operands, int64_t panel, int64_t i,
                          const TilePlanes& gradients, void* planes, void* scratch) const {
    const int64_t width = panels_.width(panel), row_elements = dz_row_elements(width);
    const int64_t tile_rows = TilesAlong(unit.band.rows, shape()), outputs = shape().outputs();
    void* dz = At(scratch, dz_offset_);
    // Outputs beyond the map have no gradient.
    if (unit.band.rows % outputs != 0 || phase().cols % outputs != 0) {
      std::memset(dz, 0, tile_rows * outputs * row_elements * acc_bytes_);
    }
    operands.load_gradient(panel, unit.first_image + i, dz, row_elements);
    for (int64_t row = 0; row < tile_rows; ++row) {
      const int64_t tile = row * grid_.tile_cols;
      winograd_.gradient({At(dz, row * outputs * row_elements, acc_bytes_), row_elements, width,
                          At(planes, tile * gradients.tile_stride(), acc_bytes_),
                          gradients.tile_stride(), gradients.plane_stride(), grid_.tile_cols,
                          width});
    }
  }

  const FilterGradProblem problem_;
  const Kernels& kernels_;
  const Panels panels_;
  const int64_t acc_bytes_;
  const WinogradKernels& winograd_;
  const TileGrid grid_;
  const FilterGradCut cut_;
  UnitShape unit_{};
  WorkspaceLayout layout_;
  size_t zeros_offset_ = 0, rows_offset_ = 0, data_offset_ = 0, dz_offset_ = 0,
         gradients_offset_ = 0;
  size_t taps_offset_ = 0;
};

}  // namespace

std::unique_ptr<FilterGradAlgorithm> MakeWinogradFilterGrad(FilterGradProblem problem) {
  return std::make_unique<WinogradFilterGrad>(std::move(problem));
}

}  // namespace fastconv::cpu
