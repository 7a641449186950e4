// The emulated device: its conversions, its collective operations, and that it notices what would
// be undefined on a GPU.
#include "core/cuda/device/device.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "cases.h"
#include "core/cuda/kernels/tensor_product.h"
#include "core/cuda/launch.h"
#include "element_types.h"
#include "expectation.h"

namespace fastconv::testing {
namespace {

// A kernel of one block from a function of its thread.
template <void (*kBody)(float*)>
struct TestKernel {
  struct Args {
    float* values;
  };
  static constexpr int kThreads = 64;
  static constexpr int kMinBlocks = 1;
  static void Run(const Args& args) { kBody(args.values); }
};

template <void (*kBody)(float*)>
void RunKernel(float* values) {
  const Status status =
      cuda::Launch<TestKernel<kBody>>({2, 1}, /*shared_bytes=*/256, nullptr, {values});
  ASSERT_TRUE(status.ok());
}

TEST(CudaDeviceTest, SixteenBitNumbers) {
  for (uint32_t bits = 0; bits <= 0xFFFF; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const double value = Load(DataType::kFloat16, &half, 0);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(cuda::FromFloat16(half)));
    } else {
      EXPECT_EQ(cuda::FromFloat16(half), value);
      EXPECT_EQ(cuda::RoundToFloat16(static_cast<float>(value)), half);
    }
  }
  Random random("conversions");
  for (int i = 0; i < 20000; ++i) {
    const auto value = static_cast<float>(
        std::ldexp(random.Uniform(-2, 2), static_cast<int>(random.Integer(-30, 18))));
    uint16_t expected;
    Store(DataType::kFloat16, RoundTo(DataType::kFloat16, value), &expected, 0);
    EXPECT_EQ(cuda::RoundToFloat16(value), expected) << value;
    Store(DataType::kBFloat16, RoundTo(DataType::kBFloat16, value), &expected, 0);
    EXPECT_EQ(cuda::RoundToBFloat16(value), expected) << value;
  }
  EXPECT_EQ(cuda::RoundToFloat16(65519.0f), 0x7BFF);
  EXPECT_EQ(cuda::RoundToFloat16(65520.0f), 0x7C00);
  EXPECT_EQ(cuda::RoundToBFloat16(std::numeric_limits<float>::infinity()), 0x7F80);
}

TEST(CudaDeviceTest, Tf32) {
  const auto round = [](uint32_t bits) { return cuda::RoundToTf32(bits) & 0xFFFFE000u; };
  EXPECT_EQ(round(0x3F800FFFu), 0x3F800000u);  // just below half a unit above 1
  EXPECT_EQ(round(0x3F801000u), 0x3F802000u);
  EXPECT_EQ(round(0xBFFFF000u), 0xC0000000u);                // a carry into the exponent
  EXPECT_EQ(round(0x7F800000u), 0x7F800000u);                // infinity
  EXPECT_EQ(round(0x7FFFFFFFu) & 0x7FC00000u, 0x7FC00000u);  // NaN
  EXPECT_EQ(round(0xFFFFFFFFu) & 0x7FC00000u, 0x7FC00000u);
}

void Reverse(float* values) {
  float* shared = reinterpret_cast<float*>(cuda::SharedMemory());
  if (!std::isnan(shared[cuda::ThreadIndex()])) return;
  shared[cuda::ThreadIndex()] = static_cast<float>(cuda::ThreadIndex());
  cuda::SyncThreads();
  values[cuda::BlockIndex().x * 64 + cuda::ThreadIndex()] = shared[63 - cuda::ThreadIndex()];
}

TEST(CudaDeviceTest, BarrierBringsSharedMemory) {
  std::vector<float> values(128, NAN);
  RunKernel<Reverse>(values.data());
  for (int i = 0; i < 128; ++i) EXPECT_EQ(values[i], 63 - i % 64);
}

void Shuffle(float* values) {
  const auto mine = static_cast<float>(cuda::ThreadIndex());
  values[cuda::BlockIndex().x * 64 + cuda::ThreadIndex()] = cuda::ShuffleXor(mine, 5);
}

void DoNothing(float*) {}

TEST(CudaDeviceTest, RefusesMoreSharedMemoryThanGpusHave) {
  const auto launch = [](int capability, int shared_bytes) {
    UseCapability(capability);
    const Status status =
        cuda::Launch<TestKernel<DoNothing>>({1, 1}, shared_bytes, nullptr, {nullptr});
    UseCapability(80);
    return status.ok();
  };
  EXPECT_TRUE(launch(86, 99 << 10));
  EXPECT_FALSE(launch(86, (99 << 10) + 16));
  EXPECT_TRUE(launch(80, 163 << 10));
  EXPECT_FALSE(launch(80, (163 << 10) + 16));
  EXPECT_TRUE(launch(90, 227 << 10));
  EXPECT_FALSE(launch(90, (227 << 10) + 16));
}

TEST(CudaDeviceTest, ShuffleExchangesLanes) {
  std::vector<float> values(128, NAN);
  RunKernel<Shuffle>(values.data());
  for (int i = 0; i < 128; ++i) EXPECT_EQ(values[i], (i % 64) ^ 5);
}

void SkipBarrier(float*) {
  if (cuda::ThreadIndex() != 7) cuda::SyncThreads();
}
void Diverge(float*) {
  if (cuda::ThreadIndex() % 2 == 0) {
    cuda::SyncWarp();
  } else {
    cuda::ShuffleXor(0, 1);
  }
}
void Misalign(float* values) { cuda::Load<8>(values + 1); }
void OverrunSharedMemory(float*) { cuda::SharedMemory()[256] = 0; }

TEST(CudaDeviceDeathTest, NoticesWhatIsUndefined) {
  alignas(16) float values[128];
  EXPECT_DEATH(RunKernel<SkipBarrier>(values), "do not come");
  EXPECT_DEATH(RunKernel<Diverge>(values), "different collective operations");
  EXPECT_DEATH(RunKernel<Misalign>(values), "misaligned access");
  EXPECT_DEATH(RunKernel<OverrunSharedMemory>(values), "beyond the shared memory");
}

}  // namespace
}  // namespace fastconv::testing
