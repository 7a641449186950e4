// The kernels: what each computes and its arguments, plain data. One table of function pointers
// per (instruction set, element type).
//
// T is the element type of tensors, Acc its accumulation type; the argument structs say which one a
// pointer has. Strides and offsets count elements. Kernels run in the calling thread; passes and
// algorithms in core/cpu cut the work.
#ifndef FASTCONV_CORE_CPU_KERNELS_KERNELS_H_
#define FASTCONV_CORE_CPU_KERNELS_KERNELS_H_

#include <cstdint>

#include "core/cpu/kernels/pointwise_stage.h"
#include "core/cpu/kernels/winograd_kernels.h"
#include "core/cpu_features.h"
#include "core/dtype.h"
#include "core/problem.h"

namespace fastconv::cpu {

// ---- copies between tensors and scratch -----------------------------------------------------

// dst[row][0, width) = src[row][0, columns), then zeros. T -> Acc.
struct LoadRowsArgs {
  const void* src;  // T
  int64_t src_stride;
  void* dst;  // Acc
  int64_t dst_stride;
  int64_t rows, columns, width;
};

// dst[column][0, width) = src[0, rows)[column], then zeros: a transposition. T -> Acc.
struct LoadTransposedArgs {
  const void* src;  // T
  int64_t src_stride;
  void* dst;  // Acc
  int64_t dst_stride;
  int64_t rows, columns, width;
};

// dst[row][0, columns) = src[row][...]. Acc -> T.
struct StoreRowsArgs {
  const void* src;  // Acc
  int64_t src_stride;
  void* dst;  // T
  int64_t dst_stride;
  int64_t rows, columns;
};

// dst[i] = src[i], past the caches where dst is aligned to a cache line. T.
struct CopyArgs {
  const void* src;
  void* dst;
  int64_t elements;
};

// dst[0, columns) += sum over rows of src[row][...]; columns is a multiple of the lanes. Acc.
struct AddRowsArgs {
  const void* src;  // Acc
  int64_t src_stride;
  void* dst;  // Acc
  int64_t rows, columns;
};

// ---- matrix products of a convolution -------------------------------------------------------

// Consecutive elements of the slab (the padded input in scratch) that one output pixel is
// multiplied with. A filter row over stride-1, dilation-1 columns is one run of S * C elements.
struct Run {
  int64_t offset;
  int64_t length;
  int64_t row;  // of the slab, for output row 0: all elements of a run lie in one
};

// Slab rows [begin, end) hold rows of the image, those around them nothing but zeros, which need no
// multiplication. Output row i of a run lies in slab row i * step + run.row.
struct FilledRows {
  int64_t begin, end;
  int64_t step;
};

// acc[i][j][0, width) (+)= sum over d of slab[i * row_stride + j * pixel_stride + (d-th element of
// the runs)] * panel[d][0, width), width = vectors * lanes.
struct ConvRowsArgs {
  const void* slab;  // Acc
  int64_t row_stride, pixel_stride;
  const Run* runs;
  int64_t num_runs;
  FilledRows filled;
  const void* panel;  // Acc
  int64_t vectors;    // 1 or 2
  void* acc;          // Acc [rows][cols][width]
  int64_t rows, cols;
  bool accumulate;
  // From one d of the panel to the next; 0: the width. With a stride, `prefetch_lines` cache lines
  // from `prefetch` on are asked for on the way.
  int64_t panel_stride = 0;
  const void* prefetch = nullptr;
  int64_t prefetch_lines = 0;
};

// acc[d][0, width) += sum over pixels p = (image, i, j) of
//   slab[image * image_stride + i * row_stride + j * pixel_stride + (d-th element of the runs)] *
//   dz[(image * rows + i) * dz_row_stride + j * dz_pixel_stride + 0 .. width).
struct FilterGradArgs {
  const void* slab;  // Acc
  int64_t image_stride, row_stride, pixel_stride;
  const Run* runs;
  int64_t num_runs;
  FilledRows filled;  // of each image
  const void* dz;     // Acc
  int64_t dz_row_stride, dz_pixel_stride;
  int64_t vectors;  // 1 or 2
  void* acc;        // Acc [sum of run lengths][width]
  int64_t images, rows, cols;
};

// The same for rows of one image, with dz = dy * (y > 0 ? 1 : slope); bias_sums[0, width) += the
// sum of dz. On the way `prefetch_lines` cache lines from `prefetch` on are asked for, and as many
// that lie `prefetch_twin` bytes further.
struct DirectFilterGradArgs {
  FilterGradArgs products;           // dz and its strides are not looked at
  const void* dy;                    // T
  const void* y;                     // T, or null for dz = dy
  int64_t row_stride, pixel_stride;  // of dy and y
  int64_t channels;                  // up to the width
  double negative_slope;
  void* dz;         // Acc, scratch for [rows][cols][width]
  void* bias_sums;  // Acc, or null
  const void* prefetch;
  int64_t prefetch_bytes, prefetch_twin;
};

// sums[c][0, width) (+)= sum over tiles t of data[t * data_stride + c] *
//   gradients[t * gradient_stride + 0 .. width).
// On the way `prefetch_lines` cache lines from `prefetch` on are asked for.
struct TileProductsArgs {
  const void* data;  // Acc
  int64_t data_stride;
  const void* gradients;  // Acc
  int64_t gradient_stride;
  int64_t tiles, channels;
  int64_t vectors;  // 1 or 2
  void* sums;       // Acc [channels][width]
  bool accumulate;
  const void* prefetch;
  int64_t prefetch_lines;
};

// ---- convolutions of narrow groups, lanes across groups (grouped.h) -------------------------

// Gives each output channel inputs of its own: for out = first_out + lane, lane < channels,
//   dst[pixel][i][lane] = src[pixel][(out / out_per_group - g) * in_per_group + i],
// g the group of first_out. Two vectors past the end of src may be read. Acc.
struct SpreadGroupsArgs {
  const void* src;
  int64_t src_stride;
  void* dst;
  int64_t pixels, in_per_group, out_per_group;
  int64_t first_out, channels, width;
};

// acc[i][j][lane] = sum over e of
//   slab[i * row_stride + j * pixel_stride + elements[e].offset + lane] * panel[e][lane],
// lanes [0, vectors * lanes); a Run of one vector per element.
struct GroupedRowsArgs {
  const void* slab;  // Acc
  int64_t row_stride, pixel_stride;
  const Run* elements;
  int64_t num_elements;
  FilledRows filled;
  const void* panel;  // Acc, rows panel_stride apart
  int64_t panel_stride;
  int64_t vectors;  // 1 or 2
  void* acc;        // Acc [rows][cols][width]
  int64_t rows, cols;
};

// acc[e][lane] += sum over i, j of
//   slab[i * row_stride + j * pixel_stride + elements[e].offset + lane] * dz[i][j][lane].
struct GroupedFilterGradArgs {
  const void* slab;  // Acc
  int64_t row_stride, pixel_stride;
  const Run* elements;
  int64_t num_elements;
  const void* dz;   // Acc [rows][cols][width]
  int64_t vectors;  // 1 or 2
  void* acc;        // Acc [num_elements][width]
  int64_t rows, cols;
};

// ---- convolutions to few channels (few_outputs.h) -------------------------------------------

constexpr int64_t kAddTapsChannels = 4;

// acc[i][j][0, kAddTapsChannels) (+)= sum over t of
//   products[i * row_stride + j * pixel_stride + offsets[t] + 0, kAddTapsChannels).
struct AddTapsArgs {
  const void* products;  // Acc
  int64_t row_stride, pixel_stride;
  const int64_t* offsets;
  int64_t num_taps;
  void* acc;  // Acc [rows][cols][kAddTapsChannels]
  int64_t rows, cols;
  bool accumulate;
};

// ---- what surrounds a convolution -----------------------------------------------------------

// y = stage(src) over rows x cols pixels of `channels`.
struct MapRowsArgs {
  const void* src;  // Acc or T, see the table
  int64_t src_row_stride, src_pixel_stride;
  void* y;  // T
  int64_t y_row_stride, y_pixel_stride;
  int64_t rows, cols, channels;
  PointwiseStage stage;
  // y is larger than the caches: write around them, which saves reading its memory first.
  bool around_caches = false;
};

// y, code = max_pool(stage(src)) for the pooled rows [first_row, first_row + rows).
struct PoolRowsArgs {
  const void* src;  // Acc or T, see the table; points at the map's row `src_first_row`
  int64_t src_row_stride, src_pixel_stride;
  int64_t src_first_row;
  void* y;                               // T, at the first pooled row
  void* code;                            // the spec's code type
  int64_t y_row_stride, y_pixel_stride;  // of y and of code
  int64_t first_row, rows, channels;
  PointwiseStage stage;
  const MaxPoolSpec* pool;
};

// y = stage(sums of `products`), sums as of conv_rows, each finished while it is in registers; or
// y, code = 2x2 max pooling with stride 2 of that, of rows / 2 x cols / 2 windows.
struct DirectRowsArgs {
  ConvRowsArgs products;                 // acc and accumulate are not looked at
  int64_t channels;                      // up to the width
  PointwiseStage stage;                  // without mean and scale
  void* y;                               // T
  void* code;                            // uint8_t, direct_pool only
  int64_t y_row_stride, y_pixel_stride;  // of y and of code
  bool around_caches;                    // direct_map: see MapRowsArgs
};

// dz[row][col][0, width) = gradient at the input of activation and pooling, for the map's rows
// [first_row, first_row + rows): dy through the code if pooled, else dy * (y > 0 ? 1 : slope) where
// y is given, else dy itself. Channels beyond `channels` are zero.
struct GradRowsArgs {
  const void* dy;  // T, at (image, row 0, column 0, first channel); pooled: of the pooled map
  const void* y;   // T, likewise, or null
  const void* code;
  int64_t pixel_stride;  // of dy, y, code
  int64_t first_row, rows, cols;
  int64_t channels, width;
  void* dz;  // Acc
  int64_t dz_row_stride, dz_pixel_stride;
  double negative_slope;  // 1 for a linear activation
  const MaxPoolSpec* pool;
  double scale = 1;  // of dy, where pooled
};

// Per channel over rows x cols pixels: mean, and the sum of squared deviations from it.
struct StatisticsArgs {
  const void* z;  // T
  int64_t row_stride, pixel_stride;
  int64_t rows, cols, channels;
  void* mean;  // Acc, room for whole vectors
  void* sum_squared_deviations;
};

// Backward of normalisation. da = gradient at the activation's input: `da` itself or, if
// `differentiate_activation`, da * activation'((z - mean) * scale + shift); xhat = (z - mean) *
// inverse_deviation.
struct BatchNormGradArgs {
  const void* z;   // T
  const void* da;  // Acc
  int64_t z_row_stride, z_pixel_stride;
  int64_t da_row_stride, da_pixel_stride;
  int64_t rows, cols, channels;
  PointwiseStage stage;
  const void* inverse_deviation;  // Acc, whole vectors
  bool differentiate_activation;
  // sums: added to. apply: coefficients.
  void* sum_da;       // Acc, room for whole vectors; apply: mean of da over the samples
  void* sum_da_xhat;  // Acc; apply: mean of da * xhat
  void* dz;           // T; apply only: scale * (da - sum_da - xhat * sum_da_xhat), strides of z
};

// ---- dropout ----------------------------------------------------------------------------------

// A sequence of uniform numbers and what becomes of them (dropout.h).
struct DropoutStream {
  uint32_t key[2];
  uint32_t counter[2];  // its upper half; the lower one counts along the sequence
  int64_t threshold;    // a number's bits are at least this: the value is kept
  double scale;         // of values that are kept
};

// values = number is kept ? values * scale : 0 over rows x cols pixels of `channels`. Number
// first_number + row * number_row_stride + col * number_pixel_stride + channel belongs to a value.
struct DropRowsArgs {
  void* values;  // T or Acc, see the table
  void* code;    // null, or codes of pooled cells, marked where the value is dropped
  DataType code_type;
  int64_t row_stride, pixel_stride;  // of values and of code
  int64_t rows, cols, channels;
  const DropoutStream* stream;
  int64_t first_number, number_row_stride, number_pixel_stride;
};

// ---- optimizers -------------------------------------------------------------------------------

constexpr int64_t kMaxSlots = 3;

// A step of a rule (weight_update.h) over `elements` of a weight and its slots. Results may be in
// place. All Acc.
struct UpdateWeightArgs {
  UpdateRule rule;
  const void* weight;
  const void* slots[kMaxSlots];
  const void* gradient;
  const void* factors;
  void* new_weight;
  void* new_slots[kMaxSlots];
  int64_t elements;
};

struct Kernels {
  Isa isa;
  DataType dtype;
  int64_t lanes;  // of an Acc vector

