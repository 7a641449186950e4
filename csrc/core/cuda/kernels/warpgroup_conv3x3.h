// 3x3 convolution, stride 1, on the tensor cores of compute capability 9.0a, with bias, activation
// and 2x2 max pooling in the registers that hold the sums; with a rotated filter (pack_filter3x3.h)
// the gradient of its input.
//
// The filter stays in shared memory. A row of the input is multiplied by all of it once: in steps
// of a filter column, whose operand is the row from another pixel on, it gives its share of three
// rows of the output. The oldest of these is complete then; its way to memory lies under the
// products of the next row. See warpgroup_conv3x3_args.h for the rest.
#ifndef FASTCONV_CORE_CUDA_KERNELS_WARPGROUP_CONV3X3_H_
#define FASTCONV_CORE_CUDA_KERNELS_WARPGROUP_CONV3X3_H_

#include <cmath>
#include <cstdint>
#include <type_traits>

#include "core/cuda/device/bulk_copy.h"
#include "core/cuda/device/warpgroup.h"
#include "core/cuda/kernels/pooled_cell.h"
#include "core/cuda/kernels/store_cell.h"
#include "core/cuda/kernels/values.h"
#include "core/cuda/kernels/warp_statistics.h"
#include "core/cuda/kernels/warpgroup_conv3x3_args.h"
#include "core/cuda/kernels/warpgroup_conv3x3_rings.h"

namespace fastconv::cuda {

// From 32 or 64 channels to 32 or 64, or to kOutputs of them. kPairs: units are pairs of pixels.
template <class T, int kChannels, int kOutputs, bool kPairs, Conv3x3Result kResult, Folded kFolded>
struct WarpgroupConv3x3 {
  using Args = WarpgroupConv3x3Args;
  using Rings = WarpgroupConv3x3Rings<T, kChannels, kOutputs, kPairs, kResult, kFolded>;
  static constexpr int kThreads = Rings::kWarpgroups * kWarpgroupSize;
  static constexpr int kMinBlocks = 1;

  static FASTCONV_DEVICE void Run(const Args& args) {
    if constexpr (kHasWarpgroups) RunWarp(args);
  }

 private:
  // Of the register file, the workers have what the others leave.
  static constexpr int kWorkerRegisters = Rings::kMakesRows ? 224 : 232;
  static constexpr int kFetchRegisters = 24, kMakeRegisters = 40;

  static FASTCONV_DEVICE void RunWarp(const Args& args) {
    const Shared shared(args);
    if (ThreadIndex() == 0) {
      shared.InitializeBarriers(args.stages);
      if constexpr (kPooled) *shared.dropout = DropoutStateOf<T>(args.dropout);
    }
    SyncThreads();
    const int index = UniformWarpIndex(), group = index / 4, warp = index % 4;
    if (group == Rings::kFetchGroup) {
      LowerRegisters<kFetchRegisters>();  // one warp for each worker
      if (LaneIndex() == 0 && warp < Rings::kWorkers) Rings::Fetch(args, shared, warp);
    } else if (Rings::kMakesRows && group == Rings::kMakeGroup) {
      LowerRegisters<kMakeRegisters>();
      Rings::MakeRows(args, shared, warp / Rings::kMakers);
    } else {
      RaiseRegisters<kWorkerRegisters>();
      Consumer(args, shared, group).Run();
    }
  }

  using Shared = typename Rings::Shared;
  using Filter = typename Rings::Filter;
  using Staged = typename Rings::Staged;
  using Planes = typename Rings::Planes;
  static constexpr int kPerUnit = Rings::kPerUnit;
  static constexpr int kTiles = Rings::kTiles, kTilePixels = Rings::kTilePixels;
  static constexpr bool kStaged = Rings::kStaged;
  static constexpr int kRows = Rings::kRows;
  static constexpr bool kPooled = Rings::kPooled, kStatistics = Rings::kStatistics;
  static constexpr int kColumns = 3 * kOutputs;  // of a product: three rows of sums
  static constexpr int kSums = kColumns / 2;
  static constexpr int kRowSums = kOutputs / 2;
  static constexpr int kDepthBytes = 32, kDepths = Planes::kBytes / kDepthBytes;
  // Channels of a pixel of the output that a thread has, in vectors of 16 bytes.
  static constexpr int kValues = kOutputs / 4;
  static constexpr int kVector = kVectorOf<T>, kVectors = kValues / kVector;

  struct Nothing {};

