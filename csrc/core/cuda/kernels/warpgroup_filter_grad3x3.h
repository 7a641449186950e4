// The filter's gradient of a 3x3 convolution with stride 1 (filter_grad3x3.h) for 16-bit types, on
// the tensor cores of compute capability 9.0a.
//
// Rows of x and dz come into a ring in units of 128 bytes: a pixel of 64 channels, or two of 32.
// Both are multiplied as they lie there: the depth is 64 units of a row. A warpgroup multiplies x,
// from its own unit on, by three rows of dz at once, one for each row of the filter: the last one
// to come and the two before, so slots of the ring are used from the last to the first. Behind the
// last slot the rows of dz of the first two come once more, so that three rows are always side by
// side.
//
// The rows of dz pass through the hands of warps that make them, where gradients are folded, and
// add them up for the gradient of the bias.
#ifndef FASTCONV_CORE_CUDA_KERNELS_WARPGROUP_FILTER_GRAD3X3_H_
#define FASTCONV_CORE_CUDA_KERNELS_WARPGROUP_FILTER_GRAD3X3_H_

#include <cstdint>

#include "core/cuda/device/bulk_copy.h"
#include "core/cuda/device/warpgroup.h"
#include "core/cuda/kernels/folded_row.h"
#include "core/cuda/kernels/values.h"
#include "core/cuda/kernels/warpgroup_conv3x3_args.h"

namespace fastconv::cuda {

struct WarpgroupFilterGrad3x3Args {
  TensorMap x;  // [images][height][width in units][unit]
  RowMaps dz;
  float* partials;  // [block][9 * channels + 1][channels], the last row with sums of dz
  bool sum_dz;      // whether that row is wanted: the gradient of the bias
  StripCut cut;     // of dz, into strips of kUnits units
  int out_height, pad_h;
  int box_units;     // of dz; box_images * box_units == kUnits
  int units_before;  // a strip of dz, that x begins with
};

// kShifts: units of x that some pixel of a unit of dz is multiplied by: 3, and of pairs 2 where the
// padding is even.
template <class T, int kChannels, int kShifts, Folded kFolded>
struct WarpgroupFilterGrad3x3 {
  using Args = WarpgroupFilterGrad3x3Args;
  using DzRow = FoldedRow<T, kChannels, kFolded>;
  static constexpr int kPerUnit = kUnitBytes / kChannels / static_cast<int>(sizeof(T));
  static constexpr bool kPairs = kPerUnit == 2;
  static constexpr int kThreads = (kShifts + 1) * kWarpgroupSize;
  static constexpr int kMinBlocks = 1;
  static constexpr int kUnits = 64;
  static constexpr int kMinBoxUnits = 16;  // as many as a product takes
  static_assert(kPairs || kShifts == 3, "a shift per column of the filter");

  static constexpr int kXUnits = kUnits + kUnits / kMinBoxUnits * (kShifts - 1);
  static constexpr int kXBytes = AlignStage(kXUnits * kUnitBytes);
  static constexpr int kDzBytes = kUnits * kUnitBytes;
  static constexpr int kSlotBytes = kXBytes + kDzBytes;
  static constexpr int kSlots = 6, kMirrored = 2;
  static constexpr int kBesideBytes = DzRow::BesideBytes(kUnits);  // what dz of a slot is made of
  struct Slot {
    Barrier brought, full, empty;  // `brought`: dz, or what it is made of
  };
  static constexpr int kRingBytes = (kSlots + kMirrored) * kSlotBytes + kSlots * kBesideBytes;
  // The last warpgroup: a warp that starts copies, and makers of dz.
  static constexpr int kMakers = 3, kMakingThreads = kMakers * kWarpSize;
  static constexpr int kVector = DzRow::kVector;  // channels of which a maker has sums
  static constexpr int kSumBytes = kMakingThreads * kVector * static_cast<int>(sizeof(float));
  static constexpr int kSharedBytes =
      kStageAlignment + kRingBytes + kSumBytes + kSlots * static_cast<int>(sizeof(Slot));
  static constexpr int kPartialRows = 9 * kChannels + 1;
  static constexpr int kSecondsPitch = kChannels + 8;  // rows lie in different banks
  static_assert(!kPairs || 9 * kChannels * kSecondsPitch * 4 <= kRingBytes,
                "sums of a pixel take the ring's place");

