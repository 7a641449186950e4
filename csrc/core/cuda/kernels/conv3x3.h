// 3x3 convolution, stride 1, on tensor cores, with bias, activation and 2x2 max pooling in the
// registers that hold the sums; rotated, the gradient of its input.
//
// A block computes tiles of 16x16 pixels x kOutputs channels, one after the other. For each tile it
// walks over chunks of 64 bytes of input channels; pixels with a border of 1, and the filter, come
// into shared memory by asynchronous copies, the next chunk or tile while this one is computed. A
// filter of one chunk stays there.
#ifndef FASTCONV_CORE_CUDA_KERNELS_CONV3X3_H_
#define FASTCONV_CORE_CUDA_KERNELS_CONV3X3_H_

#include <cstdint>

#include "core/cuda/device/matrix.h"
#include "core/cuda/kernels/tile.h"
#include "core/cuda/kernels/tile_load.h"
#include "core/cuda/kernels/tile_statistics.h"
#include "core/cuda/kernels/warp_sums.h"

namespace fastconv::cuda {

template <class T, Precision kPrecision, int kOutputs, bool kRotated, Conv3x3Result kResult,
          Folded kFolded>
struct Conv3x3 {
  using Args = Conv3x3Args;
  using Sums = WarpSums<T, kPrecision, OutputOrder::kInTurn>;
  static constexpr int kTileWarps = kTile / Sums::kRows;
  static constexpr int kThreads = kTileWarps * (kOutputs / Sums::kOutputs) * kWarpSize;
  static constexpr int kElement = static_cast<int>(sizeof(T));
  // What shared memory holds of an H200.
  static constexpr int kMinBlocks = kOutputs > 32                                     ? 1
                                    : kElement == 4 || kFolded == Folded::kActivation ? 2
                                                                                      : 3;

  static constexpr int kCopyBytes = 16, kCopy = kCopyBytes / kElement;
  static constexpr int kChunkBytes = 64, kChunk = kChunkBytes / kElement;
  static constexpr int kDepth = Sums::Product::kDepth;
  // Pitches put 8 rows of a fragment into different banks.
  static constexpr int kPixelPitch = kChunkBytes + 16;
  static constexpr int kHalo = kTile + 2;
  static constexpr int kFilterRows = kRotated ? kOutputs : kChunk;  // of a tap
  static constexpr int kFilterRowBytes = kRotated ? kChunkBytes : kOutputs * kElement;
  static constexpr int kFilterPitch = kFilterRowBytes + (!kRotated && kElement == 4 ? 32 : 16);
  static constexpr int kPixelBytes = kHalo * kHalo * kPixelPitch;
  static constexpr int kFilterBytes = 9 * kFilterRows * kFilterPitch;
  static_assert(kPixelBytes % 16 == 0 && kFilterBytes % 16 == 0, "copies are 16 bytes");
  static_assert(kChunk % kDepth == 0 && kOutputs % Sums::kOutputs == 0, "whole fragments");

  static constexpr bool kStatistics = kResult == Conv3x3Result::kMapAndStatistics;
  static constexpr bool kPooled = kResult == Conv3x3Result::kPooledMap;
  using Statistics = TileStatistics<T, Sums, kOutputs>;

  static constexpr int SharedBytes(int chunks) {
    return SlotBytes(chunks) + (kStatistics ? Statistics::kSharedBytes
                                : kPooled   ? static_cast<int>(sizeof(DropoutState))
                                            : 0);
  }

  static FASTCONV_DEVICE void Run(const Args& args) {
    Conv3x3 thread(args);
    thread.Tiles();
    if constexpr (kStatistics) thread.statistics_.StoreSums(args, thread.first_output_);
  }

 private:
  using FilterFragments = typename Sums::FilterFragments;

  FASTCONV_DEVICE explicit Conv3x3(const Args& args)
      : args_(args),
        shared_(SharedMemory()),
        first_output_(BlockIndex().y * kOutputs),
        warp_row_(WarpIndex() % kTileWarps * Sums::kRows),
        warp_output_(WarpIndex() / kTileWarps * Sums::kOutputs),
        statistics_(shared_ + SlotBytes(args.chunks), WarpIndex() % kTileWarps, warp_output_),
        load_(args.folded) {}

  static constexpr FASTCONV_HOST_DEVICE int SlotBytes(int chunks) {
    return 2 * kPixelBytes + (chunks == 1 ? 1 : 2) * kFilterBytes;
  }

