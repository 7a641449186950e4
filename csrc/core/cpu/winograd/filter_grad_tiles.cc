#include "core/cpu/winograd/filter_grad_tiles.h"

#include <algorithm>
#include <cstring>

#include "core/cpu/conv2d/operands.h"
#include "core/cpu/epilogue.h"
#include "core/cpu/workspace.h"

namespace fastconv::cpu {

FilterGradTiles::FilterGradTiles(const Kernels& kernels, const FusedConv2DProblem& problem)
    : kernels_(kernels),
      conv_(problem.conv),
      epilogue_(problem.epilogue),
      dropout_(kernels, epilogue_, conv_.window.h.out, conv_.window.w.out, conv_.out_channels),
      element_bytes_(SizeOf(conv_.dtype)),
      acc_bytes_(SizeOf(AccumulationType(conv_.dtype))),
      winograd_(kernels.winograd[ChooseGradientTileShape(conv_)]),
      grid_(TileGrid::Of(winograd_.shape, ForwardTaps(conv_.window))),
      image_tile_rows_(TilesAlong(conv_.window.h.out, winograd_.shape)),
      source_(SourceOf(epilogue_)),
      gradient_transform_(source_ == Source::kTensor ? winograd_.gradient_from_tensor
                          : source_ == Source::kPool ? winograd_.gradient_from_pool
                                                     : winograd_.gradient_from_acc) {}

FilterGradTiles::Source FilterGradTiles::SourceOf(const Epilogue& epilogue) {
  const MaxPoolSpec& pool = epilogue.pool;
  const auto halves = [](const WindowAxis& axis) {
    return axis.window == 2 && axis.stride == 2 && axis.pad_before == 0 && 2 * axis.out <= axis.in;
  };
  if (!pool.enabled) {
    return epilogue.dropout.kind == DropoutKind::kNone ? Source::kTensor : Source::kRows;
  }
  const bool halved = halves(pool.window.h) && halves(pool.window.w);
  return halved && pool.code_type == DataType::kUint8 ? Source::kPool : Source::kRows;
}

int64_t FilterGradTiles::scratch_elements(int64_t width) const {
  const int64_t rows = source_ == Source::kRows ? winograd_.shape.outputs() : 0;
  return (rows * conv_.window.w.out + 1) * width;
}

void FilterGradTiles::TransformInputs(const Conv2DArgs& args, const TileRows& rows,
                                      const void* zeros, const TilePlanes& data,
                                      void* planes) const {
  const WindowAxis& h = conv_.window.h;
  const int64_t row_elements = conv_.window.w.in * conv_.in_channels;
  for (int64_t i = 0; i < rows.count; ++i) {
    const int64_t image = (rows.first + i) / image_tile_rows_;
    const int64_t row = (rows.first + i) % image_tile_rows_ * winograd_.shape.outputs();
    const MapRows map{At(args.x, image * h.in * row_elements, element_bytes_), 0, row_elements,
                      conv_.in_channels, /*in_tensor=*/true};
    TransformData(kernels_, winograd_, grid_, map, row, 1, conv_.in_channels, zeros, data,
                  At(planes, i * cols() * data.tile_stride(), acc_bytes_));
  }
}

void FilterGradTiles::TransformGradients(const Conv2DArgs& args, const TileRows& rows,
                                         const Channels& channels, const TilePlanes& gradients,
                                         void* bias_sums, void* scratch, void* planes) const {
  // A further level of sums: short ones round less.
  void* sums = scratch;
  void* dz = At(scratch, channels.width, acc_bytes_);
  std::memset(sums, 0, channels.width * acc_bytes_);
  for (int64_t i = 0; i < rows.count; ++i) {
    const int64_t image = (rows.first + i) / image_tile_rows_;
    const int64_t row = (rows.first + i) % image_tile_rows_ * winograd_.shape.outputs();
    WinogradGradientArgs tiles = source_ == Source::kRows ? LoadRows(args, image, row, channels, dz)
                                                          : InTensors(args, image, row, channels);
    tiles.channels = channels.count;
    tiles.dst = At(planes, i * cols() * gradients.tile_stride(), acc_bytes_);
    tiles.dst_tile_stride = gradients.tile_stride();
    tiles.dst_plane_stride = gradients.plane_stride();
    tiles.tiles = cols();
    tiles.sums = sums;
    gradient_transform_(tiles);
  }
  kernels_.add_rows({sums, 0, bias_sums, 1, channels.width});
}

WinogradGradientArgs FilterGradTiles::InTensors(const Conv2DArgs& args, int64_t image, int64_t row,
                                                const Channels& channels) const {
  const Window2D& map = epilogue_.pool.enabled ? epilogue_.pool.window : conv_.window;
  const int64_t row_stride = map.w.out * conv_.out_channels;
  const int64_t first = (image * map.h.out + row / pool_size()) * row_stride + channels.first;
  const bool by_sign = epilogue_.activation != Activation::kLinear && !epilogue_.pool.enabled;
  WinogradGradientArgs tiles{};
  tiles.dy = At(args.dy, first, element_bytes_);
  if (by_sign) tiles.y = At(static_cast<const void*>(args.y), first, element_bytes_);
  tiles.code = At(static_cast<const void*>(args.code), first, SizeOf(epilogue_.pool.code_type));
  tiles.row_stride = row_stride;
  tiles.pixel_stride = conv_.out_channels;
  tiles.rows = pool_size() * map.h.out - row;
  tiles.cols = pool_size() * map.w.out;
  tiles.first_row = row;
  tiles.negative_slope = NegativeSlope(epilogue_);
  tiles.scale = dropout_.pooled_gradient_scale();
  return tiles;
}

WinogradGradientArgs FilterGradTiles::LoadRows(const Conv2DArgs& args, int64_t image, int64_t row,
                                               const Channels& channels, void* dz) const {
  const WindowAxis& h = conv_.window.h;
  const Band band{row, std::min(winograd_.shape.outputs(), h.out - row)};
  WinogradGradientArgs tiles{};
  tiles.dy = dz;
  tiles.row_stride = conv_.window.w.out * channels.width;
  tiles.pixel_stride = channels.width;
  tiles.rows = band.rows;
  tiles.cols = conv_.window.w.out;
  LoadGradientRows(kernels_, conv_, epilogue_, dropout_, args, image, channels.first,
                   channels.count, channels.width, band, dz, tiles.row_stride);
  return tiles;
}

void FilterGradTiles::AddRows(const TileRows& rows, const void* tensor, const AxisRows& axis,
                              int64_t row_bytes, ReadAhead* ahead) const {
  const auto row_of = [&](int64_t tile_row, int64_t offset) {
    const int64_t row = tile_row % image_tile_rows_ * winograd_.shape.outputs() + offset;
    return tile_row / image_tile_rows_ * axis.count +
           std::clamp<int64_t>(row / axis.size, 0, axis.count);
  };
  const int64_t begin = row_of(rows.first, axis.first);
  const int64_t end = row_of(rows.first + rows.count - 1, axis.end);
  ahead->Add(At(tensor, begin, row_bytes), (end - begin) * row_bytes);
}

void FilterGradTiles::AddInputs(const Conv2DArgs& args, const TileRows& rows,
                                ReadAhead* ahead) const {
  const AxisRows axis{conv_.window.h.in, 1, grid_.first_row,
                      grid_.first_row + winograd_.shape.points};
  AddRows(rows, args.x, axis, conv_.window.w.in * conv_.in_channels * element_bytes_, ahead);
}

void FilterGradTiles::AddGradients(const Conv2DArgs& args, const TileRows& rows,
                                   ReadAhead* ahead) const {
  if (epilogue_.pool.enabled && source_ != Source::kPool) return;  // of windows of any kind
  const Window2D& map = epilogue_.pool.enabled ? epilogue_.pool.window : conv_.window;
  const AxisRows axis{map.h.out, pool_size(), 0, winograd_.shape.outputs() + pool_size() - 1};
  const int64_t row_elements = map.w.out * conv_.out_channels;
  AddRows(rows, args.dy, axis, row_elements * element_bytes_, ahead);
  if (epilogue_.pool.enabled) {
    AddRows(rows, args.code, axis, row_elements * SizeOf(epilogue_.pool.code_type), ahead);
  } else if (epilogue_.activation != Activation::kLinear) {
    AddRows(rows, args.y, axis, row_elements * element_bytes_, ahead);
  }
}

}  // namespace fastconv::cpu
