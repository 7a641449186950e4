// What will be read next from memory, dealt out in small pieces to kernels that ask the cache for
// it while they compute.
#ifndef FASTCONV_CORE_CPU_WINOGRAD_READ_AHEAD_H_
#define FASTCONV_CORE_CPU_WINOGRAD_READ_AHEAD_H_

#include <algorithm>
#include <cstdint>

#include "core/cpu/workspace.h"

namespace fastconv::cpu {

class ReadAhead {
 public:
  static constexpr int64_t kLine = 64;

  struct Piece {
    const void* begin;
    int64_t lines;
  };

  void Add(const void* begin, int64_t bytes) {
    ranges_[count_++] = {begin, (bytes + kLine - 1) / kLine};
  }
  // Cuts pieces so that about `pieces` of them cover everything.
  void DealOut(int64_t pieces) {
    int64_t lines = 0;
    for (int i = 0; i < count_; ++i) lines += ranges_[i].lines;
    piece_lines_ = (lines + pieces - 1) / pieces;
  }
  Piece Next() {
    while (current_ < count_ && ranges_[current_].lines == 0) ++current_;
    if (current_ == count_) return {nullptr, 0};
    Piece& range = ranges_[current_];
    const Piece piece{range.begin, std::min(range.lines, piece_lines_)};
    range = {At(range.begin, piece.lines, kLine), range.lines - piece.lines};
    return piece;
  }

 private:
  static constexpr int kMaxRanges = 4;

  Piece ranges_[kMaxRanges];
  int count_ = 0, current_ = 0;
  int64_t piece_lines_ = 0;
};

}  // namespace fastconv::cpu

#endif  // FASTCONV_CORE_CPU_WINOGRAD_READ_AHEAD_H_
