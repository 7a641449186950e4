// The tiles of a filter gradient by Winograd's algorithm: inputs and output gradients, transformed.
#ifndef FASTCONV_CORE_CPU_WINOGRAD_FILTER_GRAD_TILES_H_
#define FASTCONV_CORE_CPU_WINOGRAD_FILTER_GRAD_TILES_H_

#include <cstdint>

#include "core/conv2d.h"
#include "core/cpu/conv2d/geometry.h"
#include "core/cpu/dropout.h"
#include "core/cpu/kernels/kernels.h"
#include "core/cpu/winograd/filter_grad_cut.h"
#include "core/cpu/winograd/read_ahead.h"
#include "core/cpu/winograd/tiles.h"
#include "core/problem.h"

namespace fastconv::cpu {

class FilterGradTiles {
 public:
  FilterGradTiles(const Kernels& kernels, const FusedConv2DProblem& problem);

  const WinogradKernels& kernels() const { return winograd_; }
  // Of all images.
  TileRows rows() const { return {0, conv_.batch * image_tile_rows_}; }
  int64_t cols() const { return grid_.tile_cols; }

  // Neighbouring output channels, padded to `width`, whole vectors.
  struct Channels {
    int64_t first, count, width;
  };
  // Elements (Acc) of scratch that TransformGradients takes for `width` channels.
  int64_t scratch_elements(int64_t width) const;

  // zeros: a pixel of them. planes: where the first tile of `rows` belongs.
  void TransformInputs(const Conv2DArgs& args, const TileRows& rows, const void* zeros,
                       const TilePlanes& data, void* planes) const;
  // Adds the gradients' sums per channel to bias_sums, `width` of them.
  void TransformGradients(const Conv2DArgs& args, const TileRows& rows, const Channels& channels,
                          const TilePlanes& gradients, void* bias_sums, void* scratch,
                          void* planes) const;
  // What the transforms of these rows will read.
  void AddInputs(const Conv2DArgs& args, const TileRows& rows, ReadAhead* ahead) const;
  void AddGradients(const Conv2DArgs& args, const TileRows& rows, ReadAhead* ahead) const;

 private:
  // Where the transform finds the gradients: in the tensors, behind a pooling of 2x2 windows or
  // none, or in rows that were computed before.
  enum class Source { kTensor, kPool, kRows };
  static Source SourceOf(const Epilogue& epilogue);
  // Rows of the convolution's output per row of the tensors.
  int64_t pool_size() const { return source_ == Source::kPool ? 2 : 1; }

  // The gradients of the row of tiles that begins in a row of an image.
  WinogradGradientArgs InTensors(const Conv2DArgs& args, int64_t image, int64_t row,
                                 const Channels& channels) const;
  WinogradGradientArgs LoadRows(const Conv2DArgs& args, int64_t image, int64_t row,
                                const Channels& channels, void* dz) const;

  // Rows of an image, `count` of them, each `size` rows of the map that is cut into tiles. A tile
  // reads those of the map's rows [first, end) from its own first one on.
  struct AxisRows {
    int64_t count, size;
    int64_t first, end;
  };
  void AddRows(const TileRows& rows, const void* tensor, const AxisRows& axis, int64_t row_bytes,
               ReadAhead* ahead) const;

  const Kernels& kernels_;
  const Conv2DProblem conv_;
  const Epilogue epilogue_;
  const DropoutStage dropout_;
  const int64_t element_bytes_, acc_bytes_;
  const WinogradKernels& winograd_;
  const TileGrid grid_;
  const int64_t image_tile_rows_;
  const Source source_;
  void (*const gradient_transform_)(const WinogradGradientArgs&);
};

}  // namespace fastconv::cpu

#endif  // FASTCONV_CORE_CPU_WINOGRAD_FILTER_GRAD_TILES_H_
