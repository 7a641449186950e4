// Loads of a map's tiles into shared memory. The map may be dz, made on the way (folded.h).
#ifndef FASTCONV_CORE_CUDA_KERNELS_TILE_LOAD_H_
#define FASTCONV_CORE_CUDA_KERNELS_TILE_LOAD_H_

#include <cstdint>

#include "core/cuda/device/matrix.h"
#include "core/cuda/kernels/folded.h"
#include "core/cuda/kernels/tile.h"
#include "core/cuda/kernels/values.h"

namespace fastconv::cuda {

// Copies cannot change what they copy. So what the signs are taken from, and of a pooling the
// gradients too, passes through registers: loads of the next tile are under way there while this
// one is multiplied. dy behind an activation is copied, and changed in place by the thread that
// copied it, which needs no barrier.
template <class T, Folded kFolded, int kRows, int kColumns, int kBytes, int kPitch, class Team>
class TileLoad {
 public:
  static constexpr int kVector = kVectorOf<T>;  // channels of a run

  FASTCONV_DEVICE explicit TileLoad(const FoldedArgs& folded) : folded_(folded), factors_(folded) {}

  // Starts to load kRows x kColumns pixels from (row, column) of an image on, as FetchPixels does;
  // of a pooling, (row, column) >= -2, and part.map is of half the part's size.
  FASTCONV_DEVICE void Begin(const MapPart& part, int64_t image, int row, int column,
                             unsigned char* to) {
    if constexpr (kFolded == Folded::kNothing) {
      FetchPixels<T, kRows, kColumns, kBytes, kPitch, Team>(part, image, row, column, to);
    } else if constexpr (kFolded == Folded::kActivation) {
      const T* map = static_cast<const T*>(part.map);
      ForEachRun([&](int round, int i) {
        const PixelRun run = PixelRunAt<T, kColumns, kBytes>(part, image, row, column, i);
        CopyAsync(to + Offset(i), run.present ? map + run.from : map, run.present);
        loaded_[round] = {};
        if (run.present) loaded_[round] = Load<16>(static_cast<const T*>(folded_.y) + run.from);
      });
    } else {
      const MapPart cells = {part.map, part.height / 2, part.width / 2, part.channels,
                             part.first_channel};
      const int cell_row = (row + 2) / 2 - 1, cell_column = (column + 2) / 2 - 1;
      if (kMore > 0) {
        odd_row_ = row - 2 * cell_row;
        odd_column_ = column - 2 * cell_column;
      }
      ForEachRun([&](int round, int i) {
        const PixelRun run =
            PixelRunAt<T, kLoadedColumns, kBytes>(cells, image, cell_row, cell_column, i);
        loaded_[round] = {};
        code_[round] = {};
        if (run.present) {
          loaded_[round] = Load<16>(static_cast<const T*>(part.map) + run.from);
          code_[round] = Load<kVector>(folded_.code + run.from);
        }
      });
    }
  }

  // Makes the tile of what the thread has begun to load; its copies have arrived.
  FASTCONV_DEVICE void Finish(unsigned char* to) const {
    if constexpr (kFolded != Folded::kNothing) {
      ForEachValues(to, [](const float(&)[kVector]) {});
    }
  }

  // The same, and adds up what the tile has of the thread's channels.
  FASTCONV_DEVICE void FinishAndSum(unsigned char* to, float (&sum)[kVector]) const {
    ForEachValues(to, [&](const float(&v)[kVector]) {
      FASTCONV_UNROLL
      for (int c = 0; c < kVector; ++c) sum[c] += v[c];
    });
  }

 private:
  static constexpr int kRuns = kBytes / 16;  // of a pixel
  // Pixels, or cells of two by two. A tile with a border may begin within a cell.
  static constexpr bool kCells = kFolded == Folded::kPooling;
  static constexpr int kAlong = kCells ? 2 : 1, kMore = kCells && kColumns != kTile ? 1 : 0;
  static constexpr int kLoadedColumns = kColumns / kAlong + kMore;
  static constexpr int kLoads = (kRows / kAlong + kMore) * kLoadedColumns * kRuns;
  static constexpr int kRounds = (kLoads + Team::kThreads - 1) / Team::kThreads;
  static_assert(Team::kThreads % kRuns == 0, "all runs of a thread have the same channels");
  static constexpr int kRoundBytes = Team::kThreads / kRuns * kPitch;
  // What registers hold.
  static constexpr int kLoadedRounds = kFolded == Folded::kNothing ? 1 : kRounds;
  static constexpr int kCodeRounds = kFolded == Folded::kPooling ? kRounds : 1;

  // body(round, index of the run) for the thread's runs.
  template <class Body>
  static FASTCONV_DEVICE void ForEachRun(const Body& body) {
    FASTCONV_UNROLL
    for (int round = 0; round < kRounds; ++round) {
      const int i = Team::ThreadIndexAgain() + round * Team::kThreads;
      if (i < kLoads) body(round, i);
    }
  }

  // Of a run in the tile.
  static FASTCONV_DEVICE int Offset(int i) {
    const RunPlace at = RunPlaceOf<kBytes>(i);
    return at.pixel * kPitch + at.run * 16;
  }

  // Finishes the tile and calls body(values) for all that are not 0.
  template <class Body>
  FASTCONV_DEVICE void ForEachValues(unsigned char* to, const Body& body) const {
    if constexpr (kFolded == Folded::kPooling) {
      ForEachRun([&](int round, int i) {
        const FoldedCell<T> cell(factors_, loaded_[round], code_[round]);
        StoreCell(i, cell, to);
        float v[kVector];
        cell.Sum(v);
        body(v);
      });
    } else {
      const int first = Team::ThreadIndexAgain();
      unsigned char* const runs = to + Offset(first);
      FASTCONV_UNROLL
      for (int round = 0; round < kRounds; ++round) {
        if (first + round * Team::kThreads >= kLoads) break;
        T* run = reinterpret_cast<T*>(runs + round * kRoundBytes);
        float v[kVector];
        LoadValues(run, v);
        if constexpr (kFolded == Folded::kActivation) {
          FoldActivation<T>(folded_.activation, loaded_[round], v);
          StoreValues(v, run);
        }
        body(v);
      }
    }
  }

  FASTCONV_DEVICE void StoreCell(int i, const FoldedCell<T>& run, unsigned char* to) const {
    const RunPlace at = RunPlaceOf<kBytes>(i);
    const int top = 2 * (at.pixel / kLoadedColumns) - odd_row_;
    const int left = 2 * (at.pixel % kLoadedColumns) - odd_column_;
    FASTCONV_UNROLL
    for (int k = 0; k < 4; ++k) {
      const int row = top + k / 2, column = left + k % 2;
      if (row < 0 || row >= kRows || column < 0 || column >= kColumns) continue;
      float v[kVector];
      run.AtPixel(k, v);
      StoreValues(v, reinterpret_cast<T*>(to + Offset((row * kColumns + column) * kRuns + at.run)));
    }
  }

  const FoldedArgs& folded_;
  const FoldedFactors<T> factors_;
  Bits<16> loaded_[kLoadedRounds];  // of y, or of dy at cells
  Bits<kVector> code_[kCodeRounds];
  int odd_row_ = 0, odd_column_ = 0;  // of the tile's first cell, the part before the tile
};

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_KERNELS_TILE_LOAD_H_
