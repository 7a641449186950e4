// The input of a few output rows, padded and laid out for the matrix product.
#ifndef FASTCONV_CORE_CPU_CONV2D_SLAB_H_
#define FASTCONV_CORE_CPU_CONV2D_SLAB_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "core/cpu/conv2d/geometry.h"
#include "core/cpu/epilogue.h"
#include "core/cpu/kernels/kernels.h"

namespace fastconv::cpu {

// The slab: the input rows of a band of output rows, padded, in scratch. Columns are dealt out by
// their remainder modulo the column step, so that the inputs of neighbouring outputs are
// neighbours for every stride:
//   [row][col % step][col / step][channel];
// not so where channels are so few that a step does not leave the cache line.
// An output pixel's reduction is then a few runs of consecutive elements (Run, kernels.h).
class Slab {
 public:
  Slab(const TapConvolution& convolution, const Phase& phase, int64_t channels);

  // Between the inputs of neighbouring outputs, and of neighbouring output rows.
  int64_t pixel_stride() const { return in_col_step_ / deal_step_ * channels_; }
  int64_t output_row_stride() const { return in_row_step_ * row_stride_; }
  int64_t elements(int64_t output_rows) const { return rows(output_rows) * row_stride_; }
  int64_t channels() const { return channels_; }
  // Where an output row's first pixel meets the first tap.
  int64_t first_tap_offset() const { return TapOffset(taps_.front()); }
  // Which slab rows of a band are not padding.
  FilledRows filled(const Band& band) const;
  // Filter taps in the order in which their elements follow each other in the runs.
  const std::vector<Tap>& taps() const { return taps_; }
  // The runs, in groups of at most `max_depth` elements.
  std::vector<std::vector<Run>> Runs(int64_t max_depth) const;

  // Valid columns of one input row: [first_col, first_col + cols * col_step) in steps, to dst,
  // whose pixels lie channels() apart.
  struct Row {
    int64_t row;
    int64_t first_col, cols, col_step;
    void* dst;
  };
  using LoadRow = std::function<void(const Row&)>;
  // Fills dst with the inputs of a band of output rows: zeros where the input is padding, the rest
  // through `load_row`.
  void Fill(const Band& band, size_t element_bytes, void* dst, const LoadRow& load_row) const;

 private:
  int64_t rows(int64_t output_rows) const { return (output_rows - 1) * in_row_step_ + row_span_; }
  int64_t TapOffset(const Tap& tap) const;
  bool RowIsRead(int64_t slab_row) const;

  int64_t channels_;
  int64_t in_rows_, in_cols_;
  int64_t in_row_step_, in_col_step_;
  int64_t deal_step_;                   // columns are dealt out by their remainder modulo this
  int64_t min_row_ = 0, row_span_ = 0;  // input rows relative to an output row's first
  int64_t min_col_ = 0;                 // input column of slab column 0
  int64_t phase_cols_ = 0;              // slab columns per remainder
  int64_t row_stride_ = 0;
  std::vector<Tap> taps_;
};

// Rows of the equal bands into which a phase is cut: slab and sums of one stay in a second level of
// cache, and `images` (times what else is computed apart) yield enough items for every thread.
int64_t RowsPerBand(const Phase& phase, const Slab& slab, int64_t sums_row_bytes, int64_t acc_bytes,
                    int64_t images, int num_threads);

}  // namespace fastconv::cpu

#endif  // FASTCONV_CORE_CPU_CONV2D_SLAB_H_