  static FASTCONV_DEVICE void Run(const Args& args) {
    if constexpr (kHasWarpgroups) RunWarp(args);
  }

 private:
  static constexpr int kSide = 64;  // elements of a unit
  static constexpr int kColumns = 3 * kSide;
  // Of the register file, what the last warpgroup leaves.
  static constexpr int kMakerRegisters = 56, kRegisters = kShifts == 3 ? 152 : 224;

  struct Shared {
    unsigned char* slots;
    float* sums;
    Slot* barriers;

    FASTCONV_DEVICE Shared() {
      unsigned char* const begin = SharedMemory();
      const int past = static_cast<int>(SharedAddress(begin) % kStageAlignment);
      slots = begin + (past == 0 ? 0 : kStageAlignment - past);
      sums = reinterpret_cast<float*>(slots + kRingBytes);
      barriers = reinterpret_cast<Slot*>(slots + kRingBytes + kSumBytes);
    }
    FASTCONV_DEVICE unsigned char* X(int slot) const { return slots + slot * kSlotBytes; }
    FASTCONV_DEVICE unsigned char* Dz(int slot) const { return X(slot) + kXBytes; }
    FASTCONV_DEVICE unsigned char* Beside(int slot) const {
      return slots + (kSlots + kMirrored) * kSlotBytes + slot * kBesideBytes;
    }
  };

  // The next slot of the ring, and its round's parity.
  struct RingPosition {
    int slot = kSlots - 1, parity = 0;

    FASTCONV_DEVICE void Advance() {
      if (--slot < 0) {
        slot = kSlots - 1;
        parity ^= 1;
      }
    }
  };

  static FASTCONV_DEVICE void RunWarp(const Args& args) {
    const Shared shared;
    if (ThreadIndex() == 0) {
      for (int i = 0; i < kSlots; ++i) {
        Initialize(&shared.barriers[i].brought, 1);
        Initialize(&shared.barriers[i].full, 1 + kMakers);   // x, and a lane of each warp
        Initialize(&shared.barriers[i].empty, 4 * kShifts);  // a lane of each warp
      }
      FenceBarriers();
    }
    SyncThreads();
    const int index = UniformWarpIndex(), group = index / 4, maker = index % 4 - 1;
    if (group == kShifts) {
      LowerRegisters<kMakerRegisters>();
      if (maker >= 0) {
        Maker(args, shared, maker * kWarpSize + LaneIndex()).Run();
      } else if (LaneIndex() == 0) {
        Fetch(args, shared);
      }
    } else {
      RaiseRegisters<kRegisters>();
      Multiply(args, shared, group);
    }
  }

  template <class Body>
  static FASTCONV_DEVICE void ForRows(const Args& args, const Body& body) {
    ForStripRows<1>(args.cut, BlockIndex().x, GridSize().x, body);
  }

  // Rows of dz beyond the map are zero. Two of those stand before the first row and after the rows
  // of each strip, where x has two rows more: nothing(slot) is called for the first two, and
  // row(slot, StripRows, i, row of dz) for the others.
  template <class Nothing, class Row>
  static FASTCONV_DEVICE void ForSlots(const Args& args, const Nothing& nothing, const Row& row) {
    RingPosition at;
    for (int i = 0; i < 2; ++i) {
      nothing(at);
      at.Advance();
    }
    ForRows(args, [&](const StripRows& rows) {
      for (int i = 0; i < rows.count + 2; ++i) {
        row(at, rows, i, i < rows.count ? rows.first + i : args.out_height);
        at.Advance();
      }
    });
  }

