// The CUDA kernels of convolutions against the reference.
#include "core/cuda/conv2d.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "buffers.h"
#include "cases.h"
#include "conv2d_cases.h"
#include "conv2d_harness.h"
#include "dropout_mask.h"
#include "element_types.h"
#include "expectation.h"

namespace fastconv::testing {
namespace {

// Tiles are 16x16 pixels and 32 or 64 channels, chunks 32 or 16 channels: sizes that fill them,
// miss them and need several, by blocks that have more than one.
constexpr const char* kProblems[] = {
    "x=1x16x16x16 filter=3x3x16 padding=same",
    "x=1x18x20x32 filter=3x3x32 padding=same bias act=relu",
    "x=2x35x34x16 filter=3x3x16 bias act=leaky:0.25",
    "x=1x33x17x16 filter=3x3x48 bias act=leaky:0.25 pool=2x2/2x2",
    "x=1x7x20x48 filter=3x3x64 padding=same",
    "x=1x19x16x64 filter=3x3x80 padding=same bias act=relu pool=2x2/2x2",
    "x=1x5x6x128 filter=3x3x128 padding=same bias",
    "x=1x10x11x32 filter=3x3x16 bias act=relu pool=3x3/2x2:same",
    "x=2x9x10x16 filter=3x3x16 padding=2,1,0,2 act=leaky:0.25",
    "x=0x9x9x16 filter=3x3x16 act=relu",
    // Gradients that the kernels fold into their loads: tiles that begin within a pooled cell,
    // pixels that no cell has, several tiles and chunks.
    "x=1x13x13x64 filter=3x3x48 padding=same bias act=relu pool=2x2/2x2",
    "x=1x13x13x64 filter=3x3x48 padding=1,2,2,0 act=relu",
    "x=2x35x29x16 filter=3x3x32 padding=2,1,0,2 bias act=leaky:0.25 pool=2x2/2x2",
    "x=1x9x15x16 filter=3x3x16 pool=2x2/2x2",
    // Maps of up to four channels.
    "x=3x34x33x3 filter=3x3x32 padding=same bias act=relu",
    "x=1x18x33x3 filter=3x3x16 bias act=leaky:0.25 pool=2x2/2x2",
    "x=1x20x16x1 filter=3x3x48 padding=same bias act=relu pool=2x2/2x2",
    "x=3x9x18x4 filter=3x3x80 padding=2,1,0,2 act=leaky:0.25",
    "x=1x5x6x3 filter=3x3x128 padding=same bias",
    "x=1x11x10x3 filter=3x3x16 bias act=relu pool=3x3/2x2:same",
    "x=2x12x11x2 filter=3x3x32 padding=same bias",
    "x=0x9x9x3 filter=3x3x16 act=relu",
};

// Maps narrower and wider than what a warpgroup takes at once, in both parities of width and
// padding; images side by side of which some are missing; more rows than a ring has; pooled maps of
// odd sizes. 64 pixels fill a tile of 64 channels, 128 one of 32.
constexpr const char* kWarpgroupProblems[] = {
    "x=1x9x16x32 filter=3x3x32 padding=same bias act=relu",
    "x=5x12x10x32 filter=3x3x32 bias act=leaky:0.25",
    "x=2x5x136x32 filter=3x3x32 padding=same bias",
    "x=1x7x262x32 filter=3x3x32 padding=2,0,1,2 act=relu",
    "x=3x15x22x32 filter=3x3x32 padding=same bias act=relu pool=2x2/2x2",
    "x=2x9x134x32 filter=3x3x32 padding=1,0,2,1 bias act=leaky:0.25 pool=2x2/2x2",
    "x=2x6x8x32 filter=3x3x32 bias act=relu pool=3x3/2x2:same",
    "x=1x3x4x32 filter=3x3x32 bias",
    "x=3x8x15x32 filter=3x3x32 padding=same bias act=relu",
    "x=1x6x131x32 filter=3x3x32 padding=1,2,1,0 bias act=relu pool=2x2/2x2",
    "x=0x9x8x32 filter=3x3x32 act=relu",
};
constexpr const char* kWideWarpgroupProblems[] = {
    "x=3x13x13x64 filter=3x3x64 padding=same bias act=relu",
    "x=1x9x67x64 filter=3x3x64 padding=2,1,0,2 bias",
    "x=4x11x7x64 filter=3x3x64 bias act=leaky:0.25 pool=2x2/2x2",
    "x=1x7x63x64 filter=3x3x64 padding=same bias act=relu pool=2x2/2x2",
    "x=1x7x133x64 filter=3x3x64 padding=1,1,2,0 bias act=leaky:0.25 pool=2x2/2x2",
    "x=2x5x70x64 filter=3x3x64 padding=0,1,1,0 bias act=relu",
    "x=1x4x5x64 filter=3x3x64 bias act=relu pool=2x2/2x2",
};
constexpr const char* kMixedWarpgroupProblems[] = {
    "x=4x15x15x32 filter=3x3x64 padding=same bias act=relu",
    "x=1x7x133x32 filter=3x3x64 padding=2,1,0,2 act=leaky:0.25",
    "x=2x9x63x32 filter=3x3x64 bias act=relu pool=2x2/2x2",
    "x=3x8x9x64 filter=3x3x32 padding=same bias act=leaky:0.25 pool=2x2/2x2",
    "x=1x5x71x64 filter=3x3x32 padding=1,1,2,0 bias act=relu",
    "x=0x9x8x32 filter=3x3x64 act=relu",
};

// Type, how products of float32 are rounded, and for which GPU.
struct Mode {
  const char* name;
  DataType type;
  cuda::FloatPrecision precision;
  int capability = 80;
};
constexpr Mode kModes[] = {
    {"float32", DataType::kFloat32, cuda::FloatPrecision::kFloat32},
    {"tf32", DataType::kFloat32, cuda::FloatPrecision::kTf32},
    {"bfloat16", DataType::kBFloat16, cuda::FloatPrecision::kFloat32},
    {"float16", DataType::kFloat16, cuda::FloatPrecision::kFloat32},
};

// Of GPUs with the least shared memory.
constexpr Mode kSmallModes[] = {
    {"float32_86", DataType::kFloat32, cuda::FloatPrecision::kFloat32, 86},
    {"float16_86", DataType::kFloat16, cuda::FloatPrecision::kFloat32, 86},
};

// Of those with the most, where tiles of float32 for the filter's gradient come while others are
// multiplied.
constexpr Mode kLargeModes[] = {
    {"float32_90", DataType::kFloat32, cuda::FloatPrecision::kFloat32, 90},
    {"tf32_90", DataType::kFloat32, cuda::FloatPrecision::kTf32, 90},
};

constexpr Mode kWarpgroupModes[] = {
    {"bfloat16", DataType::kBFloat16, cuda::FloatPrecision::kFloat32, 90},
    {"float16", DataType::kFloat16, cuda::FloatPrecision::kFloat32, 90},
    {"tf32", DataType::kFloat32, cuda::FloatPrecision::kTf32, 90},
};

struct Outputs {
  std::vector<double> y, code, mean, variance, dx, dfilter, dbias;
};

Outputs RunOnDevice(Conv2DPass pass, const FusedConv2DProblem& problem, const Conv2DInputs& inputs,
                    size_t outputs, cuda::FloatPrecision precision, bool want_dbias = true) {
  const Conv2DProblem& conv = problem.conv;
  const DataType type = conv.dtype;
  const Epilogue& epilogue = problem.epilogue;
  const InputBuffer x(type, inputs.x), filter(type, inputs.filter), bias(type, inputs.bias);
  const InputBuffer dy(type, inputs.dy), saved_y(type, inputs.y);
  const InputBuffer saved_code(epilogue.pool.code_type, inputs.code);
  const size_t statistics = problem.batch_statistics ? conv.out_channels : 0;
  const Alignment line = Alignment::kLine;
  OutputBuffer y(type, outputs, line);
  OutputBuffer code(epilogue.pool.code_type, epilogue.pool.enabled ? outputs : 0, line);
  OutputBuffer mean(DataType::kFloat32, statistics), variance(DataType::kFloat32, statistics);
  OutputBuffer dx(type, inputs.x.size(), line), dfilter(type, conv.filter_size(), line);
  OutputBuffer dbias(type, conv.out_channels, line);
  Workspace workspace(cuda::Conv2DWorkspaceBytes(pass, problem), kWorkspaceFills[1]);
  Conv2DArgs args;
  args.x = x.data();
  args.filter = filter.data();
  args.bias = bias.data();
  args.mean = mean.data();
  args.variance = variance.data();
  args.y = pass == Conv2DPass::kForward ? y.data() : saved_y.mutable_data();
  args.code = pass == Conv2DPass::kForward ? code.data() : saved_code.mutable_data();
  args.dy = dy.data();
  args.dx = dx.data();
  args.dfilter = dfilter.data();
  if (want_dbias) args.dbias = dbias.data();
  const DropoutBuffers dropout(epilogue.dropout);
  const Status status =
      cuda::RunConv2D(pass, problem, args, dropout.inputs(), precision, workspace.data(), nullptr);
  EXPECT_TRUE(status.ok()) << status.message();
  for (const OutputBuffer* buffer : {&y, &code, &mean, &variance, &dx, &dfilter, &dbias}) {
    EXPECT_TRUE(buffer->GuardsIntact());
  }
  EXPECT_TRUE(workspace.GuardsIntact());
  return {y.Values(),  code.Values(),    mean.Values(), variance.Values(),
          dx.Values(), dfilter.Values(), dbias.Values()};
}

using CudaConv2DParam = std::tuple<const char*, Mode>;

std::string ParamName(const ::testing::TestParamInfo<CudaConv2DParam>& info) {
  return TestName(std::get<0>(info.param)) + "_" + std::get<1>(info.param).name;
}

class CudaConv2DTest : public ::testing::TestWithParam<CudaConv2DParam> {
 protected:
  void SetUp() override {
    if (!UseCapability(mode().capability)) {
      GTEST_SKIP() << "for another compute capability than this GPU's";
    }
  }
  void TearDown() override { UseCapability(kModes[0].capability); }