  class Consumer {
   public:
    FASTCONV_DEVICE Consumer(const Args& args, const Shared& shared, int group)
        : args_(args),
          shared_(shared),
          group_(group),
          ring_(Rings::Ring(args, shared, group)),
          staged_(shared.staged + group * Staged::kBytes, 1 + group),
          slope_(args.activation.linear ? 1 : args.activation.slope),
          floor_(args.activation.linear || args.activation.slope != 0 ? -INFINITY : 0.0f) {
      FASTCONV_UNROLL
      for (int i = 0; i < kBiases; ++i) bias_[i] = Hidden(0);
      if constexpr (kBiases == kValues) {
        if (args.bias == nullptr) return;
        FASTCONV_UNROLL
        for (int i = 0; i < kVectors; ++i) {
          float bias[kVector];
          LoadValues(static_cast<const T*>(args.bias) + Channel(i), bias);
          FASTCONV_UNROLL
          for (int j = 0; j < kVector; ++j) bias_[i * kVector + j] = bias[j];
        }
      }
    }

    FASTCONV_DEVICE void Run() {
      FASTCONV_UNROLL
      for (int row = 0; row < 3; ++row) Reset(row);
      WaitPhase(&shared_.barriers->filter, 0);
      Rings::ForRows(args_, group_, [&](const StripRows& rows) {
        FindPixels(rows);
        const int steps = rows.count + 2;
        for (int i = 0; i < steps; i += 3) {
          Step<0>(rows, i);
          if (i + 1 < steps) Step<1>(rows, i + 1);
          if (i + 2 < steps) Step<2>(rows, i + 2);
        }
        StorePending();
        pending_ = false;
        FASTCONV_UNROLL
        for (int row = 0; row < 3; ++row) Reset(row);
      });
      if constexpr (kStaged) staged_.Finish();
      if constexpr (kStatistics) {
        const int partial = BlockIndex().x * kStatisticsPerBlock + WarpIndex();
        statistics_.Store(
            args_.statistics + static_cast<int64_t>(partial) * kStatisticsValues * Outputs(),
            Outputs(), [](int value) { return Channel(value / kVector) + value % kVector; });
      }
    }

   private:
    // Cells of pooling, or pixels, whose results a thread stores: of each the row of D, or both of
    // a pair of rows.
    static constexpr int kPlaces = kPooled ? (kPairs ? 2 : kTiles) : 2 * kTiles;

    static constexpr int kNowhere = -1;
    // Gradients have none, but sums that begin with it.
    static constexpr int kBiases = kFolded == Folded::kNothing ? kValues : 1;

    // Channels of y.
    FASTCONV_DEVICE int Outputs() const { return Rings::kSplitsOutputs ? args_.outputs : kOutputs; }

    // First channel of a thread's vector.
    static FASTCONV_DEVICE int Channel(int vector) {
      const int first = Rings::kSplitsOutputs ? BlockIndex().y * kOutputs : 0;
      return first + (vector * 4 + LaneIndex() % 4) * kVector;
    }

    // The row of D, of all tiles, that a thread has in registers 2 and 3 (half 1) or 0 and 1.
    static FASTCONV_DEVICE int RowOfD(int half) {
      return WarpIndex() % 4 * 16 + LaneIndex() / 4 + 8 * half;
    }

    // Pixel of the strip's images, side by side.
    static FASTCONV_DEVICE int Pixel(int place) {
      if constexpr (!kPooled) {
        const int tile = place / 2, row = RowOfD(place % 2);
        return kPairs ? 2 * row + tile : tile * kTilePixels + row;
      } else if constexpr (kPairs) {
        return 2 * RowOfD(place);
      } else {  // neighbours exchange halves: Neighbours()
        const int odd = LaneIndex() / 4 % 2;
        return place * kTilePixels + RowOfD(odd) - odd;
      }
    }

    FASTCONV_DEVICE void FindPixels(const StripRows& rows) {
      const int height = args_.out_height / kRows, width = args_.out_width / kRows;
      const int first_column = rows.strip * args_.strip_pixels;
      first_ = static_cast<int64_t>(rows.first_image) * height * width * Outputs();
      const auto to = [&](int image, int column) {
        return (image * height * width + column) * Outputs();
      };
      const auto present = [&](int image) {
        return image < args_.cut.box_images && rows.first_image + image < args_.images;
      };
      if constexpr (kStaged) {  // lanes have an image each
        const int left = args_.out_width - first_column;
        const int pixels = left < args_.strip_pixels ? left : args_.strip_pixels;
        const bool stores = present(LaneIndex());
        staged_to_ = stores ? to(LaneIndex(), first_column) : 0;
        staged_bytes_ = stores ? pixels * kOutputs * static_cast<int>(sizeof(T)) : 0;
        if constexpr (!kStatistics) return;
      }
      const int box_pixels = args_.box_units * kPerUnit;
      FASTCONV_UNROLL
      for (int place = 0; place < kPlaces; ++place) {
        const int pixel = Pixel(place);
        const int image = pixel / box_pixels;
        const int in_strip = pixel - image * box_pixels;
        const int column = (first_column + in_strip) / kRows;
        const bool stores = present(image) && in_strip < args_.strip_pixels && column < width;
        to_[place] = stores ? to(image, column) : kNowhere;
        image_[place] = rows.first_image + image;
      }
    }

