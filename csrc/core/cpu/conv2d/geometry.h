// Which inputs meet which filter taps: the index arithmetic of a convolution, done once per plan.
//
// Forward and input gradient are the same computation. Forward: output i reads inputs i * stride +
// offset. Input gradient: the pixels of dx fall into stride x stride phases; within one, pixel i
// reads dz at i + offset for the taps of that phase. Both are "tap convolutions".
#ifndef FASTCONV_CORE_CPU_CONV2D_GEOMETRY_H_
#define FASTCONV_CORE_CPU_CONV2D_GEOMETRY_H_

#include <cstdint>
#include <vector>

#include "core/problem.h"

namespace fastconv::cpu {

// One filter tap: output (i, j) of its phase reads input (i * in_step + row, j * in_step + col).
struct Tap {
  int64_t filter_row, filter_col;
  int64_t row, col;
};

// Outputs on a grid: (i, j) of the phase is pixel (first_row + i * row_step, first_col + j *
// col_step).
struct Phase {
  int64_t rows, cols;
  int64_t first_row, row_step;
  int64_t first_col, col_step;
  std::vector<Tap> taps;  // empty: the outputs are zero
};

struct TapConvolution {
  int64_t in_rows, in_cols;
  int64_t in_row_step, in_col_step;
  // Slabs hold whole input rows, also columns that no tap reads.
  bool whole_rows;
  std::vector<Phase> phases;
};

TapConvolution ForwardTaps(const Window2D& window);
TapConvolution BackwardInputTaps(const Window2D& window);

// Output channels, of one group or of all together, cut into panels of two vectors (a last one of
// at most a vector has one). The operand of panel p is stored [depth][width(p)], panels one after
// the other.
class Panels {
 public:
  Panels(int64_t channels, int64_t lanes) : channels_(channels), lanes_(lanes) {}

  int64_t channels() const { return channels_; }
  int64_t count() const { return (channels_ + 2 * lanes_ - 1) / (2 * lanes_); }
  int64_t first_channel(int64_t panel) const { return panel * 2 * lanes_; }
  int64_t channels(int64_t panel) const {
    const int64_t rest = channels_ - first_channel(panel);
    return rest < 2 * lanes_ ? rest : 2 * lanes_;
  }
  int64_t vectors(int64_t panel) const { return channels(panel) <= lanes_ ? 1 : 2; }
  int64_t width(int64_t panel) const { return vectors(panel) * lanes_; }
  // Channels including the unused ones of the last vector; all panels before `panel` have whole
  // widths, so first_channel is also the sum of their widths.
  int64_t padded_channels() const { return first_channel(count() - 1) + width(count() - 1); }

 private:
  int64_t channels_;
  int64_t lanes_;
};

// [0, channels) in equal chunks that bound the slab; the reduction runs chunk by chunk.
struct ChannelChunks {
  int64_t channels;
  int64_t size;

  static ChannelChunks Of(int64_t channels);
  int64_t count() const { return (channels + size - 1) / size; }
  int64_t first(int64_t chunk) const { return chunk * size; }
  int64_t length(int64_t chunk) const {
    return channels - first(chunk) < size ? channels - first(chunk) : size;
  }
};

}  // namespace fastconv::cpu

#endif  // FASTCONV_CORE_CPU_CONV2D_GEOMETRY_H_
