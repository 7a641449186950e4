// Sums of the blocks' sums, on the emulated device: more blocks than any kernel has there.
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "buffers.h"
#include "core/cuda/kernels/channel_sums.h"
#include "core/cuda/launch.h"
#include "expectation.h"

namespace fastconv::testing {
namespace {

// Fewer and more than the threads of a column, and than these load at once; columns that are left
// out behind those wanted.
TEST(CudaAddPartialsTest, MatchesSums) {
  using Add = cuda::AddPartials<float>;
  constexpr int kFirst = 40, kSecond = 30;
  constexpr int64_t kStride = 77;
  for (const int blocks : {0, 1, 7, 127, 129, 300}) {
    SCOPED_TRACE(blocks);
    const std::vector<double> partials = Random("add").Integers(blocks * kStride, -99, 99);
    std::vector<double> sums(kFirst + kSecond);
    for (int block = 0; block < blocks; ++block) {
      for (size_t column = 0; column < sums.size(); ++column) {
        sums[column] += partials[block * kStride + column];
      }
    }
    const InputBuffer given(DataType::kFloat32, partials);
    OutputBuffer first(DataType::kFloat32, kFirst), second(DataType::kFloat32, kSecond);
    const Add::Args args = {static_cast<const float*>(given.data()),
                            blocks,
                            kStride,
                            kFirst,
                            kSecond,
                            static_cast<float*>(first.data()),
                            static_cast<float*>(second.data())};
    const Status status = cuda::Launch<Add>(Add::GridFor(args), Add::kSharedBytes, nullptr, args);
    ASSERT_TRUE(status.ok()) << status.message();
    EXPECT_TRUE(first.GuardsIntact() && second.GuardsIntact());
    std::vector<double> both = first.Values();
    for (double value : second.Values()) both.push_back(value);
    EXPECT_EQ(both, sums);
  }
}

}  // namespace
}  // namespace fastconv::testing
