// Tiles of 16x16 pixels, into which kernels for convolutions cut a map, the threads that share one,
// and how it gets into shared memory.
#ifndef FASTCONV_CORE_CUDA_KERNELS_TILE_H_
#define FASTCONV_CORE_CUDA_KERNELS_TILE_H_

#include <cstdint>

#include "core/cuda/device/matrix.h"

namespace fastconv::cuda {

constexpr int kTile = 16;

struct Tile {
  int64_t image;
  int row, column;  // of its first pixel
};

// tile_rows, tile_columns: of an image. kRows: pixels that a tile is high.
template <int kRows = kTile>
FASTCONV_DEVICE Tile TileAt(int index, int tile_rows, int tile_columns) {
  const int rows = index / tile_columns;
  const int image = rows / tile_rows;
  return {image, (rows - image * tile_rows) * kRows, (index - rows * tile_columns) * kTile};
}

// The threads that share a tile: those of a block, or one of the two halves that it consists of.
template <int kTeamThreads, int kTeamsOfBlock = 1>
struct Team {
  static constexpr int kThreads = kTeamThreads, kTeams = kTeamsOfBlock;
  static_assert(kTeams == 1 || kTeams == 2, "see ThreadIndexAgain");

  // Of the block's teams.
  static FASTCONV_DEVICE int Index() {
    return kTeams == 1 ? 0 : WarpIndex() / (kThreads / kWarpSize);
  }
  // As device.h's, among the team.
  static FASTCONV_DEVICE int ThreadIndexAgain() {
    const int thread = cuda::ThreadIndexAgain();
    return kTeams == 1 || thread < kThreads ? thread : thread - kThreads;
  }
  static FASTCONV_DEVICE void Sync() {
    if constexpr (kTeams == 1) {
      SyncThreads();
    } else {
      SyncGroup(1 + Index(), kThreads);
    }
  }
};

// Channels of a map of pixels.
struct MapPart {
  const void* map;  // [images][height][width][channels]
  int height, width, channels;
  int first_channel;
};

// 16 bytes of a pixel's channels.
struct PixelRun {
  int64_t from;  // element of the map
  bool present;
};

// Pixel and run in it of run i of pixels of kBytes each; without signs, divisions are short.
struct RunPlace {
  unsigned pixel, run;
};
template <int kBytes>
FASTCONV_DEVICE RunPlace RunPlaceOf(int i) {
  constexpr unsigned kRuns = kBytes / 16;
  const unsigned index = static_cast<unsigned>(i);
  return {index / kRuns, index % kRuns};
}

// Run i of rows of kColumns pixels from (row, column) of an image on, each with kBytes of channels.
template <class T, int kColumns, int kBytes>
FASTCONV_DEVICE PixelRun PixelRunAt(const MapPart& part, int64_t image, int row, int column,
                                    int i) {
  const RunPlace at = RunPlaceOf<kBytes>(i);
  const int below = at.pixel / kColumns, right = at.pixel % kColumns;
  const int channel = at.run * (16 / static_cast<int>(sizeof(T)));
  // 64 bits only for what is the same for all runs.
  const int64_t first = ((image * part.height + row) * part.width + column) * part.channels;
  const int offset = (below * part.width + right) * part.channels + part.first_channel + channel;
  const auto inside = [](int i, int count) {
    return static_cast<unsigned>(i) < static_cast<unsigned>(count);
  };
  return {first + offset, inside(row + below, part.height) && inside(column + right, part.width) &&
                              part.first_channel + channel < part.channels};
}

// Starts copies of kRows x kColumns pixels from (row, column) of an image on, each kBytes of
// channels kPitch bytes apart; zeros outside of the map.
template <class T, int kRows, int kColumns, int kBytes, int kPitch, class Team>
FASTCONV_DEVICE void FetchPixels(const MapPart& part, int64_t image, int row, int column,
                                 unsigned char* to) {
  constexpr int kRuns = kBytes / 16;
  const T* map = static_cast<const T*>(part.map);
  for (int i = Team::ThreadIndexAgain(); i < kRows * kColumns * kRuns; i += Team::kThreads) {
    const PixelRun run = PixelRunAt<T, kColumns, kBytes>(part, image, row, column, i);
    const RunPlace at = RunPlaceOf<kBytes>(i);
    CopyAsync(to + at.pixel * kPitch + at.run * 16, run.present ? map + run.from : map,
              run.present);
  }
}

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_KERNELS_TILE_H_
