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
    "x=0x9x8x32 filter=3x3x32 act=relu",
};
constexpr const char* kWideWarpgroupProblems[] = {
    "x=3x13x13x64 filter=3x3x64 padding=same bias act=relu",
    "x=1x9x67x64 filter=3x3x64 padding=2,1,0,2 bias",
    "x=4x11x7x64 filter=3x3x64 bias act=leaky:0.25 pool=2x2/2x2",
    "x=1x7x63x64 filter=3x3x64 padding=same bias act=relu pool=2x2/2x2",
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
    const bool even = scenario.problem.conv.window.w.out % 2 == 0;
    if (mode().capability == 90 && (pass == Conv2DPass::kForward || even)) {
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

TEST(CudaConv2DFilterGradTest, BiasNotWanted) {
  for (const char* text : {"x=1x17x9x16 filter=3x3x16", "x=1x17x9x16 filter=3x3x16 act=relu",
                           "x=1x9x8x16 filter=3x3x16 act=relu pool=2x2/2x2"}) {
    const Conv2DScenario scenario =
        MakeConv2DScenario(text, ParseConv2DProblem(text), Regime::kExact);
    const Outputs outputs = RunOnDevice(Conv2DPass::kBackwardFilter, scenario.problem,
                                        scenario.inputs, scenario.expected.forward.y.values.size(),
                                        cuda::FloatPrecision::kTf32, /*want_dbias=*/false);
    EXPECT_TRUE(Matches(scenario.expected.dfilter, outputs.dfilter)) << text;
    for (double value : outputs.dbias) EXPECT_TRUE(std::isnan(value)) << text;
  }
}

TEST(CudaConv2DWorkspaceTest, FusedDropoutNeedsNone) {
  FusedConv2DProblem problem = ParseConv2DProblem("x=2x9x9x32 filter=3x3x48 act=relu pool=2x2/2x2");
  problem.epilogue.dropout.kind = DropoutKind::kElements;
  EXPECT_EQ(cuda::Conv2DWorkspaceBytes(Conv2DPass::kForward, problem), 0);
}

TEST(CudaConv2DWorkspaceTest, FoldedGradientsNeedNone) {
  for (const char* text : {"x=2x32x32x32 filter=3x3x48 padding=same act=relu",
                           "x=2x32x32x32 filter=3x3x48 padding=same act=relu pool=2x2/2x2"}) {
    EXPECT_EQ(cuda::Conv2DWorkspaceBytes(Conv2DPass::kBackwardInput, ParseConv2DProblem(text)), 0)
        << text;
  }
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
INSTANTIATE_TEST_SUITE_P(WideWarpgroups, CudaConv2DTest,
                         ::testing::Combine(::testing::ValuesIn(kWideWarpgroupProblems),
                                            ::testing::ValuesIn(kWarpgroupModes,
                                                                kWarpgroupModes + 2)),
                         ParamName);

std::string RefusalOf(std::string (*refusal)(const Conv2DProblem&), const char* text,
                      DataType type = DataType::kFloat32) {
  FusedConv2DProblem problem = ParseConv2DProblem(text);
  problem.conv.dtype = type;
  return refusal(problem.conv);
}

TEST(CudaConv2DRefusalTest, SaysWhy) {
  const auto refusal = [](const char* text, DataType type = DataType::kFloat32) {
    return RefusalOf(cuda::Conv3x3Refusal, text, type);
  };
  EXPECT_EQ(refusal("x=2x9x9x32 filter=3x3x64"), "");
  EXPECT_EQ(refusal("x=2x9x9x32 filter=3x3x64", DataType::kFloat64), "no kernels for float64");
  EXPECT_EQ(refusal("x=2x9x9x32 filter=5x5x64"), "only for 3x3 filters");
  EXPECT_EQ(refusal("x=2x9x9x32 filter=3x3x64 stride=2x2"), "only for strides of 1");
  EXPECT_EQ(refusal("x=2x9x9x32 filter=3x3x64 dilation=2x1"), "only without dilation");
  EXPECT_EQ(refusal("x=2x9x9x32 filter=3x3x64 groups=2"), "only for one group");
  EXPECT_EQ(refusal("x=2x9x9x32 filter=3x3x64 padding=3,1,1,1"), "only for padding of at most 2");
  EXPECT_EQ(refusal("x=2x9x9x24 filter=3x3x64"), "only for multiples of 16 channels, up to 128");
  EXPECT_EQ(refusal("x=2x9x9x32 filter=3x3x256"), "only for multiples of 16 channels, up to 128");
}

TEST(CudaConv2DRefusalTest, SaysWhyNotByWarpgroups) {
  const auto refusal = [](const char* text, DataType type = DataType::kBFloat16,
                          Conv2DPass pass = Conv2DPass::kForward) {
    FusedConv2DProblem problem = ParseConv2DProblem(text);
    problem.conv.dtype = type;
    return cuda::WarpgroupConv3x3Refusal(pass, problem);
  };
  EXPECT_EQ(refusal("x=2x9x9x64 filter=3x3x64"), "");
  EXPECT_EQ(refusal("x=2x9x9x32 filter=3x3x32", DataType::kFloat32), "");
  EXPECT_EQ(refusal("x=2x9x9x64 filter=5x5x64"), "only for 3x3 filters");
  EXPECT_EQ(refusal("x=2x9x9x32 filter=3x3x32", DataType::kFloat32, Conv2DPass::kBackwardFilter),
            "float32 not for the gradient of the filter");
  EXPECT_EQ(refusal("x=2x9x9x64 filter=3x3x64 statistics"), "only without statistics of the batch");
  EXPECT_EQ(refusal("x=2x9x9x32 filter=3x3x64"), "only for as many channels out as in");
  FusedConv2DProblem dropout = ParseConv2DProblem("x=2x9x8x32 filter=3x3x32 pool=2x2/2x2");
  dropout.epilogue.dropout.kind = DropoutKind::kElements;
  EXPECT_EQ(cuda::WarpgroupConv3x3Refusal(Conv2DPass::kForward, dropout),
            "only without dropout behind a pooling");
  EXPECT_EQ(cuda::WarpgroupConv3x3Refusal(Conv2DPass::kBackwardInput, dropout), "");
  EXPECT_EQ(refusal("x=2x9x9x48 filter=3x3x48"), "only for 32 or 64 channels");
  EXPECT_EQ(refusal("x=2x9x9x64 filter=3x3x64", DataType::kFloat32),
            "float32 only with 32 channels");
  const char* odd = "32 channels of 16 bits only for maps of even width";
  EXPECT_EQ(refusal("x=2x9x9x32 filter=3x3x32"), odd);
  const char* even = "x=2x9x8x32 filter=3x3x32 padding=1,1,1,0";  // but 7 wide behind it
  EXPECT_EQ(refusal(even), "");
  EXPECT_EQ(refusal(even, DataType::kFloat16, Conv2DPass::kBackwardInput), odd);
  EXPECT_EQ(refusal(even, DataType::kFloat16, Conv2DPass::kBackwardFilter), odd);
}

TEST(CudaConv2DRefusalTest, ListsWarpgroupsFirst) {
  const auto chosen = [](DataType type, bool has_warpgroups, bool allow_tf32) {
    FusedConv2DProblem problem = ParseConv2DProblem("x=2x9x8x32 filter=3x3x32");
    problem.conv.dtype = type;
    const std::vector<DispatchEntry> entries =
        cuda::ExplainConv2D(Conv2DPass::kForward, problem, has_warpgroups, allow_tf32);
    EXPECT_EQ(entries[0].implementation, cuda::kWarpgroupConv3x3);
    std::string name;
    for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
      if (entry->refusal.empty()) name += entry->implementation;
    }
    return name;
  };
  EXPECT_EQ(chosen(DataType::kBFloat16, true, false), cuda::kWarpgroupConv3x3);
  EXPECT_EQ(chosen(DataType::kBFloat16, false, false), cuda::kConv3x3);
  EXPECT_EQ(chosen(DataType::kFloat32, true, true), cuda::kWarpgroupConv3x3);
  EXPECT_EQ(chosen(DataType::kFloat32, true, false), cuda::kConv3x3);
}

TEST(CudaConv2DRefusalTest, SaysWhyOfImages) {
  const auto refusal = [](const char* text, DataType type = DataType::kFloat32) {
    return RefusalOf(cuda::ImageConv3x3Refusal, text, type);
  };
  EXPECT_EQ(refusal("x=2x9x9x1 filter=3x3x16"), "");
  EXPECT_EQ(refusal("x=2x9x9x4 filter=3x3x128"), "");
  EXPECT_EQ(refusal("x=2x9x9x3 filter=3x3x16", DataType::kFloat64), "no kernels for float64");
  EXPECT_EQ(refusal("x=2x9x9x3 filter=5x5x16"), "only for 3x3 filters");
  EXPECT_EQ(refusal("x=2x9x9x5 filter=3x3x16"), "only for up to 4 input channels");
  EXPECT_EQ(refusal("x=2x9x9x3 filter=3x3x24"),
            "only for multiples of 16 output channels, up to 128");
  EXPECT_EQ(refusal("x=2x9x9x3 filter=3x3x144"),
            "only for multiples of 16 output channels, up to 128");
}

TEST(CudaConv2DRefusalTest, ListsWhatIsChosenFirst) {
  using Names = std::vector<std::string>;
  const auto able = [](const char* text) {
    Names names;
    for (const DispatchEntry& entry : cuda::ExplainConv2D(ParseConv2DProblem(text).conv)) {
      if (!entry.able) continue;
      EXPECT_EQ(entry.refusal, names.empty() ? "" : names[0] + " is preferred");
      names.push_back(entry.implementation);
    }
    return names;
  };
  EXPECT_EQ(able("x=2x9x9x32 filter=3x3x64"), (Names{cuda::kConv3x3, cuda::kStock}));
  EXPECT_EQ(able("x=2x9x9x3 filter=3x3x64"), (Names{cuda::kImageConv3x3, cuda::kStock}));
  EXPECT_EQ(able("x=2x9x9x24 filter=3x3x64"), (Names{cuda::kStock}));
}

// Kernels that move 16 bytes at once would fail, and with them all that follows on the GPU.
TEST(CudaConv2DRefusalTest, SaysThatTensorsLieBetweenVectors) {
  alignas(16) float memory[8];
  const auto run = [&memory](const char* text, int x, int dy) {
    Conv2DArgs args;
    args.x = memory + x;
    args.dy = memory + dy;
    return cuda::RunConv2D(Conv2DPass::kForward, ParseConv2DProblem(text), args, {},
                           cuda::FloatPrecision::kTf32, nullptr, nullptr)
        .message();
  };
  const char* refusal =
      "CUDA kernels of convolutions take tensors aligned to 16 bytes. Received: one that is not";
  EXPECT_EQ(run("x=0x9x9x32 filter=3x3x32", 0, 4), "");
  EXPECT_EQ(run("x=0x9x9x32 filter=3x3x32", 1, 4), refusal);
  EXPECT_EQ(run("x=0x9x9x3 filter=3x3x32", 1, 4), "");
  EXPECT_EQ(run("x=0x9x9x3 filter=3x3x32", 0, 3), refusal);
}

TEST(CudaConv2DRefusalTest, RunsNothingRefused) {
  const FusedConv2DProblem problem = ParseConv2DProblem("x=2x9x9x24 filter=3x3x64");
  const Status status = cuda::RunConv2D(Conv2DPass::kForward, problem, {}, {},
                                        cuda::FloatPrecision::kFloat32, nullptr, nullptr);
  EXPECT_EQ(status.code(), StatusCode::kUnimplemented);
  EXPECT_EQ(status.message(),
            "conv3x3:tensor_cores: only for multiples of 16 channels, up to 128; "
            "image_conv3x3:tensor_cores: only for up to 4 input channels");
}

}  // namespace
}  // namespace fastconv::testing
