// A ring that feeds products of warpgroups and a staged store, emulated; and that the emulation
// notices what would be undefined on a GPU.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <tuple>
#include <vector>

#include "element_types.h"
#include "expectation.h"
#include "warpgroup_kernels.h"

namespace fastconv::testing {
namespace {

enum class Mistake {
  kNone,
  kNoWaitForCopy,
  kNoWaitForRelease,
  kReleaseTooEarly,
  kNoBeginProducts,
  kChangedBegunSums,
  kChangedSums,
  kProductsLeft,
  kNoFence,
  kNoSync,
  kPartOfWarpSyncs,
  kSyncsDisagree,
  kNoSuchSync,
  kStoreLeft,
  kStagingReused,
  kMisalignedBox,
  kOverBarrier,
  kMisalignedOperand,
  kBeyondRow,
  kNoBarrierFence,
  kFenceOfAnother,
  kBarrierTwice,
  kNoArrivals,
  kTooManyBytes,
  kChangeBeforeCopy,
  kChangeWithoutFence,
  kChangeTooLate,
};

struct RingArgs {
  const uint8_t* rows;  // [kRounds][kRingBytes]
  float* y;             // of a block [kRounds][128 threads]
  bool changes;         // every other element is cleared between copy and products
  Mistake mistake;
};

constexpr int kRounds = 3, kRingBytes = 96 * 64;

// One warp, between the copies and the products.
void Change(const RingArgs& args, const Area& area) {
  const auto pass_on = [&] {
    cuda::SyncWarp();
    if (cuda::LaneIndex() == 0) cuda::Arrive(&area.barrier[0]);
  };
  for (int round = 0; round < kRounds; ++round) {
    if (args.mistake != Mistake::kChangeBeforeCopy) cuda::WaitPhase(&area.barrier[2], round % 2);
    if (args.mistake == Mistake::kChangeTooLate) pass_on();
    for (int i = cuda::LaneIndex() * 16; i < kRingBytes; i += cuda::kWarpSize * 16) {
      cuda::Bits<16> bits = cuda::Load<16>(area.data + i);
      for (uint32_t& word : bits.word) word &= 0xFFFF0000u;
      cuda::Store(area.data + i, bits);
    }
    if (args.mistake != Mistake::kChangeWithoutFence) cuda::FenceBulkCopies();
    if (args.mistake != Mistake::kChangeTooLate) pass_on();
  }
}

void Produce(const RingArgs& args, const Area& area) {
  cuda::LowerRegisters<40>();
  if (args.changes && cuda::WarpIndex() == 5) return Change(args, area);
  if (cuda::LaneIndex() != 0 || cuda::WarpIndex() != 4) return;
  cuda::Barrier* const come = &area.barrier[args.changes ? 2 : 0];
  for (int round = 0; round < kRounds; ++round) {
    if (args.mistake != Mistake::kNoWaitForRelease) {
      cuda::WaitPhase(&area.barrier[1], round % 2 ^ 1);
    }
    cuda::ArriveExpecting(come, args.mistake == Mistake::kTooManyBytes ? 1 << 20 : kRingBytes);
    unsigned char* to = area.data;
    if (args.mistake == Mistake::kMisalignedBox) to += 8;
    if (args.mistake == Mistake::kOverBarrier) {
      to = reinterpret_cast<unsigned char*>(area.barrier + 2) - kRingBytes;
    }
    cuda::LoadBulk(to, args.rows + round * kRingBytes, kRingBytes, come);
  }
}

// The square of each row of 64, of which 64 are the rows, and 96 the columns, of a product; from
// its diagonal a thread has at most one element.
void Consume(const RingArgs& args, const Area& area) {
  const auto is = [&](Mistake mistake) { return args.mistake == mistake; };
  const int thread = cuda::ThreadIndex();
  float* const staging = reinterpret_cast<float*>(area.data + 16384);
  float d[1][48];
  for (int round = 0; round < kRounds; ++round) {
    for (float& sum : d[0]) sum = 0;
    if (!is(Mistake::kNoWaitForCopy)) cuda::WaitPhase(&area.barrier[0], round % 2);
    if (!is(Mistake::kNoBeginProducts)) cuda::BeginProducts(d);
    if (is(Mistake::kChangedBegunSums)) d[0][5] += 1;
    const cuda::Operand rows =
        cuda::RowsOperand<64>(area.data + (is(Mistake::kMisalignedOperand) ? 8 : 0)) +
        (is(Mistake::kBeyondRow) ? 16 : 0);
    for (int byte = 0; byte < 64; byte += 32) {
      cuda::MultiplyAddAsync<96>(BFloat16(), rows + byte, rows + byte, d[0]);
    }
    cuda::CommitProducts();
    if (is(Mistake::kChangedSums)) d[0][5] += 1;
    if (is(Mistake::kReleaseTooEarly) && cuda::LaneIndex() == 0) cuda::Arrive(&area.barrier[1]);
    if (is(Mistake::kProductsLeft) && round == kRounds - 1) return;
    cuda::WaitForProducts<0>(d);
    if (!is(Mistake::kReleaseTooEarly) && cuda::LaneIndex() == 0) {
      cuda::Arrive(&area.barrier[1]);
    }
    // Staged by all, stored by one.
    if (thread == 0 && !is(Mistake::kStagingReused)) cuda::WaitForStoreReads();
    if (is(Mistake::kPartOfWarpSyncs) && thread % 32 >= 16) return;
    cuda::SyncGroup(is(Mistake::kNoSuchSync) ? 16 : 1,
                    is(Mistake::kSyncsDisagree) && thread >= 64 ? 2 * kWarpgroup : kWarpgroup);
    float sum = 0;
    for (float value : d[0]) sum += value;
    cuda::Bits<16> bits;
    for (uint32_t& word : bits.word) std::memcpy(&word, &sum, 4);
    cuda::Store(staging + 4 * thread, bits);
    if (!is(Mistake::kNoFence)) cuda::FenceBulkCopies();
    if (!is(Mistake::kNoSync)) cuda::SyncGroup(1, kWarpgroup);
    if (thread != 0) continue;
    float* const to = args.y + (cuda::BlockIndex().x * kRounds + round) * 4 * kWarpgroup;
    cuda::StoreBulk(to, staging, 16 * kWarpgroup);
    cuda::CommitStores();
  }
  if (thread == 0 && !is(Mistake::kStoreLeft)) cuda::WaitForStores();
}

void RunRing(const RingArgs& args) {
  const Area area = SharedArea();
  const auto is = [&](Mistake mistake) { return args.mistake == mistake; };
  if (cuda::ThreadIndex() == 0) {
    cuda::Initialize(&area.barrier[0], 1);
    cuda::Initialize(&area.barrier[is(Mistake::kBarrierTwice) ? 0 : 1],
                     is(Mistake::kNoArrivals) ? 0 : 4);
    cuda::Initialize(&area.barrier[2], 1);
  }
  if (is(Mistake::kFenceOfAnother)) cuda::SyncThreads();
  if (cuda::ThreadIndex() == (is(Mistake::kFenceOfAnother) ? 1 : 0)) {
    if (!is(Mistake::kNoBarrierFence)) cuda::FenceBarriers();
  }
  cuda::SyncThreads();
  if (cuda::WarpIndex() < 4) {
    Consume(args, area);
  } else {
    Produce(args, area);
  }
}

// What the threads' sums should be.
std::vector<float> RunRing(bool changes, Mistake mistake, std::vector<float>* expected = nullptr) {
  Random random("ring");
  const std::vector<double> values = random.Integers(kRounds * kRingBytes / 2, -4, 4);
  alignas(16) static uint8_t rows[kRounds * kRingBytes];
  for (size_t i = 0; i < values.size(); ++i) {
    Store(DataType::kBFloat16, values[i],
          rows + cuda::SwizzledOffset<64>(static_cast<uint32_t>(2 * i)), 0);
  }
  alignas(16) static float y[2 * kRounds * 4 * kWarpgroup];
  std::fill(std::begin(y), std::end(y), NAN);
  RunKernel<RingArgs, RunRing, 2 * kWarpgroup>({rows, y, changes, mistake});
  if (expected != nullptr) {
    for (int i = 0; i < 2 * kRounds * kWarpgroup; ++i) {
      const int thread = i % kWarpgroup, round = i / kWarpgroup % kRounds;
      const double* const of_round = values.data() + round * kRingBytes / 2;
      double sum = 0;
      for (int row = thread / 32 * 16 + thread % 32 / 4, half = 0; half < 2; ++half, row += 8) {
        for (int column = 0; column < 96; ++column) {
          if (column % 8 / 2 != thread % 4) continue;
          for (int k = changes ? 1 : 0; k < 32; k += changes ? 2 : 1) {
            sum += of_round[row * 32 + k] * of_round[column * 32 + k];
          }
        }
      }
      expected->insert(expected->end(), 4, static_cast<float>(sum));
    }
  }
  return {std::begin(y), std::end(y)};
}

TEST(CudaWarpgroupTest, RingFeedsProducts) {
  for (const bool changes : {false, true}) {
    std::vector<float> expected;
    const std::vector<float> y = RunRing(changes, Mistake::kNone, &expected);
    EXPECT_EQ(y, expected);
  }
}

class CudaWarpgroupMistakeDeathTest
    : public ::testing::TestWithParam<std::tuple<Mistake, const char*, const char*>> {};

TEST_P(CudaWarpgroupMistakeDeathTest, NoticesMistake) {
  const Mistake mistake = std::get<0>(GetParam());
  const bool changes = mistake >= Mistake::kChangeBeforeCopy;
  EXPECT_DEATH(RunRing(changes, mistake), std::get<2>(GetParam()));
}

INSTANTIATE_TEST_SUITE_P(
    Mistakes, CudaWarpgroupMistakeDeathTest,
    ::testing::Values(
        std::make_tuple(Mistake::kNoWaitForCopy, "NoWaitForCopy", "being read"),
        std::make_tuple(Mistake::kNoWaitForRelease, "NoWaitForRelease", "more arrivals"),
        std::make_tuple(Mistake::kReleaseTooEarly, "ReleaseTooEarly", "has not released"),
        std::make_tuple(Mistake::kNoBeginProducts, "NoBeginProducts", "known to be in registers"),
        std::make_tuple(Mistake::kChangedBegunSums, "ChangedBegunSums", "between BeginProducts"),
        std::make_tuple(Mistake::kChangedSums, "ChangedSums", "changes sums of products"),
        std::make_tuple(Mistake::kProductsLeft, "ProductsLeft", "with products under way"),
        std::make_tuple(Mistake::kNoFence, "NoFence", "without a fence"),
        std::make_tuple(Mistake::kNoSync, "NoSync", "no barrier between"),
        std::make_tuple(Mistake::kPartOfWarpSyncs, "PartOfWarpSyncs", "do not come"),
        std::make_tuple(Mistake::kSyncsDisagree, "SyncsDisagree", "disagree"),
        std::make_tuple(Mistake::kNoSuchSync, "NoSuchSync", "no such barrier"),
        std::make_tuple(Mistake::kStoreLeft, "StoreLeft", "have read shared memory"),
        std::make_tuple(Mistake::kStagingReused, "StagingReused", "being read"),
        std::make_tuple(Mistake::kMisalignedBox, "Misaligned", "misaligned"),
        std::make_tuple(Mistake::kOverBarrier, "OverBarrier", "writes over a barrier"),
        std::make_tuple(Mistake::kMisalignedOperand, "MisalignedOperand", "misaligned"),
        std::make_tuple(Mistake::kBeyondRow, "BeyondRow", "beyond the end of its rows"),
        std::make_tuple(Mistake::kNoBarrierFence, "NoBarrierFence", "no fence follows"),
        std::make_tuple(Mistake::kFenceOfAnother, "FenceOfAnother", "no fence follows"),
        std::make_tuple(Mistake::kBarrierTwice, "BarrierTwice", "initialised twice"),
        std::make_tuple(Mistake::kNoArrivals, "NoArrivals", "so many arrivals"),
        std::make_tuple(Mistake::kTooManyBytes, "TooManyBytes", "so many bytes"),
        std::make_tuple(Mistake::kChangeBeforeCopy, "ChangeBeforeCopy", "waited for the copy"),
        std::make_tuple(Mistake::kChangeWithoutFence, "ChangeWithoutFence", "without a fence"),
        std::make_tuple(Mistake::kChangeTooLate, "ChangeTooLate", "no barrier between")),
    [](const auto& info) { return std::string(std::get<1>(info.param)); });

struct NoArgs {};

// The second warp copies what all have written. The others fence before it copies, as it happens in
// an even block, but no barrier sees to that.
void FenceAfterSync(const NoArgs&) {
  alignas(16) static uint8_t copy[16 * kWarpgroup];
  const Area area = SharedArea();
  InitializeBarriers(area, 1);
  cuda::Store<16>(area.data + 16 * cuda::ThreadIndex(), {});
  cuda::SyncGroup(1, kWarpgroup);
  cuda::FenceBulkCopies();
  if (cuda::ThreadIndex() == cuda::kWarpSize) cuda::StoreBulk(copy, area.data, sizeof(copy));
}

TEST(CudaWarpgroupDeathTest, NoticesFenceAfterSync) {
  using Kernel = TestKernel<NoArgs, FenceAfterSync, kWarpgroup>;
  EXPECT_DEATH(cuda::Launch<Kernel>({1, 1}, kSharedBytes, nullptr, {}).ok(), "without a fence");
}

void RaiseWithoutLowering(const NoArgs&) { cuda::RaiseRegisters<232>(); }

// Of 3 * 168 registers, 2 * 232 leave 40. That the register file has more is no help: the block was
// not given it.
void RaiseBeyondReleased(const NoArgs&) {
  if (cuda::WarpIndex() < 4) {
    cuda::LowerRegisters<48>();
  } else {
    cuda::RaiseRegisters<232>();
  }
}
void LowerToMore(const NoArgs&) { cuda::LowerRegisters<176>(); }
void RaiseToFewer(const NoArgs&) { cuda::RaiseRegisters<40>(); }

TEST(CudaWarpgroupDeathTest, NoticesWrongRegisters) {
  EXPECT_DEATH((RunKernel<NoArgs, RaiseWithoutLowering, 3 * kWarpgroup>({})), "do not come");
  EXPECT_DEATH((RunKernel<NoArgs, RaiseBeyondReleased, 3 * kWarpgroup>({})), "do not come");
  EXPECT_DEATH((RunKernel<NoArgs, LowerToMore, 3 * kWarpgroup>({})), "lowers registers to more");
  EXPECT_DEATH((RunKernel<NoArgs, RaiseToFewer, 3 * kWarpgroup>({})), "raises them to fewer");
}

}  // namespace
}  // namespace fastconv::testing
