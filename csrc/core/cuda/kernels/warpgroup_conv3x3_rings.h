// Where warpgroup_conv3x3.h has its filter, rows and results in shared memory, and how rows get
// there.
#ifndef FASTCONV_CORE_CUDA_KERNELS_WARPGROUP_CONV3X3_RINGS_H_
#define FASTCONV_CORE_CUDA_KERNELS_WARPGROUP_CONV3X3_RINGS_H_

#include <cstdint>

#include "core/cuda/device/bulk_copy.h"
#include "core/cuda/device/warpgroup.h"
#include "core/cuda/kernels/dropout.h"
#include "core/cuda/kernels/folded_row.h"
#include "core/cuda/kernels/pack_filter3x3.h"
#include "core/cuda/kernels/staged_rows.h"
#include "core/cuda/kernels/warp_sums.h"
#include "core/cuda/kernels/warpgroup_conv3x3_args.h"

namespace fastconv::cuda {

template <class T, int kChannels, int kOutputs, bool kPairs, Conv3x3Result kResult, Folded kFolded>
struct WarpgroupConv3x3Rings {
  using Args = WarpgroupConv3x3Args;
  using Filter = PackedFilter3x3<T, kChannels, kOutputs>;
  using Planes = PixelPlanes<T, kChannels>;
  static constexpr int kWorkers = WarpgroupRings::kWorkers;

  static constexpr bool kPooled = kResult == Conv3x3Result::kPooledMap;
  static constexpr bool kStatistics = kResult == Conv3x3Result::kMapAndStatistics;

  // A tile is 64 pixels: of two tiles either every other pixel (kPairs, a unit has both) or halves.
  // With two of float registers are left for storing a map, and for nothing else.
  static constexpr bool kNarrow = kChannels == 32 && kOutputs == 32;
  static constexpr int kTiles =
      kNarrow && (sizeof(T) == 2 || kResult == Conv3x3Result::kMap) ? 2 : 1;
  static constexpr int kTilePixels = 64;
  static_assert(!kPairs || (kTiles == 2 && 2 * Planes::kBytes == kUnitBytes), "two fill a unit");
  static constexpr int kPerUnit = kPairs ? 2 : 1;
  static constexpr int kUnits = kTiles * kTilePixels / kPerUnit;
  static constexpr int kUnit = kPerUnit * Planes::kBytes;  // bytes
  using Row = FoldedRow<T, Planes::kChannels, kFolded, kPerUnit>;
  static_assert(Planes::kCount == 1 || kFolded == Folded::kNothing, "dz is made in one plane");
  // What products read of a plane: the last column and shift are up to three units further on.
  static constexpr int kStageUnits = kUnits + 3;
  static constexpr int kRows = kPooled ? 2 : 1;  // that one of y is made of

  // Whether rows of blocks share the outputs: where shared memory has no room for all of the
  // filter.
  static constexpr bool kSplitsOutputs = Planes::kCount > 1;
  // Of few channels, where threads on their own would store small pieces, as whole units; beside
  // rows of float of which dz is made there is no room.
  static constexpr bool kStaged =
      kTiles == 2 && !kPooled && (kPairs || (sizeof(T) == 4 && kFolded == Folded::kNothing));
  using Staged = StagedRows<kUnits>;
  static constexpr int kStagedBytes = kStaged ? kWorkers * Staged::kBytes : 0;
  static constexpr int kDropoutBytes = kPooled ? kStageAlignment : 0;  // a DropoutState
  static constexpr int kFixedBytes = Filter::kBytes + kStagedBytes + kDropoutBytes;
  static_assert(kFixedBytes % kStageAlignment == 0, "stages are aligned");

  // Behind the workers' warpgroups: one that starts copies and, of folded gradients, one that makes
  // dz.
  static constexpr bool kMakesRows = kFolded != Folded::kNothing;
  static constexpr int kFetchGroup = kWorkers, kMakeGroup = kWorkers + 1;
  static constexpr int kWarpgroups = kWorkers + (kMakesRows ? 2 : 1);
  static constexpr int kMakers = 4 / kWorkers;  // warps that make a worker's rows

  struct Shared {
    unsigned char* filter;
    unsigned char* staged;
    DropoutState* dropout;
    unsigned char* stages;
    WarpgroupRings::Barriers* barriers;

    FASTCONV_DEVICE explicit Shared(const Args& args) {
      unsigned char* const begin = SharedMemory();
      const int past = static_cast<int>(SharedAddress(begin) % kStageAlignment);
      filter = begin + (past == 0 ? 0 : kStageAlignment - past);
      staged = filter + Filter::kBytes;
      dropout = reinterpret_cast<DropoutState*>(staged + kStagedBytes);
      stages = filter + kFixedBytes;
      barriers = reinterpret_cast<WarpgroupRings::Barriers*>(stages + kWorkers * args.stages *
                                                                          args.stage_bytes);
    }