  FASTCONV_DEVICE void Tiles() {
    const int first = BlockIndex().x, step = GridSize().x;
    if (first >= args_.tiles) return;
    int slot = 0;
    if constexpr (kPooled) {
      if (ThreadIndex() == 0) Dropout() = DropoutStateOf<T>(args_.dropout);
    }
    if (args_.chunks == 1) FetchFilter(0, Filter(slot));
    Fetch(first, 0, slot);
    for (int tile = first; tile < args_.tiles; tile += step) {
      sums_.Clear();
      for (int chunk = 0; chunk < args_.chunks; ++chunk) {
        const bool last = chunk + 1 == args_.chunks;
        const int next_tile = last ? tile + step : tile;
        WaitForCopies<0>();
        load_.Finish(Pixels(slot));
        SyncThreads();  // behind it all have left the other slot
        if (next_tile < args_.tiles) Fetch(next_tile, last ? 0 : chunk + 1, slot ^ 1);
        MultiplyChunk(slot);
        slot ^= 1;
      }
      Tile at = TileAt(tile, args_.tile_rows, args_.tile_columns);
      if constexpr (kStatistics) {
        statistics_.StoreMap(args_, sums_, at, first_output_, tile == first);
      } else {
        at.row += warp_row_;
        const int output = first_output_ + warp_output_;
        if constexpr (kPooled) {
          sums_.StorePooledMap(args_, at, output, Dropout());
        } else {
          sums_.template StoreMap</*kAnyOutputs=*/kRotated>(args_, at, output);
        }
      }
    }
  }

  // Filters of one chunk stay in the first slot.
  FASTCONV_DEVICE int FilterSlot(int slot) const { return args_.chunks == 1 ? 0 : slot; }
  FASTCONV_DEVICE unsigned char* Pixels(int slot) const { return shared_ + slot * kPixelBytes; }
  FASTCONV_DEVICE unsigned char* Filter(int slot) const {
    return shared_ + 2 * kPixelBytes + FilterSlot(slot) * kFilterBytes;
  }

  FASTCONV_DEVICE DropoutState& Dropout() const {
    return *reinterpret_cast<DropoutState*>(shared_ + SlotBytes(args_.chunks));
  }

  FASTCONV_DEVICE void Fetch(int tile_index, int chunk, int slot) {
    const int first_channel = chunk * kChunk;
    const Tile tile = TileAt(tile_index, args_.tile_rows, args_.tile_columns);
    const MapPart part = {args_.x, args_.height, args_.width, args_.channels, first_channel};
    load_.Begin(part, tile.image, tile.row - args_.pad_h, tile.column - args_.pad_w, Pixels(slot));
    if (args_.chunks > 1) FetchFilter(first_channel, Filter(slot));
    CommitCopies();
  }

  FASTCONV_DEVICE void FetchFilter(int first_channel, unsigned char* to) {
    constexpr int kCopies = kFilterRowBytes / kCopyBytes;
    const T* filter = static_cast<const T*>(args_.filter);
    for (int i = ThreadIndex(); i < 9 * kFilterRows * kCopies; i += kThreads) {
      const int row = i / kCopies, part = i % kCopies;
      const int tap = row / kFilterRows, in_tap = row % kFilterRows;
      const int channel = first_channel + (kRotated ? part * kCopy : in_tap);
      const int output = first_output_ + (kRotated ? in_tap : part * kCopy);
      const bool present = channel < args_.channels && output < args_.outputs;
      const int64_t from =
          kRotated
              ? (static_cast<int64_t>(8 - tap) * args_.outputs + output) * args_.channels + channel
              : (static_cast<int64_t>(tap) * args_.channels + channel) * args_.outputs + output;
      CopyAsync(to + row * kFilterPitch + part * kCopyBytes, present ? filter + from : filter,
                present);
    }
  }

  FASTCONV_DEVICE void MultiplyChunk(int slot) {
    const int lane = LaneIndex();
    const unsigned char* pixels =
        Pixels(slot) + lane / 16 * 16 + (warp_row_ * kHalo + Sums::Pixel(lane % 16)) * kPixelPitch;
    const unsigned char* filter = Filter(slot);
    for (int depth = 0; depth < kChunk; depth += kDepth) {
      FASTCONV_UNROLL
      for (int s = 0; s < 3; ++s) {
        sums_.AddColumn(
            pixels + s * kPixelPitch + depth * kElement, kHalo * kPixelPitch,
            [&](int r, FilterFragments& b) { LoadFilter(filter, 3 * r + s, depth, b); });
      }
    }
  }

  FASTCONV_DEVICE void LoadFilter(const unsigned char* filter, int tap, int depth,
                                  FilterFragments& b) const {
    using Product = typename Sums::Product;
    FASTCONV_UNROLL
    for (int j = 0; j < Sums::kNTiles; j += 2) {
      const int output = warp_output_ + 8 * j;
      if constexpr (kRotated) {
        Product::LoadColumns(
            filter + (tap * kFilterRows + output) * kFilterPitch + depth * kElement, kFilterPitch,
            &b[j], &b[j + 1]);
      } else {
        Product::LoadRows(filter + (tap * kFilterRows + depth) * kFilterPitch + output * kElement,
                          kFilterPitch, &b[j], &b[j + 1]);
      }
    }
  }

  const Args& args_;
  unsigned char* const shared_;
  const int first_output_;            // of the block
  const int warp_row_, warp_output_;  // in the tile
  Sums sums_;
  Statistics statistics_;
  TileLoad<T, kFolded, kHalo, kHalo, kChunkBytes, kPixelPitch, Team<kThreads>> load_;
};

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_KERNELS_CONV3X3_H_