    FASTCONV_DEVICE void Reset(int row) {
      FASTCONV_UNROLL
      for (int tile = 0; tile < kTiles; ++tile) {
        FASTCONV_UNROLL
        for (int value = 0; value < kValues; ++value) {
          FASTCONV_UNROLL
          for (int half = 0; half < 2; ++half) Sum(tile, row, half, value) = bias_[value % kBiases];
        }
      }
    }

    FASTCONV_DEVICE float& Sum(int tile, int row, int half, int value) {
      return sum_[tile][row * kRowSums + value / 2 * 4 + half * 2 + value % 2];
    }

    // Input row i of rows.count + 2; kPhase = i % 3. Its filter rows are in the order of the three
    // rows of sums; output i - 2 is complete afterwards.
    template <int kPhase>
    FASTCONV_DEVICE void Step(const StripRows& rows, int i) {
      constexpr int kFirstSlot = kPhase == 0 ? 0 : 3 - kPhase;
      constexpr int kComplete = (kPhase + 1) % 3;
      WarpgroupRings::Stage* const stage = &shared_.barriers->stage[group_][at_.stage];
      WaitPhase(&stage->full, at_.parity);
      const Operand filter =
          RowsOperand<Filter::kRowBytes>(shared_.filter) + kFirstSlot * Filter::kSlotBytes;
      BeginProducts(sum_);
      FASTCONV_UNROLL
      for (int plane = 0; plane < Planes::kCount; ++plane) {
        const Operand pixels = RowsOperand<Rings::kUnit>(ring_ + at_.stage * args_.stage_bytes +
                                                         plane * args_.plane_bytes);
        FASTCONV_UNROLL
        for (int s = 0; s < 3; ++s) {
          FASTCONV_UNROLL
          for (int depth = 0; depth < kDepths; ++depth) {
            const int in_filter =
                s * Filter::kColumnBytes + plane * Filter::kPlaneBytes + depth * kDepthBytes;
            FASTCONV_UNROLL
            for (int tile = 0; tile < kTiles; ++tile) {
              MultiplyAddAsync<kColumns>(T(), pixels + (FirstByte(tile, s) + depth * kDepthBytes),
                                         filter + in_filter, sum_[tile]);
            }
          }
        }
      }
      CommitProducts();
      StorePending();
      WaitForProducts<0>(sum_);
      if (LaneIndex() == 0) Arrive(&stage->empty);
      at_.Advance(args_.stages);
      if constexpr (kPooled) {
        Pool(kComplete, i % 2 != 0);
        pending_ = i >= 2 && i % 2 != 0;
        pending_row_ = (rows.first + i - 2) / 2;
      } else {
        Keep(kComplete);
        pending_ = i >= 2;
        pending_row_ = rows.first + i - 2;
      }
      Reset(kComplete);
    }

    // Where a tile's pixels for filter column s begin in a plane of a row.
    FASTCONV_DEVICE int FirstByte(int tile, int s) const {
      const int pixel = (kPairs ? tile : tile * kTilePixels) + s + args_.shift;
      return pixel * Planes::kBytes;
    }

    // Without branches: those would make the compiler wait for products under way.
    FASTCONV_DEVICE float Activated(float v) const {
      const float below = fmaxf(v * slope_, floor_);  // relu: 0 also for -inf, whose product is NaN
      return v <= 0 ? below : v;                      // keeps NaN
    }

    FASTCONV_DEVICE void Keep(int row) {
      FASTCONV_UNROLL
      for (int place = 0; place < kPlaces; ++place) {
        FASTCONV_UNROLL
        for (int value = 0; value < kValues; ++value) {
          result_[place][value] = FromFloat<T>(Activated(Sum(place / 2, row, place % 2, value)));
        }
      }
    }

    FASTCONV_DEVICE void Pool(int row, bool below) {
      FASTCONV_UNROLL
      for (int place = 0; place < kPlaces; ++place) {
        FASTCONV_UNROLL
        for (int value = 0; value < kValues; ++value) {
          float left, right;
          Neighbours(row, place, value, &left, &right);
          PooledCell<1> cell(0);
          cell.maximum[0] = below ? maximum_[place][value] : -INFINITY;
          cell.position[0] = below ? position_[place][value] : 0;
          cell.Add(0, Activated(left), below ? 2 : 0);
          cell.Add(0, Activated(right), below ? 3 : 1);
          maximum_[place][value] = cell.maximum[0];
          position_[place][value] = cell.position[0];
        }
      }
    }