  const Mode& mode() const { return std::get<1>(GetParam()); }
  FusedConv2DProblem Problem() const {
    FusedConv2DProblem problem = ParseConv2DProblem(std::get<0>(GetParam()));
    problem.conv.dtype = mode().type;
    return problem;
  }
  // Small integers where results are rounded on the way: operands to TF32, and what comes between
  // the convolution and a pooling that is a pass of its own.
  Regime regime() const {
    const MaxPoolSpec& pool = Problem().epilogue.pool;
    const bool own_pass = pool.enabled && pool.window.h.window != 2;
    return own_pass || mode().precision == cuda::FloatPrecision::kTf32 ? Regime::kExact
                                                                       : Regime::kRandom;
  }
  Conv2DScenario Scenario() const {
    return MakeConv2DScenario(std::get<0>(GetParam()), Problem(), regime());
  }
  Outputs RunPass(Conv2DPass pass, const Conv2DScenario& scenario) const {
    const Conv2DProblem& conv = scenario.problem.conv;
    const WindowAxis& w = conv.window.w;
    const bool filter_taken = conv.dtype != DataType::kFloat32 && w.in % 2 == 0 && w.out % 2 == 0;
    if (mode().capability == 90 && (pass != Conv2DPass::kBackwardFilter || filter_taken)) {
      EXPECT_EQ(cuda::WarpgroupConv3x3Refusal(pass, scenario.problem), "");
    }
    return RunOnDevice(pass, scenario.problem, scenario.inputs,
                       scenario.expected.forward.y.values.size(), mode().precision);
  }
};

TEST_P(CudaConv2DTest, Forward) {
  const Conv2DScenario scenario = Scenario();
  const FusedConv2DProblem& problem = scenario.problem;
  const Outputs outputs = RunPass(Conv2DPass::kForward, scenario);
  const BlockExpectation& expected = scenario.expected.forward;
  EXPECT_TRUE(Matches(expected.y, outputs.y)) << "y";
  if (problem.epilogue.pool.enabled) {
    EXPECT_TRUE(CodesMatch(problem.epilogue, problem.conv.batch, problem.conv.out_channels,
                           regime(), expected, outputs.code))
        << "code";
  }
}

TEST_P(CudaConv2DTest, BackwardInput) {
  const Conv2DScenario scenario = Scenario();
  EXPECT_TRUE(Matches(scenario.expected.dx, RunPass(Conv2DPass::kBackwardInput, scenario).dx));
}

class CudaConv2DDropoutTest : public CudaConv2DTest {};

// Against the same block without it and a mask that a plain Philox draws.
TEST_P(CudaConv2DDropoutTest, Forward) {
  Conv2DScenario scenario = MakeConv2DScenario(std::get<0>(GetParam()), Problem(), Regime::kExact);
  const Conv2DProblem& conv = scenario.problem.conv;
  Epilogue& epilogue = scenario.problem.epilogue;
  const DataType code_type = epilogue.pool.code_type;
  const Window2D& out = epilogue.pool.enabled ? epilogue.pool.window : conv.window;
  epilogue.dropout = {};
  const Outputs without = RunPass(Conv2DPass::kForward, scenario);
  for (const auto& [kind, rate] :
       {std::pair(DropoutKind::kElements, 0.0), std::pair(DropoutKind::kElements, 0.3),
        std::pair(DropoutKind::kElements, 1.0), std::pair(DropoutKind::kChannels, 0.3)}) {
    const DropoutSpec spec = {kind, rate, {-1234567, 2000000011}};
    SCOPED_TRACE(std::to_string(spec.rate));
    const Mask mask(mode().type, spec, conv.batch, out.h.out * out.w.out, conv.out_channels);
    epilogue.dropout = spec;
    const Outputs with = RunPass(Conv2DPass::kForward, scenario);
    EXPECT_EQ(with.y, mask.Values(without.y));
    if (epilogue.pool.enabled) {
      EXPECT_EQ(with.code, mask.Codes(without.code, code_type));
    }
  }
}

// Images that begin in any tile of a block, parts of tiles, a pooling that the kernels leave to
// another pass, and none.
constexpr const char* kDropoutProblems[] = {
    "x=4x7x16x64 filter=3x3x80 padding=same bias act=relu pool=2x2/2x2",
    "x=2x19x33x16 filter=3x3x48 bias act=leaky:0.25 pool=2x2/2x2",
    "x=3x18x20x3 filter=3x3x48 padding=same bias act=relu pool=2x2/2x2",
    "x=2x10x11x32 filter=3x3x16 bias act=relu pool=3x3/2x2:same",
    "x=2x9x10x16 filter=3x3x16 bias act=relu",
};
INSTANTIATE_TEST_SUITE_P(Cases, CudaConv2DDropoutTest,
                         ::testing::Combine(::testing::ValuesIn(kDropoutProblems),
                                            ::testing::ValuesIn(kModes)),
                         ParamName);

class CudaConv2DFilterTest : public CudaConv2DTest {};

TEST_P(CudaConv2DFilterTest, BackwardFilter) {
  const Conv2DScenario scenario = Scenario();
  const Outputs outputs = RunPass(Conv2DPass::kBackwardFilter, scenario);
  EXPECT_TRUE(Matches(scenario.expected.dfilter, outputs.dfilter)) << "dfilter";
  EXPECT_TRUE(Matches(scenario.expected.dbias, outputs.dbias)) << "dbias";
}

INSTANTIATE_TEST_SUITE_P(Cases, CudaConv2DTest,
                         ::testing::Combine(::testing::ValuesIn(kProblems),
                                            ::testing::ValuesIn(kModes)),
                         ParamName);

// What takes the most shared memory elsewhere.
constexpr const char* kSmallProblems[] = {
    "x=1x5x6x128 filter=3x3x128 padding=same bias act=relu",
    "x=1x5x6x3 filter=3x3x128 padding=same bias act=relu",
};
INSTANTIATE_TEST_SUITE_P(SmallSharedMemory, CudaConv2DTest,
                         ::testing::Combine(::testing::ValuesIn(kSmallProblems),
                                            ::testing::ValuesIn(kSmallModes)),
                         ParamName);

// Blocks have several tiles, parts of tiles and channels are missing.
constexpr const char* kStatisticsProblems[] = {
    "x=5x12x8x32 filter=3x3x32 padding=same bias statistics",
    "x=3x35x19x16 filter=3x3x48 bias statistics",
    "x=2x37x49x32 filter=3x3x16 padding=same bias statistics",
    "x=3x35x50x3 filter=3x3x48 padding=same bias statistics",
};

// What lies between dy and dz, of problems that leave the rest open.
constexpr const char* kFolds[] = {"", " act=relu", " act=leaky:0.25 pool=2x2/2x2"};

class CudaConv2DFoldTest : public CudaConv2DTest {
 protected:
  FusedConv2DProblem Problem(const std::string& fold, double dropout_rate = 0) const {
    FusedConv2DProblem problem = ParseConv2DProblem(std::get<0>(GetParam()) + fold);
    problem.conv.dtype = mode().type;
    if (dropout_rate > 0) problem.epilogue.dropout = {DropoutKind::kElements, dropout_rate, {1, 2}};
    return problem;
  }
  Outputs Run(Conv2DPass pass, const FusedConv2DProblem& problem, const Conv2DInputs& inputs,
              bool want_dbias = true) const {
    return RunOnDevice(pass, problem, inputs, 0, mode().precision, want_dbias);
  }
};

TEST_P(CudaConv2DFoldTest, BiasNotWanted) {
  for (const char* fold : kFolds) {
    const Conv2DScenario scenario = MakeConv2DScenario(fold, Problem(fold), Regime::kExact);
    const Outputs outputs = Run(Conv2DPass::kBackwardFilter, scenario.problem, scenario.inputs,
                                /*want_dbias=*/false);
    EXPECT_TRUE(Matches(scenario.expected.dfilter, outputs.dfilter)) << fold;
    for (double value : outputs.dbias) EXPECT_TRUE(std::isnan(value)) << fold;
  }
}

TEST(CudaConv2DWorkspaceTest, FusedDropoutNeedsNone) {
  FusedConv2DProblem problem = ParseConv2DProblem("x=2x9x9x32 filter=3x3x48 act=relu pool=2x2/2x2");
  problem.epilogue.dropout.kind = DropoutKind::kElements;
  EXPECT_EQ(cuda::Conv2DWorkspaceBytes(Conv2DPass::kForward, problem), 0);
}

// No room for dz.
TEST_P(CudaConv2DFoldTest, WorkspaceIsThatOfNothingFolded) {
  for (const Conv2DPass pass : {Conv2DPass::kBackwardInput, Conv2DPass::kBackwardFilter}) {
    const size_t bytes = cuda::Conv2DWorkspaceBytes(pass, Problem(""));
    EXPECT_EQ(cuda::Conv2DWorkspaceBytes(pass, Problem(kFolds[1])), bytes);
    EXPECT_EQ(cuda::Conv2DWorkspaceBytes(pass, Problem(kFolds[2])), bytes);
    EXPECT_EQ(cuda::Conv2DWorkspaceBytes(pass, Problem(kFolds[2], 0.5)), bytes);
  }
}

// Dropout behind a pooling: as without it, if what it dropped is 0 and the rest twice as much.
TEST_P(CudaConv2DFoldTest, DropoutBehindPooling) {
  Conv2DScenario scenario = MakeConv2DScenario("dropout", Problem(kFolds[2]), Regime::kRandom);
  Conv2DInputs with = scenario.inputs, without = scenario.inputs;
  Random random("dropped");
  const std::vector<double> kept = random.Integers(with.dy.size(), 0, 1);
  for (size_t i = 0; i < kept.size(); ++i) {
    if (kept[i] == 0) with.code[i] = 0x7F;
    without.dy[i] *= 2 * kept[i];
  }
  const FusedConv2DProblem dropped = Problem(kFolds[2], 0.5);
  const Conv2DPass input = Conv2DPass::kBackwardInput, filter = Conv2DPass::kBackwardFilter;
  EXPECT_EQ(Run(input, dropped, with).dx, Run(input, scenario.problem, without).dx);
  const Outputs outputs = Run(filter, dropped, with);
  const Outputs expected = Run(filter, scenario.problem, without);
  EXPECT_EQ(outputs.dfilter, expected.dfilter);
  EXPECT_EQ(outputs.dbias, expected.dbias);
}

class CudaConv2DStatisticsTest : public CudaConv2DTest {};

// Means near 0, and a thousand standard deviations away from it.
TEST_P(CudaConv2DStatisticsTest, MatchExactOnes) {
  Conv2DScenario scenario = Scenario();
  const int64_t channels = scenario.problem.conv.out_channels;
  for (const bool centered : {true, false}) {
    for (int64_t channel = 0; !centered && channel < channels; ++channel) {
      scenario.inputs.bias[channel] = 1000.0 * static_cast<double>(channel % 3 - 1);
    }
    const Outputs outputs = RunPass(Conv2DPass::kForward, scenario);
    if (centered) {
      EXPECT_TRUE(Matches(scenario.expected.forward.y, outputs.y)) << "y";
    }
    const StatisticsExpectation exact = ExpectStatistics(channels, outputs.y);
    EXPECT_TRUE(Matches(exact.mean, outputs.mean)) << "mean";
    EXPECT_TRUE(Matches(exact.variance, outputs.variance)) << "variance";
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, CudaConv2DStatisticsTest,
                         ::testing::Combine(::testing::ValuesIn(kStatisticsProblems),
                                            ::testing::ValuesIn(kModes)),
                         ParamName);

// Strips, images side by side of which some are missing, warps that have no pixel at first or at
// all, workers that have no row.
constexpr const char* kWarpgroupStatisticsProblems[] = {
    "x=5x12x8x32 filter=3x3x32 padding=same bias statistics",
    "x=1x3x130x32 filter=3x3x32 bias statistics",
    "x=3x7x11x32 filter=3x3x32 bias statistics",
    "x=2x9x67x32 filter=3x3x64 padding=same bias statistics",
    "x=9x5x5x64 filter=3x3x32 bias statistics",
    "x=3x13x13x64 filter=3x3x64 padding=same bias statistics",
    "x=0x9x8x32 filter=3x3x64 bias statistics",
};
INSTANTIATE_TEST_SUITE_P(Warpgroups, CudaConv2DStatisticsTest,
                         ::testing::Combine(::testing::ValuesIn(kWarpgroupStatisticsProblems),
                                            ::testing::ValuesIn(kWarpgroupModes)),
                         ParamName);

INSTANTIATE_TEST_SUITE_P(SmallSharedMemory, CudaConv2DStatisticsTest,
                         ::testing::Combine(::testing::Values(kStatisticsProblems[1]),
                                            ::testing::ValuesIn(kSmallModes)),
                         ParamName);

INSTANTIATE_TEST_SUITE_P(Cases, CudaConv2DFilterTest,
                         ::testing::Combine(::testing::ValuesIn(kProblems),
                                            ::testing::ValuesIn(kModes)),
                         ParamName);
INSTANTIATE_TEST_SUITE_P(SmallSharedMemory, CudaConv2DFilterTest,
                         ::testing::Combine(::testing::ValuesIn(kSmallProblems),
                                            ::testing::ValuesIn(kSmallModes)),
                         ParamName);
// Several tiles of a team.
constexpr const char* kLargeProblems[] = {
    "x=2x35x34x16 filter=3x3x16 bias",
    "x=2x35x29x16 filter=3x3x32 padding=2,1,0,2 bias act=leaky:0.25 pool=2x2/2x2",
};
INSTANTIATE_TEST_SUITE_P(LargeSharedMemory, CudaConv2DFilterTest,
                         ::testing::Combine(::testing::ValuesIn(kLargeProblems),
                                            ::testing::ValuesIn(kLargeModes)),
                         ParamName);
INSTANTIATE_TEST_SUITE_P(Warpgroups, CudaConv2DTest,
                         ::testing::Combine(::testing::ValuesIn(kWarpgroupProblems),
                                            ::testing::ValuesIn(kWarpgroupModes)),
                         ParamName);
INSTANTIATE_TEST_SUITE_P(Warpgroups, CudaConv2DFilterTest,
                         ::testing::Combine(::testing::ValuesIn(kWarpgroupProblems),
                                            ::testing::ValuesIn(kWarpgroupModes,
                                                                kWarpgroupModes + 2)),
                         ParamName);
INSTANTIATE_TEST_SUITE_P(WideWarpgroups, CudaConv2DFilterTest,
                         ::testing::Combine(::testing::ValuesIn(kWideWarpgroupProblems),
                                            ::testing::ValuesIn(kWarpgroupModes,
                                                                kWarpgroupModes + 2)),
                         ParamName);
INSTANTIATE_TEST_SUITE_P(Cases, CudaConv2DFoldTest,
                         ::testing::Combine(::testing::Values("x=1x17x10x16 filter=3x3x16 bias",
                                                              "x=2x9x7x3 filter=3x3x32 bias"),
                                            ::testing::ValuesIn(kModes)),
                         ParamName);
INSTANTIATE_TEST_SUITE_P(Warpgroups, CudaConv2DFoldTest,
                         ::testing::Combine(::testing::Values("x=3x9x10x32 filter=3x3x32 bias",
                                                              "x=3x9x9x32 filter=3x3x32 bias",
                                                              "x=3x8x9x64 filter=3x3x32 bias"),
                                            ::testing::ValuesIn(kWarpgroupModes)),
                         ParamName);
// float32 makes dz in a pass of its own.
INSTANTIATE_TEST_SUITE_P(WideWarpgroups, CudaConv2DFoldTest,
                         ::testing::Combine(::testing::Values("x=3x8x9x64 filter=3x3x64 bias",
                                                              "x=3x9x9x32 filter=3x3x64 bias"),
                                            ::testing::ValuesIn(kWarpgroupModes,
                                                                kWarpgroupModes + 2)),
                         ParamName);
INSTANTIATE_TEST_SUITE_P(WideWarpgroups, CudaConv2DTest,
                         ::testing::Combine(::testing::ValuesIn(kWideWarpgroupProblems),
                                            ::testing::ValuesIn(kWarpgroupModes)),
                         ParamName);
INSTANTIATE_TEST_SUITE_P(MixedWarpgroups, CudaConv2DTest,
                         ::testing::Combine(::testing::ValuesIn(kMixedWarpgroupProblems),
                                            ::testing::ValuesIn(kWarpgroupModes)),
                         ParamName);

// Images side by side, strips, an odd last row and column.
constexpr const char* kWarpgroupDropoutProblems[] = {
    "x=3x7x22x32 filter=3x3x32 padding=same bias act=relu pool=2x2/2x2",
    "x=1x4x134x32 filter=3x3x32 bias act=leaky:0.25 pool=2x2/2x2",
    "x=4x7x7x32 filter=3x3x64 padding=same bias act=leaky:0.25 pool=2x2/2x2",
    "x=2x6x67x64 filter=3x3x32 bias act=relu pool=2x2/2x2",
    "x=4x7x7x64 filter=3x3x64 padding=same bias act=leaky:0.25 pool=2x2/2x2",
};
INSTANTIATE_TEST_SUITE_P(Warpgroups, CudaConv2DDropoutTest,
                         ::testing::Combine(::testing::ValuesIn(kWarpgroupDropoutProblems),
                                            ::testing::ValuesIn(kWarpgroupModes)),
                         ParamName);

}  // namespace
}  // namespace fastconv::testing
