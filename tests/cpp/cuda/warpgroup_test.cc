// The emulated bulk copies, barriers and products of warpgroups: that they do what kernels count
// on, and that they notice what would be undefined on a GPU.
#include "core/cuda/device/warpgroup.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <tuple>
#include <vector>

#include "core/cuda/device/bulk_copy.h"
#include "core/cuda/launch.h"
#include "element_types.h"
#include "expectation.h"

namespace fastconv::testing {
namespace {

using cuda::Barrier;

constexpr int kWarpgroup = cuda::kWarpgroupSize;
constexpr int kSharedBytes = 64 << 10;

// A kernel of one block or, with both ways of scheduling, of two, from a function of its thread.
template <class Arguments, void (*kBody)(const Arguments&), int kCount>
struct TestKernel {
  using Args = Arguments;
  static constexpr int kThreads = kCount;
  static constexpr int kMinBlocks = 1;
  static void Run(const Args& args) { kBody(args); }
};

template <class Args, void (*kBody)(const Args&), int kThreads = kWarpgroup>
void RunKernel(const Args& args) {
  const Status status =
      cuda::Launch<TestKernel<Args, kBody, kThreads>>({2, 1}, kSharedBytes, nullptr, args);
  ASSERT_TRUE(status.ok());
}

// The parts of the shared memory that the kernels here use.
struct Area {
  unsigned char* data;  // aligned to 1024 bytes of the GPU's address
  Barrier* barrier;     // two
};
Area SharedArea() {
  unsigned char* const begin = cuda::SharedMemory();
  const uint32_t past = cuda::SharedAddress(begin) % 1024;
  unsigned char* const data = begin + (past == 0 ? 0 : 1024 - past);
  return {data, reinterpret_cast<Barrier*>(data + kSharedBytes - 2048)};
}

void InitializeBarriers(const Area& area, int arrivals) {
  if (cuda::ThreadIndex() == 0) {
    cuda::Initialize(&area.barrier[0], 1);
    cuda::Initialize(&area.barrier[1], arrivals);
    cuda::FenceBarriers();
  }
  cuda::SyncThreads();
}

// ---- boxes

struct BoxArgs {
  cuda::TensorMap map;
  cuda::TilePosition at;
  int bytes;
  uint8_t* copies;  // of the two blocks
};

void CopyBox(const BoxArgs& args) {
  const Area area = SharedArea();
  InitializeBarriers(area, 1);
  if (cuda::ThreadIndex() == 0) {
    cuda::ArriveExpecting(&area.barrier[0], args.bytes);
    cuda::LoadTile(area.data, args.map, args.at, &area.barrier[0]);
  }
  cuda::WaitPhase(&area.barrier[0], 0);
  for (int i = cuda::ThreadIndex(); i < args.bytes; i += kWarpgroup) {
    args.copies[cuda::BlockIndex().x * args.bytes + i] = cuda::Load<1>(area.data + i).word[0];
  }
}

// Every element of a box that hangs over all borders of its tensor, where the layout puts it.
template <int kRowBytes>
void CheckBox() {
  constexpr int kChannels = kRowBytes / 2, kWidth = 5, kHeight = 3, kImages = 4;
  constexpr int kBox[] = {kChannels, 7, 1, 3};
  std::vector<uint16_t> tensor(kChannels * kWidth * kHeight * kImages);
  for (size_t i = 0; i < tensor.size(); ++i) tensor[i] = static_cast<uint16_t>(i + 1);
  cuda::TileDescription tile = {};
  tile.dtype = DataType::kBFloat16;
  tile.tensor = tensor.data();
  const int64_t extent[] = {kChannels, kWidth, kHeight, kImages};
  std::copy(extent, extent + 4, tile.extent);
  std::copy(kBox, kBox + 4, tile.box);
  tile.stride_bytes[0] = kRowBytes;
  tile.stride_bytes[1] = kRowBytes * kWidth;
  tile.stride_bytes[2] = kRowBytes * kWidth * kHeight;
  BoxArgs args = {};
  ASSERT_TRUE(cuda::Encode(tile, &args.map).ok());
  constexpr int kRows = kBox[1] * kBox[3];
  args.bytes = kRows * kRowBytes;
  std::vector<uint8_t> copies(2 * args.bytes);
  args.copies = copies.data();
  for (const cuda::TilePosition& at :
       {cuda::TilePosition{{0, -1, 1, 2}}, {{0, 2, -1, 0}}, {{0, 0, 3, 0}}, {{0, 0, 2, -1}}}) {
    args.at = at;
    RunKernel<BoxArgs, CopyBox>(args);
    for (int i = 0; i < 2 * kRows * kChannels; ++i) {
      const int block = i / (kRows * kChannels), row = i / kChannels % kRows, c = i % kChannels;
      const int w = at.index[1] + row % kBox[1], h = at.index[2], n = at.index[3] + row / kBox[1];
      const bool inside = w >= 0 && w < kWidth && h >= 0 && h < kHeight && n >= 0 && n < kImages;
      const int expected = inside ? tensor[((n * kHeight + h) * kWidth + w) * kChannels + c] : 0;
      const int period = kRowBytes == 128 ? 8 : 4, line = row * kRowBytes / 128;
      const int part = c / 8 ^ line % period;  // of 16 bytes
      uint16_t actual;
      std::memcpy(&actual, &copies[block * args.bytes + row * kRowBytes + part * 16 + c % 8 * 2],
                  2);
      ASSERT_EQ(actual, expected) << "row " << row << ", channel " << c;
    }
  }
}

TEST(CudaBulkCopyTest, BoxesOfPermutedRows) {
  CheckBox<128>();
  CheckBox<64>();
}

TEST(CudaBulkCopyTest, RefusesTensorsThatTheDriverWould) {
  alignas(16) static uint8_t memory[1024];
  const cuda::TileDescription valid = {
      DataType::kBFloat16, memory, {64, 2, 2, 2}, {128, 256, 512}, {64, 2, 1, 1}};
  cuda::TensorMap map;
  EXPECT_TRUE(cuda::Encode(valid, &map).ok());
  cuda::TileDescription tile = valid;
  tile.tensor = memory + 8;
  EXPECT_FALSE(cuda::Encode(tile, &map).ok());
  tile = valid;
  tile.stride_bytes[1] = 200;
  EXPECT_FALSE(cuda::Encode(tile, &map).ok());
  tile = valid;
  tile.box[1] = 257;
  EXPECT_FALSE(cuda::Encode(tile, &map).ok());
  tile = valid;
  tile.box[0] = 48;
  EXPECT_FALSE(cuda::Encode(tile, &map).ok());
}

// ---- products

// A [rows][row], of which 64 from `first_row` on are multiplied; B [kColumns][row].
struct ProductArgs {
  const void* operands;  // A, then B, as they shall lie in shared memory
  int bytes, b_offset;
  int first_row, first_byte;
  float* d;  // [block][64][kColumns]
};

template <class T, int kRowBytes, int kColumns>
void MultiplyOnce(const ProductArgs& args) {
  const Area area = SharedArea();
  InitializeBarriers(area, 1);
  if (cuda::ThreadIndex() == 0) {
    cuda::ArriveExpecting(&area.barrier[0], args.bytes);
    cuda::LoadBulk(area.data, args.operands, args.bytes, &area.barrier[0]);
  }
  cuda::WaitPhase(&area.barrier[0], 0);
  float d[1][kColumns / 2];
  for (int i = 0; i < kColumns / 2; ++i) d[0][i] = static_cast<float>(i);
  cuda::BeginProducts(d);
  const cuda::Operand a =
      cuda::RowsOperand<kRowBytes>(area.data) + (args.first_row * kRowBytes + args.first_byte);
  const cuda::Operand b = cuda::RowsOperand<kRowBytes>(area.data + args.b_offset);
  cuda::MultiplyAddAsync<kColumns>(T(), a, b + args.first_byte, d[0]);
  cuda::CommitProducts();
  cuda::WaitForProducts<0>(d);
  const int thread = cuda::ThreadIndex();
  for (int i = 0; i < kColumns / 2; ++i) {
    const int row = thread / 32 * 16 + thread % 32 / 4 + i % 4 / 2 * 8;
    const int column = i / 4 * 8 + thread % 4 * 2 + i % 2;
    args.d[(cuda::BlockIndex().x * 64 + row) * kColumns + column] = d[0][i];
  }
}

template <class T, int kRowBytes, int kColumns>
void CheckProduct(DataType type) {
  constexpr int kRow = kRowBytes / static_cast<int>(sizeof(T));
  constexpr int kDepth = 32 / static_cast<int>(sizeof(T));
  constexpr int kRowsOfA = 80;  // whole periods of 1024 bytes in both layouts
  Random random("product");
  const std::vector<double> a = random.Integers(kRowsOfA * kRow, -8, 8);
  const std::vector<double> b = random.Integers(kColumns * kRow, -8, 8);
  ProductArgs args = {};
  args.b_offset = kRowsOfA * kRowBytes;
  args.bytes = args.b_offset + kColumns * kRowBytes;
  alignas(16) static uint8_t operands[kSharedBytes];
  const auto put = [&](const std::vector<double>& values, int offset) {
    for (size_t i = 0; i < values.size(); ++i) {
      const auto byte = static_cast<uint32_t>(offset + i * sizeof(T));
      Store(type, values[i], operands + cuda::SwizzledOffset<kRowBytes>(byte), 0);
    }
  };
  put(a, 0);
  put(b, args.b_offset);
  args.operands = operands;
  std::vector<float> d(2 * 64 * kColumns);
  args.d = d.data();
  for (int first_row : {0, 1, 3, 16}) {
    for (args.first_byte = 0; args.first_byte < kRowBytes; args.first_byte += 32) {
      args.first_row = first_row;
      std::fill(d.begin(), d.end(), NAN);
      RunKernel<ProductArgs, MultiplyOnce<T, kRowBytes, kColumns>>(args);
      for (int i = 0; i < 2 * 64 * kColumns; ++i) {
        const int row = i / kColumns % 64, column = i % kColumns;
        double expected = column / 8 * 4 + row / 8 % 2 * 2 + column % 2;  // as it began
        for (int k = 0; k < kDepth; ++k) {
          const int at = args.first_byte / static_cast<int>(sizeof(T)) + k;
          expected += a[(first_row + row) * kRow + at] * b[column * kRow + at];
        }
        ASSERT_EQ(d[i], expected) << "row " << row << ", column " << column;
      }
    }
  }
}

TEST(CudaWarpgroupTest, ProductsOfShiftedRows) {
  CheckProduct<BFloat16, 64, 96>(DataType::kBFloat16);
  CheckProduct<BFloat16, 128, 192>(DataType::kBFloat16);
  CheckProduct<Float16, 128, 96>(DataType::kFloat16);
  CheckProduct<float, 128, 96>(DataType::kFloat32);
}

// ---- a ring of one stage, a staged store, and what is undefined

enum class Mistake {
  kNone,
  kNoWaitForCopy,
  kNoWaitForRelease,
  kReleaseTooEarly,
  kNoBeginProducts,
  kChangedSums,
  kProductsLeft,
  kNoFence,
  kNoSync,
  kStoreLeft,
  kStagingReused,
  kMisalignedBox,
  kNoBarrierFence,
};

struct RingArgs {
  const uint8_t* rows;  // [kRounds][kRingBytes]
  float* y;             // of a block [kRounds][128 threads]
  Mistake mistake;
};

constexpr int kRounds = 3, kRingBytes = 96 * 64;

void Produce(const RingArgs& args, const Area& area) {
  cuda::LowerRegisters<40>();
  if (cuda::LaneIndex() != 0 || cuda::WarpIndex() != 4) return;
  for (int round = 0; round < kRounds; ++round) {
    if (args.mistake != Mistake::kNoWaitForRelease) {
      cuda::WaitPhase(&area.barrier[1], round % 2 ^ 1);
    }
    cuda::ArriveExpecting(&area.barrier[0], kRingBytes);
    unsigned char* to = area.data;
    if (args.mistake == Mistake::kMisalignedBox) to += 8;
    cuda::LoadBulk(to, args.rows + round * kRingBytes, kRingBytes, &area.barrier[0]);
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
    const cuda::Operand rows = cuda::RowsOperand<64>(area.data);
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
    cuda::SyncGroup(1, kWarpgroup);
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
  if (cuda::ThreadIndex() == 0) {
    cuda::Initialize(&area.barrier[0], 1);
    cuda::Initialize(&area.barrier[1], 4);
    if (args.mistake != Mistake::kNoBarrierFence) cuda::FenceBarriers();
  }
  cuda::SyncThreads();
  if (cuda::WarpIndex() < 4) {
    Consume(args, area);
  } else {
    Produce(args, area);
  }
}

// What the threads' sums should be.
std::vector<float> RunRing(Mistake mistake, std::vector<float>* expected = nullptr) {
  Random random("ring");
  const std::vector<double> values = random.Integers(kRounds * kRingBytes / 2, -4, 4);
  alignas(16) static uint8_t rows[kRounds * kRingBytes];
  for (size_t i = 0; i < values.size(); ++i) {
    Store(DataType::kBFloat16, values[i],
          rows + cuda::SwizzledOffset<64>(static_cast<uint32_t>(2 * i)), 0);
  }
  alignas(16) static float y[2 * kRounds * 4 * kWarpgroup];
  std::fill(std::begin(y), std::end(y), NAN);
  RunKernel<RingArgs, RunRing, 2 * kWarpgroup>({rows, y, mistake});
  if (expected != nullptr) {
    for (int i = 0; i < 2 * kRounds * kWarpgroup; ++i) {
      const int thread = i % kWarpgroup, round = i / kWarpgroup % kRounds;
      const double* const of_round = values.data() + round * kRingBytes / 2;
      double sum = 0;
      for (int row = thread / 32 * 16 + thread % 32 / 4, half = 0; half < 2; ++half, row += 8) {
        for (int column = 0; column < 96; ++column) {
          if (column % 8 / 2 != thread % 4) continue;
          for (int k = 0; k < 32; ++k) sum += of_round[row * 32 + k] * of_round[column * 32 + k];
        }
      }
      expected->insert(expected->end(), 4, static_cast<float>(sum));
    }
  }
  return {std::begin(y), std::end(y)};
}

TEST(CudaWarpgroupTest, RingFeedsProducts) {
  std::vector<float> expected;
  const std::vector<float> y = RunRing(Mistake::kNone, &expected);
  EXPECT_EQ(y, expected);
}

class CudaWarpgroupMistakeDeathTest
    : public ::testing::TestWithParam<std::tuple<Mistake, const char*, const char*>> {};

TEST_P(CudaWarpgroupMistakeDeathTest, NoticesMistake) {
  EXPECT_DEATH(RunRing(std::get<0>(GetParam())), std::get<2>(GetParam()));
}

INSTANTIATE_TEST_SUITE_P(
    Mistakes, CudaWarpgroupMistakeDeathTest,
    ::testing::Values(
        std::make_tuple(Mistake::kNoWaitForCopy, "NoWaitForCopy", "being read"),
        std::make_tuple(Mistake::kNoWaitForRelease, "NoWaitForRelease", "more arrivals"),
        std::make_tuple(Mistake::kReleaseTooEarly, "ReleaseTooEarly", "has not released"),
        std::make_tuple(Mistake::kNoBeginProducts, "NoBeginProducts", "known to be in registers"),
        std::make_tuple(Mistake::kChangedSums, "ChangedSums", "changes sums"),
        std::make_tuple(Mistake::kProductsLeft, "ProductsLeft", "with products under way"),
        std::make_tuple(Mistake::kNoFence, "NoFence", "without a fence"),
        std::make_tuple(Mistake::kNoSync, "NoSync", "no barrier between"),
        std::make_tuple(Mistake::kStoreLeft, "StoreLeft", "have read shared memory"),
        std::make_tuple(Mistake::kStagingReused, "StagingReused", "being read"),
        std::make_tuple(Mistake::kMisalignedBox, "Misaligned", "misaligned"),
        std::make_tuple(Mistake::kNoBarrierFence, "NoBarrierFence", "no fence follows")),
    [](const auto& info) { return std::string(std::get<1>(info.param)); });

struct NoArgs {};
void RaiseWithoutLowering(const NoArgs&) { cuda::RaiseRegisters<232>(); }

TEST(CudaWarpgroupDeathTest, NoticesTooManyRegisters) {
  EXPECT_DEATH((RunKernel<NoArgs, RaiseWithoutLowering, 3 * kWarpgroup>({})), "do not come");
}

}  // namespace
}  // namespace fastconv::testing
