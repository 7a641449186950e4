// Winograd's filter gradient over sums of every length: its error must not grow with the batch, and
// every way in which the sums are cut must give them. Large problems are compared in some of their
// channels, which do not depend on the others.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <tuple>
#include <vector>

#include "buffers.h"
#include "conv2d_cases.h"
#include "conv2d_harness.h"
#include "core/reference/conv2d.h"
#include "element_types.h"
#include "expectation.h"
#include "isa.h"
#include "thread_pools.h"

namespace fastconv::testing {
namespace {

// Problem, threads, instruction set.
using Param = std::tuple<const char*, int, Isa>;

// Evenly spaced channels, the first and the last one among them.
std::vector<int64_t> SomeChannels(int64_t channels) {
  constexpr int64_t kSome = 6;
  std::vector<int64_t> some;
  for (int64_t i = 0; i < std::min(channels, kSome); ++i) {
    some.push_back(i * (channels - 1) / (std::min(channels, kSome) - 1));
  }
  return some;
}

// pixels x channels values -> those of `some` channels.
std::vector<double> Select(const std::vector<double>& values, int64_t channels,
                           const std::vector<int64_t>& some) {
  std::vector<double> selected;
  for (size_t pixel = 0; pixel < values.size(); pixel += channels) {
    for (int64_t channel : some) selected.push_back(values[pixel + channel]);
  }
  return selected;
}

class WinogradFilterGradTest : public ::testing::TestWithParam<Param> {};

TEST_P(WinogradFilterGradTest, SomeChannelsMatch) {
  const auto [text, threads, isa] = GetParam();
  FASTCONV_SKIP_WITHOUT(isa);
  const ScopedMaxIsa max_isa(isa);
  const FusedConv2DProblem problem = ParseConv2DProblem(text);
  const Conv2DProblem& conv = problem.conv;
  const WindowAxis& h = conv.window.h;
  const WindowAxis& w = conv.window.w;
  Random random(text);
  Conv2DInputs inputs;
  inputs.x =
      RoundTo(conv.dtype, random.Uniforms(conv.batch * h.in * w.in * conv.in_channels, -1, 1.25));
  inputs.dy =
      RoundTo(conv.dtype, random.Uniforms(conv.output_pixels() * conv.out_channels, -1, 1.25));

  const std::vector<int64_t> some_in = SomeChannels(conv.in_channels);
  const std::vector<int64_t> some_out = SomeChannels(conv.out_channels);
  Conv2DProblem part = conv;
  part.in_channels = some_in.size();
  part.out_channels = some_out.size();
  const std::vector<double> dy = Select(inputs.dy, conv.out_channels, some_out);
  const std::vector<double> expected =
      reference::Conv2DBackwardFilter(part, Select(inputs.x, conv.in_channels, some_in), dy);

  WorkerThreadPool pool(threads);
  const Conv2DOutputs outputs =
      RunConv2D(Conv2DPass::kBackwardFilter, problem, inputs, &pool, /*workspace_fill=*/0xff,
                std::string("winograd:") + Name(isa));
  std::vector<double> actual;
  const std::vector<double> columns = Select(outputs.dfilter, conv.out_channels, some_out);
  for (int64_t tap = 0; tap < h.window * w.window; ++tap) {
    for (int64_t in : some_in) {
      const auto row = columns.begin() + (tap * conv.in_channels + in) * some_out.size();
      actual.insert(actual.end(), row, row + some_out.size());
    }
  }
  EXPECT_TRUE(MatchesInNorm(conv.dtype, expected, actual));
}

// Batches from 1 to 512, in tiles of 6, 7 and 8 points.
INSTANTIATE_TEST_SUITE_P(
    Batches, WinogradFilterGradTest,
    ::testing::Combine(
        ::testing::Values(
            "x=1x16x16x16 filter=3x3x16 padding=same", "x=32x16x16x16 filter=3x3x16 padding=same",
            "x=512x16x16x16 filter=3x3x16 padding=same", "x=1x15x15x16 filter=3x3x16 padding=same",
            "x=32x15x15x16 filter=3x3x16 padding=same", "x=512x15x15x16 filter=3x3x16 padding=same",
            "x=1x6x6x16 filter=3x3x16 padding=same", "x=32x6x6x16 filter=3x3x16 padding=same",
            "x=512x6x6x16 filter=3x3x16 padding=same", "x=1x12x12x16 filter=5x5x16",
            "x=32x12x12x16 filter=5x5x16", "x=512x12x12x16 filter=5x5x16"),
        ::testing::Values(1, 2), ::testing::ValuesIn(kIsas)));

// Filters so large that their sums are cut by output channels, taken together by all threads, in
// one unit and in several and, of many units, in groups.
INSTANTIATE_TEST_SUITE_P(
    LargeFilters, WinogradFilterGradTest,
    ::testing::Combine(::testing::Values("x=3x7x9x272 filter=3x3x304 padding=same",
                                         "x=2x6x7x528 filter=3x3x530 padding=same",
                                         "x=5x9x9x16 filter=3x3x16400 padding=same",
                                         "x=26x9x9x16 filter=3x3x16400 padding=same",
                                         "x=2x9x8x400 filter=5x5x404"),
                       ::testing::Values(1, 2), ::testing::ValuesIn(kIsas)));

}  // namespace
}  // namespace fastconv::testing
