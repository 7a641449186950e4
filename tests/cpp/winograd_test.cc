// How far Winograd's tiles carry a NaN: to no result further from it than a tile reaches, to no
// other image, and in filter gradients to no other channel (docs/numerics.md).
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <functional>
#include <limits>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "conv2d_cases.h"
#include "conv2d_harness.h"
#include "isa.h"
#include "thread_pools.h"

namespace fastconv::testing {
namespace {

constexpr int64_t kTilePoints = 8;  // of the largest tiles
// Image, row, column and channel of the NaN, in x and in dy.
constexpr int64_t kImage = 1, kRow = 9, kCol = 11, kChannel = 5;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Problem, instruction set.
using Param = std::tuple<const char*, Isa>;

class WinogradNotANumberTest : public ::testing::TestWithParam<Param> {
 protected:
  void SetUp() override {
    FASTCONV_SKIP_WITHOUT(isa());
    scenario_ = MakeConv2DScenario("not_a_number", ParseConv2DProblem(std::get<0>(GetParam())),
                                   Regime::kRandom);
  }
  Isa isa() const { return std::get<1>(GetParam()); }
  const Conv2DProblem& conv() const { return scenario_.problem.conv; }

  // Runs `check(run)` for every implementation by Winograd's algorithm; run() runs the pass.
  void ForEachImplementation(
      Conv2DPass pass, const std::function<void(const std::function<Conv2DOutputs()>&)>& check) {
    int implementations = 0;
    for (const std::string& name : ImplementationsOf(pass, scenario_.problem, isa())) {
      if (!IsWinograd(name)) continue;
      ++implementations;
      WithEachPool([&](const std::string& pool_name, ThreadPool* pool) {
        SCOPED_TRACE(name + ", " + pool_name);
        check([&] {
          return RunConv2D(pass, scenario_.problem, scenario_.inputs, pool,
                           /*workspace_fill=*/0xff, name);
        });
      });
    }
    EXPECT_GT(implementations, 0);
  }

  // In a batch of maps, a NaN must have reached its own place and may have reached results nearer
  // than a tile; the rest equals `clean` bit for bit.
  static void CheckMap(int64_t rows, int64_t cols, int64_t channels,
                       const std::vector<double>& clean, const std::vector<double>& actual) {
    ASSERT_EQ(clean.size(), actual.size());
    int64_t reached = 0, kept = 0;
    for (size_t i = 0; i < actual.size(); ++i) {
      const int64_t pixel = i / channels;
      const int64_t rows_away = std::abs(pixel / cols % rows - kRow);
      const int64_t cols_away = std::abs(pixel % cols - kCol);
      const bool near =
          pixel / (rows * cols) == kImage && rows_away < kTilePoints && cols_away < kTilePoints;
      if (near && rows_away == 0 && cols_away == 0) {
        EXPECT_TRUE(std::isnan(actual[i])) << "element " << i;
        ++reached;
      } else if (!near) {
        EXPECT_EQ(clean[i], actual[i]) << "element " << i;
        ++kept;
      }
    }
    EXPECT_EQ(reached, channels);
    EXPECT_GT(kept, static_cast<int64_t>(actual.size()) / 2);
  }

  const ScopedMaxIsa max_isa_{std::get<1>(GetParam())};
  Conv2DScenario scenario_;
};

size_t IndexOf(int64_t rows, int64_t cols, int64_t channels) {
  return ((kImage * rows + kRow) * cols + kCol) * channels + kChannel;
}

TEST_P(WinogradNotANumberTest, StaysInItsTiles) {
  const WindowAxis& h = conv().window.h;
  const WindowAxis& w = conv().window.w;
  ForEachImplementation(Conv2DPass::kForward, [&](const auto& run) {
    const std::vector<double> clean = run().y;
    double& value = scenario_.inputs.x[IndexOf(h.in, w.in, conv().in_channels)];
    const double before = std::exchange(value, kNan);
    CheckMap(h.out, w.out, conv().out_channels, clean, run().y);
    value = before;
  });
  ForEachImplementation(Conv2DPass::kBackwardInput, [&](const auto& run) {
    const std::vector<double> clean = run().dx;
    double& value = scenario_.inputs.dy[IndexOf(h.out, w.out, conv().out_channels)];
    const double before = std::exchange(value, kNan);
    CheckMap(h.in, w.in, conv().in_channels, clean, run().dx);
    value = before;
  });
}

TEST_P(WinogradNotANumberTest, StaysInItsChannelOfTheFilterGradient) {
  const WindowAxis& h = conv().window.h;
  const WindowAxis& w = conv().window.w;
  ForEachImplementation(Conv2DPass::kBackwardFilter, [&](const auto& run) {
    const std::vector<double> clean = run().dfilter;
    // Of x: input channels; of dy: output channels.
    for (const bool of_x : {true, false}) {
      double& value = of_x ? scenario_.inputs.x[IndexOf(h.in, w.in, conv().in_channels)]
                           : scenario_.inputs.dy[IndexOf(h.out, w.out, conv().out_channels)];
      const double before = std::exchange(value, kNan);
      const std::vector<double> actual = run().dfilter;
      value = before;
      ASSERT_EQ(clean.size(), actual.size());
      for (int64_t i = 0; i < static_cast<int64_t>(actual.size()); ++i) {
        const int64_t out = i % conv().out_channels;
        const int64_t in = i / conv().out_channels % conv().in_channels;
        if ((of_x ? in : out) == kChannel) {
          EXPECT_TRUE(std::isnan(actual[i])) << "element " << i;
        } else {
          EXPECT_EQ(clean[i], actual[i]) << "element " << i;
        }
      }
    }
  });
}

// Maps in tiles of 6, 7 and 8 points, with whole vectors of channels and without.
INSTANTIATE_TEST_SUITE_P(
    Tiles, WinogradNotANumberTest,
    ::testing::Combine(::testing::Values("x=3x32x32x16 filter=3x3x16 padding=same",
                                         "x=3x30x30x17 filter=3x3x18 padding=same",
                                         "x=3x32x35x16 filter=3x3x19", "x=3x30x30x16 filter=5x5x16",
                                         "x=3x32x32x17 filter=5x5x33 padding=same"),
                       ::testing::ValuesIn(kIsas)));

}  // namespace
}  // namespace fastconv::testing