    // Two pixels of a row that are pooled together: of a pair's two tiles, or of two rows of D that
    // lanes 4 apart hold. Of those the even one takes the cell of its half 0, the odd one of 1.
    FASTCONV_DEVICE void Neighbours(int row, int place, int value, float* left, float* right) {
      if constexpr (kPairs) {
        *left = Sum(0, row, place, value);
        *right = Sum(kTiles - 1, row, place, value);
      } else {
        const bool odd = LaneIndex() / 4 % 2 != 0;
        const float first = Sum(place, row, 0, value), second = Sum(place, row, 1, value);
        const float other = ShuffleXor(odd ? first : second, 4);
        *left = odd ? other : first;
        *right = odd ? second : other;
      }
    }

    FASTCONV_DEVICE void StorePending() {
      if constexpr (kStatistics) AddPending();
      if constexpr (kStaged) {
        SendPending();
      } else {
        StorePlaces();
      }
    }

    FASTCONV_DEVICE void AddPending() {
      FASTCONV_UNROLL
      for (int place = 0; place < kPlaces; ++place) {
        float v[kValues];
        FASTCONV_UNROLL
        for (int value = 0; value < kValues; ++value) v[value] = ToFloat(result_[place][value]);
        statistics_.Add(v, pending_ && to_[place] != kNowhere);
      }
    }

    FASTCONV_DEVICE void SendPending() {
      FASTCONV_UNROLL
      for (int half = 0; half < 2; ++half) {
        if constexpr (kPairs) {  // a pixel of each tile
          staged_.Put(RowOfD(half), Vector(half, 0), Vector(2 + half, 0));
        } else {
          FASTCONV_UNROLL
          for (int tile = 0; tile < kTiles; ++tile) {
            const int place = 2 * tile + half;
            staged_.Put(tile * kTilePixels + RowOfD(half), Vector(place, 0),
                        Vector(place, kVectors - 1));
          }
        }
      }
      const int64_t row = static_cast<int64_t>(pending_row_) * args_.out_width * Outputs();
      staged_.Send(
          LaneIndex() * args_.box_units,
          reinterpret_cast<unsigned char*>(static_cast<T*>(args_.y) + first_ + row + staged_to_),
          pending_ ? staged_bytes_ : 0);
    }

    FASTCONV_DEVICE Bits<16> Vector(int place, int vector) const {
      Bits<16> bits;
      memcpy(&bits, &result_[place][vector * kVector], sizeof(bits));
      return bits;
    }

    FASTCONV_DEVICE void StorePlaces() {
      const int64_t row =
          first_ + static_cast<int64_t>(pending_row_) * (args_.out_width / kRows) * Outputs();
      FASTCONV_UNROLL
      for (int place = 0; place < kPlaces; ++place) {
        if (!pending_ || to_[place] == kNowhere) continue;
        FASTCONV_UNROLL
        for (int i = 0; i < kVectors; ++i) {
          const int64_t to = row + to_[place] + Channel(i);
          if constexpr (kPooled) {
            PooledCell<kVector> cell(0);
            FASTCONV_UNROLL
            for (int j = 0; j < kVector; ++j) {
              cell.maximum[j] = maximum_[place][i * kVector + j];
              cell.position[j] = position_[place][i * kVector + j];
            }
            StoreCell(cell, DropoutMask<T>(args_.dropout, *shared_.dropout),
                      {to, image_[place], Outputs(), Channel(i)}, /*wide_codes=*/false,
                      static_cast<T*>(args_.y), args_.code);
          } else {
            T vector[kVector];
            FASTCONV_UNROLL
            for (int j = 0; j < kVector; ++j) vector[j] = result_[place][i * kVector + j];
            StoreElements(vector, static_cast<T*>(args_.y) + to);
          }
        }
      }
    }

    const Args& args_;
    const Shared& shared_;
    const int group_;
    unsigned char* const ring_;
    Staged staged_;
    int staged_to_ = 0, staged_bytes_ = 0;  // of the lane's image
    const float slope_, floor_;
    typename Rings::RingPosition at_;
    float bias_[kBiases];
    float sum_[kTiles][kSums];
    // The row that is complete and not yet stored, and where it goes.
    bool pending_ = false;
    int pending_row_ = 0;
    T result_[kPlaces][kPooled ? 1 : kValues];
    int64_t first_ = 0;  // of y: the strip's first image
    int to_[kPlaces];    // from there on, in its first row
    int image_[kPlaces];
    // Pooled: of both rows, or so far of the upper one.
    float maximum_[kPlaces][kPooled ? kValues : 1];
    int position_[kPlaces][kPooled ? kValues : 1];
    std::conditional_t<kStatistics, WarpStatistics<kValues>, Nothing> statistics_;
  };
};

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_KERNELS_WARPGROUP_CONV3X3_H_