  // One thread.
  static FASTCONV_DEVICE void Fetch(const Args& args, const Shared& shared) {
    PrefetchMap(args.x);
    DzRow::Prefetch(args.dz);
    const auto fetch_dz = [&](const RingPosition& at, int unit, int row, int image, int x_bytes) {
      const bool twice = kFolded == Folded::kNothing && at.slot < kMirrored;
      Slot* const slot = &shared.barriers[at.slot];
      WaitPhase(&slot->empty, at.parity ^ 1);
      ArriveExpecting(&slot->full, x_bytes);
      ArriveExpecting(&slot->brought, (twice ? 2 : 1) * DzRow::CopiedBytes(kUnits));
      DzRow::Fetch(args.dz, kUnits, image, row, unit, shared.Dz(at.slot), shared.Beside(at.slot),
                   &slot->brought);
      if (twice) {
        DzRow::Fetch(args.dz, kUnits, image, row, unit, shared.Dz(at.slot + kSlots), nullptr,
                     &slot->brought);
      }
    };
    ForSlots(
        args, [&](const RingPosition& at) { fetch_dz(at, 0, args.out_height, 0, 0); },
        [&](const RingPosition& at, const StripRows& rows, int i, int row) {
          const int unit = rows.strip * kUnits;
          const int x_units = args.cut.box_images * (args.box_units + kShifts - 1);
          fetch_dz(at, unit, row, rows.first_image, x_units * kUnitBytes);
          LoadTile(shared.X(at.slot), args.x,
                   {{0, unit - args.units_before, rows.first + i - args.pad_h, rows.first_image}},
                   &shared.barriers[at.slot].full);
        });
  }

  class Maker {
   public:
    FASTCONV_DEVICE Maker(const Args& args, const Shared& shared, int thread)
        : args_(args), shared_(shared), thread_(thread), row_(args.dz.folded, kUnits) {
      FASTCONV_UNROLL
      for (int c = 0; c < kVector; ++c) sum_[c] = 0;
    }

    FASTCONV_DEVICE void Run() {
      ForSlots(
          args_, [&](const RingPosition& at) { Make(at, args_.out_height); },
          [&](const RingPosition& at, const StripRows&, int, int row) { Make(at, row); });
      if (args_.sum_dz) StoreSums();
    }

   private:
    FASTCONV_DEVICE void Make(const RingPosition& at, int row) {
      Slot* const slot = &shared_.barriers[at.slot];
      WaitPhase(&slot->brought, at.parity);
      if (kFolded != Folded::kNothing || args_.sum_dz) {
        unsigned char* const copy = at.slot < kMirrored ? shared_.Dz(at.slot + kSlots) : nullptr;
        row_.template Make<kMakingThreads>(thread_, row, shared_.Dz(at.slot), copy,
                                           shared_.Beside(at.slot), [&](const float(&dz)[kVector]) {
                                             FASTCONV_UNROLL
                                             for (int c = 0; c < kVector; ++c) sum_[c] += dz[c];
                                           });
      }
      FenceBulkCopies();
      SyncWarp();
      if (LaneIndex() == 0) Arrive(&slot->full);
    }

    FASTCONV_DEVICE void StoreSums() const {
      StoreValues(sum_, shared_.sums + thread_ * kVector);
      SyncGroup(1, kMakingThreads);
      if (thread_ >= kChannels) return;
      constexpr int kRuns = kChannels / kVector;  // every so many threads have the same channels
      float sum = 0;
      for (int thread = thread_ / kVector; thread < kMakingThreads; thread += kRuns) {
        sum += shared_.sums[thread * kVector + thread_ % kVector];
      }
      Partials(args_)[9 * kChannels * kChannels + thread_] = sum;
    }

    const Args& args_;
    const Shared& shared_;
    const int thread_;  // of the makers
    const DzRow row_;
    float sum_[kVector];
  };

  // The block's.
  static FASTCONV_DEVICE float* Partials(const Args& args) {
    return args.partials + static_cast<int64_t>(BlockIndex().x) * kPartialRows * kChannels;
  }

