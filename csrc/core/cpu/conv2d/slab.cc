#include "core/cpu/conv2d/slab.h"

#include <algorithm>
#include <cstring>

#include "core/cpu/workspace.h"

namespace fastconv::cpu {
namespace {

constexpr int64_t kCloseElements = 16;

}  // namespace

Slab::Slab(const TapConvolution& convolution, const Phase& phase, int64_t channels)
    : channels_(channels),
      in_rows_(convolution.in_rows),
      in_cols_(convolution.in_cols),
      in_row_step_(convolution.in_row_step),
      in_col_step_(convolution.in_col_step),
      deal_step_(in_col_step_ * channels <= kCloseElements ? 1 : in_col_step_),
      taps_(phase.taps) {
  if (taps_.empty()) return;
  const auto by_row = [](const Tap& a, const Tap& b) { return a.row < b.row; };
  const auto by_col = [](const Tap& a, const Tap& b) { return a.col < b.col; };
  const auto [min_row, max_row] = std::minmax_element(taps_.begin(), taps_.end(), by_row);
  const auto [min_col, max_col] = std::minmax_element(taps_.begin(), taps_.end(), by_col);
  min_row_ = min_row->row;
  row_span_ = max_row->row - min_row_ + 1;
  min_col_ = min_col->col;
  int64_t end_col = (phase.cols - 1) * in_col_step_ + max_col->col + 1;
  if (convolution.whole_rows) {
    min_col_ = std::min<int64_t>(min_col_, 0);
    end_col = std::max(end_col, convolution.in_cols);
  }
  phase_cols_ = (end_col - min_col_ + deal_step_ - 1) / deal_step_;
  row_stride_ = deal_step_ * phase_cols_ * channels_;
  std::sort(taps_.begin(), taps_.end(),
            [this](const Tap& a, const Tap& b) { return TapOffset(a) < TapOffset(b); });
}

int64_t Slab::TapOffset(const Tap& tap) const {
  const int64_t col = tap.col - min_col_;
  return (tap.row - min_row_) * row_stride_ +
         (col % deal_step_ * phase_cols_ + col / deal_step_) * channels_;
}

bool Slab::RowIsRead(int64_t slab_row) const {
  return std::any_of(taps_.begin(), taps_.end(), [&](const Tap& tap) {
    return (slab_row - (tap.row - min_row_)) % in_row_step_ == 0;
  });
}

FilledRows Slab::filled(const Band& band) const {
  const int64_t first_row = band.first_row * in_row_step_ + min_row_;
  return {-first_row, in_rows_ - first_row, in_row_step_};
}

void Slab::Fill(const Band& band, size_t element_bytes, void* dst, const LoadRow& load_row) const {
  if (taps_.empty()) return;
  const int64_t first_row = band.first_row * in_row_step_ + min_row_;
  const size_t pixel_bytes = channels_ * element_bytes;
  for (int64_t r = 0; r < rows(band.rows); ++r) {
    if (!RowIsRead(r)) continue;
    void* row = At(dst, r * row_stride_, element_bytes);
    if (first_row + r < 0 || first_row + r >= in_rows_) {
      std::memset(row, 0, row_stride_ * element_bytes);
      continue;
    }
    for (int64_t remainder = 0; remainder < deal_step_; ++remainder) {
      // Input columns start + i * step, i in [0, phase_cols): zeros, [begin, end) of the image,
      // zeros.
      const int64_t start = min_col_ + remainder;
      const auto first_not_below = [&](int64_t col) {
        const int64_t i = col <= start ? 0 : (col - start + deal_step_ - 1) / deal_step_;
        return std::min(i, phase_cols_);
      };
      const int64_t begin = first_not_below(0);
      const int64_t end = first_not_below(in_cols_);
      char* cols = static_cast<char*>(row) + remainder * phase_cols_ * pixel_bytes;
      std::memset(cols, 0, begin * pixel_bytes);
      if (begin < end) {
        load_row({first_row + r, start + begin * deal_step_, end - begin, deal_step_,
                  cols + begin * pixel_bytes});
      }
      std::memset(cols + end * pixel_bytes, 0, (phase_cols_ - end) * pixel_bytes);
    }
  }
}

std::vector<std::vector<Run>> Slab::Runs(int64_t max_depth) const {
  std::vector<std::vector<Run>> groups;
  int64_t depth = max_depth;  // of the last group
  for (const Tap& tap : taps_) {
    int64_t offset = TapOffset(tap);
    for (int64_t rest = channels_; rest > 0;) {
      if (depth == max_depth) {
        groups.emplace_back();
        depth = 0;
      }
      const int64_t length = std::min(rest, max_depth - depth);
      std::vector<Run>& runs = groups.back();
      const int64_t row = tap.row - min_row_;
      if (!runs.empty() && runs.back().row == row &&
          runs.back().offset + runs.back().length == offset) {
        runs.back().length += length;
      } else {
        runs.push_back({offset, length, row});
      }
      offset += length;
      rest -= length;
      depth += length;
    }
  }
  return groups;
}

int64_t RowsPerBand(const Phase& phase, const Slab& slab, int64_t sums_row_bytes, int64_t acc_bytes,
                    int64_t images, int num_threads) {
  constexpr int64_t kSlabBytes = 256 << 10;
  constexpr int64_t kSumsBytes = 128 << 10;
  // Enough items for threads to even out what each lost to other processes.
  constexpr int64_t kItemsPerThread = 4;
  int64_t rows = phase.rows;
  const int64_t wanted_items = kItemsPerThread * num_threads;
  images = std::max<int64_t>(images, 1);
  if (images < wanted_items) {
    const int64_t bands = (wanted_items + images - 1) / images;
    rows = std::max<int64_t>(rows / bands, 1);
  }
  rows = std::min(rows, std::max<int64_t>(kSumsBytes / sums_row_bytes, 1));
  while (rows > 1 && slab.elements(rows) * acc_bytes > kSlabBytes) --rows;
  // Equal bands.
  const int64_t bands = (phase.rows + rows - 1) / rows;
  return (phase.rows + bands - 1) / bands;
}

}  // namespace fastconv::cpu
