// The CUDA kernels of convolutions, emulated, against the reference.
#include "core/cuda/conv2d.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "buffers.h"
#include "cases.h"
#include "conv2d_cases.h"
#include "conv2d_harness.h"
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
};

// Type, and how products of float32 are rounded.
struct Mode {
  const char* name;
  DataType type;
  cuda::FloatPrecision precision;
};
constexpr Mode kModes[] = {
    {"float32", DataType::kFloat32, cuda::FloatPrecision::kFloat32},
    {"tf32", DataType::kFloat32, cuda::FloatPrecision::kTf32},
    {"bfloat16", DataType::kBFloat16, cuda::FloatPrecision::kFloat32},
    {"float16", DataType::kFloat16, cuda::FloatPrecision::kFloat32},
};

struct Outputs {
  std::vector<double> y, code, mean, variance, dx, dfilter, dbias;
};

Outputs RunOnDevice(Conv2DPass pass, const FusedConv2DProblem& problem, const Conv2DInputs& inputs,
                    size_t outputs, cuda::FloatPrecision precision) {
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
  args.dbias = dbias.data();
  const double rate = epilogue.dropout.rate;
  const Status status = cuda::RunConv2D(pass, problem, args, {&rate, epilogue.dropout.seed},
                                        precision, workspace.data(), nullptr);
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

TEST_P(CudaConv2DTest, BackwardFilter) {
  const Conv2DScenario scenario = Scenario();
  const Outputs outputs = RunPass(Conv2DPass::kBackwardFilter, scenario);
  EXPECT_TRUE(Matches(scenario.expected.dfilter, outputs.dfilter)) << "dfilter";
  EXPECT_TRUE(Matches(scenario.expected.dbias, outputs.dbias)) << "dbias";
}

INSTANTIATE_TEST_SUITE_P(Cases, CudaConv2DTest,
                         ::testing::Combine(::testing::ValuesIn(kProblems),
                                            ::testing::ValuesIn(kModes)),
                         ParamName);

// Blocks have several tiles, parts of tiles and channels are missing.
constexpr const char* kStatisticsProblems[] = {
    "x=5x12x8x32 filter=3x3x32 padding=same bias statistics",
    "x=3x35x19x16 filter=3x3x48 bias statistics",
    "x=2x37x49x32 filter=3x3x16 padding=same bias statistics",
};

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

TEST(CudaConv2DRefusalTest, SaysWhy) {
  const auto refusal = [](const char* text, DataType type = DataType::kFloat32) {
    FusedConv2DProblem problem = ParseConv2DProblem(text);
    problem.conv.dtype = type;
    return cuda::Conv2DRefusal(problem.conv);
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

TEST(CudaConv2DRefusalTest, RunsNothingRefused) {
  const FusedConv2DProblem problem = ParseConv2DProblem("x=2x9x9x24 filter=3x3x64");
  EXPECT_EQ(cuda::RunConv2D(Conv2DPass::kForward, problem, {}, {}, cuda::FloatPrecision::kFloat32,
                            nullptr, nullptr)
                .code(),
            StatusCode::kUnimplemented);
}

}  // namespace
}  // namespace fastconv::testing