  // The warpgroup's sums: [64 elements of x][filter row][64 elements of dz].
  static FASTCONV_DEVICE void Multiply(const Args& args, const Shared& shared, int shift) {
    constexpr int kProducts = kUnits / kMinBoxUnits;
    float sum[1][kColumns / 2];
    FASTCONV_UNROLL
    for (int i = 0; i < kColumns / 2; ++i) sum[0][i] = 0;
    int x_offset[kProducts];
    FASTCONV_UNROLL
    for (int i = 0; i < kProducts; ++i) {
      const int image = i * kMinBoxUnits / args.box_units;
      x_offset[i] = (i * kMinBoxUnits + image * (kShifts - 1) + shift) * kUnitBytes;
    }
    RingPosition at;
    for (int i = 0; i < 2; ++i) {
      WaitPhase(&shared.barriers[at.slot].full, at.parity);
      at.Advance();
    }
    bool first = true;
    ForRows(args, [&](const StripRows& rows) {
      for (int i = 0; i < rows.count + 2; ++i) {
        WaitPhase(&shared.barriers[at.slot].full, at.parity);
        const Operand x = ColumnsOperand(shared.X(at.slot));
        const Operand dz = ColumnsOperand(shared.Dz(at.slot), kSlotBytes);
        BeginProducts(sum);
        FASTCONV_UNROLL
        for (int product = 0; product < kProducts; ++product) {
          MultiplyAddTransposedAsync<kColumns>(T(), x + x_offset[product],
                                               dz + product * kMinBoxUnits * kUnitBytes, sum[0]);
        }
        CommitProducts();
        WaitForProducts<1>(sum);
        // Of the row before this one all are done, so nobody needs the one three rows back.
        if (LaneIndex() == 0 && !first) {
          const int slot = at.slot + 3 < kSlots ? at.slot + 3 : at.slot + 3 - kSlots;
          Arrive(&shared.barriers[slot].empty);
        }
        first = false;
        at.Advance();
      }
    });
    WaitForProducts<0>(sum);
    Store(args, shared, shift, sum[0]);
  }

  // Pixel x_pixel of x's unit and dz_pixel of dz's are apart by a column of the filter, or they are
  // no taps. Each column has as many of these as a unit has pixels, all of different dz_pixel.
  static FASTCONV_DEVICE int FilterColumn(int shift, int x_pixel, int dz_pixel) {
    return kPairs ? 2 * shift + x_pixel - dz_pixel - (kShifts == 3 ? 1 : 0) : shift;
  }

  // body(i, row, column) for the pairs of the thread's sums, from sum i on, that belong to a tap
  // and one of the pixels of dz's units: where they are in [9 * kChannels][kChannels].
  template <class Body>
  static FASTCONV_DEVICE void ForTaps(int shift, int pixel, const Body& body) {
    const int x_element = WarpIndex() % 4 * 16 + LaneIndex() / 4, first = LaneIndex() % 4 * 2;
    const int s = FilterColumn(shift, x_element / kChannels, pixel);
    if (s < 0 || s > 2) return;
    FASTCONV_UNROLL
    for (int i = 0; i < kColumns / 2; i += 2) {
      const int r = i / 4 * 8 / kSide, dz_element = i / 4 * 8 % kSide;
      if (dz_element / kChannels != pixel) continue;
      body(i, (3 * r + s) * kChannels + x_element % kChannels + i / 2 % 2 * 8,
           dz_element % kChannels + first);
    }
  }

  // Of pairs, the sums of the second pixel pass through shared memory to those who have the
  // first's.
  static FASTCONV_DEVICE void Store(const Args& args, const Shared& shared, int shift,
                                    const float (&sum)[kColumns / 2]) {
    float* const seconds = reinterpret_cast<float*>(shared.slots);
    if constexpr (kPairs) {
      SyncGroup(2, kShifts * kWarpgroupSize);  // nobody needs the ring
      ForTaps(shift, 1, [&](int i, int row, int column) {
        const float pair[2] = {sum[i], sum[i + 1]};
        StoreElements(pair, seconds + row * kSecondsPitch + column);
      });
      SyncGroup(2, kShifts * kWarpgroupSize);
    }
    float* const partials = Partials(args);
    ForTaps(shift, 0, [&](int i, int row, int column) {
      float pair[2] = {};
      if constexpr (kPairs) LoadElements(seconds + row * kSecondsPitch + column, pair);
      pair[0] += sum[i];
      pair[1] += sum[i + 1];
      StoreElements(pair, partials + row * kChannels + column);
    });
  }
};

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_KERNELS_WARPGROUP_FILTER_GRAD3X3_H_