  void (*load_rows)(const LoadRowsArgs&);
  void (*load_transposed)(const LoadTransposedArgs&);
  void (*store_rows)(const StoreRowsArgs&);
  void (*copy_around_caches)(const CopyArgs&);
  void (*add_rows)(const AddRowsArgs&);
  void (*conv_rows)(const ConvRowsArgs&);
  void (*filter_grad)(const FilterGradArgs&);
  void (*tile_products)(const TileProductsArgs&);
  void (*spread_groups)(const SpreadGroupsArgs&);
  void (*grouped_rows)(const GroupedRowsArgs&);
  void (*grouped_filter_grad)(const GroupedFilterGradArgs&);
  void (*add_taps)(const AddTapsArgs&);
  void (*direct_map)(const DirectRowsArgs&);
  void (*direct_pool)(const DirectRowsArgs&);
  void (*direct_filter_grad)(const DirectFilterGradArgs&);
  void (*map_rows_from_acc)(const MapRowsArgs&);
  void (*map_rows_from_tensor)(const MapRowsArgs&);
  void (*pool_rows_from_acc)(const PoolRowsArgs&);
  void (*pool_rows_from_tensor)(const PoolRowsArgs&);
  void (*grad_rows)(const GradRowsArgs&);
  void (*statistics)(const StatisticsArgs&);
  void (*batch_norm_grad_sums)(const BatchNormGradArgs&);
  void (*batch_norm_grad_apply)(const BatchNormGradArgs&);
  DropoutStream (*dropout_stream)(const DropoutSpec&);
  void (*drop_rows_of_tensor)(const DropRowsArgs&);
  void (*drop_rows_of_acc)(const DropRowsArgs&);  // by the numbers of T
  void (*update_weight)(const UpdateWeightArgs&);

  const WinogradKernels* winograd;  // one per kTileShapes; null for float64
};

// The table of an instruction set, which the CPU must have, for a floating-point type.
const Kernels& GetKernels(Isa isa, DataType dtype);

namespace baseline {
const Kernels& GetKernels(DataType dtype);
}
namespace avx2 {
const Kernels& GetKernels(DataType dtype);
}
namespace avx512 {
const Kernels& GetKernels(DataType dtype);
}

}  // namespace fastconv::cpu

#endif  // FASTCONV_CORE_CPU_KERNELS_KERNELS_H_