    FASTCONV_DEVICE void InitializeBarriers(int count) const {
      Initialize(&barriers->filter, 1);
      for (int worker = 0; worker < kWorkers; ++worker) {
        for (int i = 0; i < count; ++i) {
          WarpgroupRings::Stage* const stage = &barriers->stage[worker][i];
          Initialize(&stage->brought, 1);
          Initialize(&stage->full, kMakesRows ? kMakers : 1);  // a lane of each warp
          Initialize(&stage->empty, 4);                        // likewise
        }
      }
      FenceBarriers();
    }
  };

  // The place in a ring, whose stages are used in turn.
  struct RingPosition {
    int stage = 0, parity = 0;

    FASTCONV_DEVICE void Advance(int stages) {
      if (++stage == stages) {
        stage = 0;
        parity ^= 1;
      }
    }
  };

  static FASTCONV_DEVICE unsigned char* Ring(const Args& args, const Shared& shared, int group) {
    return shared.stages + group * args.stages * args.stage_bytes;
  }

  static FASTCONV_DEVICE unsigned char* Beside(const Args& args, unsigned char* stage) {
    return stage + Planes::kCount * args.plane_bytes;
  }

  template <class Body>
  static FASTCONV_DEVICE void ForRows(const Args& args, int group, const Body& body) {
    ForStripRows<kRows>(args.cut, BlockIndex().x * kWorkers + group, GridSize().x * kWorkers, body);
  }

  // One thread: the filter, and a worker's rows.
  static FASTCONV_DEVICE void Fetch(const Args& args, const Shared& shared, int group) {
    Row::Prefetch(args.x);
    if (group == 0) {
      ArriveExpecting(&shared.barriers->filter, Filter::kBytes);
      LoadBulk(shared.filter,
               static_cast<const unsigned char*>(args.filter) + BlockIndex().y * Filter::kBytes,
               Filter::kBytes, &shared.barriers->filter);
    }
    const int units = args.cut.box_images * args.box_units;
    ForInputRows(args, shared, group, [&](const InputRow& row) {
      WaitPhase(&row.barriers->empty, row.parity ^ 1);  // of the first round: over before it begins
      Barrier* const come = kMakesRows ? &row.barriers->brought : &row.barriers->full;
      ArriveExpecting(come, Planes::kCount * Row::CopiedBytes(units));
      FASTCONV_UNROLL
      for (int plane = 0; plane < Planes::kCount; ++plane) {
        Row::Fetch(args.x, units, row.first_image, row.row, row.unit,
                   row.stage + plane * args.plane_bytes, Beside(args, row.stage), come,
                   plane * Planes::kChannels);
      }
    });
  }

  // All lanes of kMakers warps.
  static FASTCONV_DEVICE void MakeRows(const Args& args, const Shared& shared, int group) {
    constexpr int kThreads = kMakers * kWarpSize;
    const Row maker(args.x.folded, args.cut.box_images * args.box_units);
    ForInputRows(args, shared, group, [&](const InputRow& row) {
      WaitPhase(&row.barriers->brought, row.parity);
      maker.template Make<kThreads>(ThreadIndex() % kThreads, row.row, row.stage, /*copy=*/nullptr,
                                    Beside(args, row.stage), [](const float(&)[Row::kVector]) {});
      FenceBulkCopies();
      SyncWarp();
      if (LaneIndex() == 0) Arrive(&row.barriers->full);
    });
  }

 private:
  struct InputRow {
    unsigned char* stage;
    WarpgroupRings::Stage* barriers;
    int parity;
    int first_image, row, unit;  // of the map; may lie outside
  };

  template <class Body>
  static FASTCONV_DEVICE void ForInputRows(const Args& args, const Shared& shared, int group,
                                           const Body& body) {
    unsigned char* const ring = Ring(args, shared, group);
    RingPosition at;
    ForRows(args, group, [&](const StripRows& rows) {
      const int unit = rows.strip * args.strip_pixels / kPerUnit - args.units_before;
      for (int i = 0; i < rows.count + 2; ++i) {
        body(InputRow{ring + at.stage * args.stage_bytes, &shared.barriers->stage[group][at.stage],
                      at.parity, rows.first_image, rows.first + i - args.pad_h, unit});
        at.Advance(args.stages);
      }
    });
  }
};

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_KERNELS_WARPGROUP_CONV3X3_RINGS_H_
