// The convolution passes against the reference: every problem of tests/shapes/conv2d.txt, in every
// type, on every instruction set, with every kind of thread pool.
#include "core/conv2d.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <tuple>
#include <vector>

#include "buffers.h"
#include "conv2d_cases.h"
#include "conv2d_harness.h"
#include "core/reference/batch_norm.h"
#include "core/reference/conv2d.h"
#include "core/reference/epilogue.h"
#include "element_types.h"
#include "isa.h"
#include "thread_pools.h"
#include "tolerances.h"

namespace fastconv::testing {
namespace {

// Case (index into Conv2DCases), type, instruction set.
using Conv2DParam = std::tuple<int, DataType, Isa>;

std::string ParamName(const ::testing::TestParamInfo<Conv2DParam>& info) {
  const auto [index, type, isa] = info.param;
  return TestName(Conv2DCases()[index].name) + "_" + Name(type) + "_" + Name(isa);
}

// The scenario of the last call is kept: the instruction sets of a case run one after the other.
const Conv2DScenario& Scenario(int index, DataType type, Regime regime) {
  struct Kept {
    int index = -1;
    DataType type = DataType::kFloat32;
    Conv2DScenario scenario;
  };
  static Kept kept[2];
  Kept& slot = kept[regime == Regime::kExact];
  if (slot.index != index || slot.type != type) {
    const Conv2DCase& conv_case = Conv2DCases()[index];
    FusedConv2DProblem problem = conv_case.problem;
    problem.conv.dtype = type;
    slot = {index, type, MakeConv2DScenario(conv_case.name, problem, regime)};
  }
  return slot.scenario;
}

class Conv2DTest : public ::testing::TestWithParam<Conv2DParam> {
 protected:
  // Calls check(scenario, pool, workspace fill) for both regimes and every pool.
  template <typename Check>
  void ForEachRun(const Check& check) {
    const auto [index, type, isa] = GetParam();
    FASTCONV_SKIP_WITHOUT(isa);
    const ScopedMaxIsa max_isa(isa);
    for (Regime regime : {Regime::kRandom, Regime::kExact}) {
      const Conv2DScenario& scenario = Scenario(index, type, regime);
      WithEachPool([&](const std::string& pool_name, ThreadPool* pool) {
        SCOPED_TRACE("conv2d.txt:" + std::to_string(Conv2DCases()[index].line) + ", " +
                     (regime == Regime::kExact ? "exact" : "random") + " numbers, " + pool_name);
        check(scenario, pool, kWorkspaceFills[regime == Regime::kExact]);
      });
    }
  }
};

// The statistics that came with y, against the exact ones of y. None are defined without samples.
void CheckStatistics(const FusedConv2DProblem& problem, const Conv2DOutputs& outputs) {
  const DataType type = problem.conv.dtype;
  const int64_t channels = problem.conv.out_channels;
  ASSERT_EQ(outputs.mean.size(), static_cast<size_t>(channels));
  ASSERT_EQ(outputs.variance.size(), static_cast<size_t>(channels));
  if (outputs.y.empty()) return;
  const reference::Statistics exact = reference::BatchStatistics(channels, outputs.y);
  const double rows = static_cast<double>(outputs.y.size()) / static_cast<double>(channels);
  std::vector<double> squares = outputs.y;
  for (double& value : squares) value *= value;
  const std::vector<double> magnitude_sums =
      reference::ChannelSums(channels, Magnitudes(outputs.y));
  const std::vector<double> square_sums = reference::ChannelSums(channels, squares);
  Expectation mean{exact.mean, {}};
  Expectation variance{exact.variance, {}};
  for (int64_t channel = 0; channel < channels; ++channel) {
    const StatisticsBound bound = StatisticsBoundOf(
        type, magnitude_sums[channel] / rows, square_sums[channel] / rows, exact.variance[channel]);
    mean.bounds.push_back(bound.mean);
    variance.bounds.push_back(bound.variance);
    EXPECT_GE(outputs.variance[channel], 0) << "variance of channel " << channel;
  }
  EXPECT_TRUE(Matches(mean, outputs.mean)) << "mean";
  EXPECT_TRUE(Matches(variance, outputs.variance)) << "variance";
}

TEST_P(Conv2DTest, Forward) {
  ForEachRun([](const Conv2DScenario& scenario, ThreadPool* pool, uint8_t fill) {
    const FusedConv2DProblem& problem = scenario.problem;
    if (scenario.regime == Regime::kExact) {
      // Else ties in the type would be none before rounding, and the codes would be open.
      const std::vector<double>& map = scenario.expected.forward.map.values;
      ASSERT_EQ(RoundTo(problem.conv.dtype, map), map);
    }
    for (const std::string& name : ImplementationsOf(Conv2DPass::kForward, problem, ActiveIsa())) {
      SCOPED_TRACE(name);
      const Conv2DOutputs outputs =
          RunConv2D(Conv2DPass::kForward, problem, scenario.inputs, pool, fill, name);
      BlockExpectation expected = scenario.expected.forward;
      Regime regime = scenario.regime;
      if (IsWinograd(name)) {
        const std::vector<double> z = ConvolutionOutput(problem, scenario.inputs);
        expected = WinogradExpectation(problem.conv.dtype, std::move(expected), z);
        regime = Regime::kRandom;
        if (problem.epilogue.activation == Activation::kLinear && !problem.epilogue.pool.enabled) {
          EXPECT_TRUE(MatchesInNorm(problem.conv.dtype, z, outputs.y)) << "y";
        }
      }
      EXPECT_TRUE(BoundsAreMeaningful(expected.y));
      EXPECT_TRUE(Matches(expected.y, outputs.y)) << "y";
      if (problem.epilogue.pool.enabled) {
        EXPECT_TRUE(CodesMatch(problem.epilogue, problem.conv.batch, problem.conv.out_channels,
                               regime, expected, outputs.code))
            << "code";
      }
      if (problem.batch_statistics) CheckStatistics(problem, outputs);
    }
  });
}

// A gradient is a sum of products without anything after it.
void CheckGradient(DataType type, const std::string& implementation, Expectation expected,
                   const std::vector<double>& actual) {
  if (IsWinograd(implementation)) {
    EXPECT_TRUE(MatchesInNorm(type, expected.values, actual));
    const std::vector<double> values = expected.values;
    expected = WinogradExpectation(type, std::move(expected), values);
  }
  EXPECT_TRUE(BoundsAreMeaningful(expected));
  EXPECT_TRUE(Matches(expected, actual));
}

TEST_P(Conv2DTest, BackwardInput) {
  ForEachRun([](const Conv2DScenario& scenario, ThreadPool* pool, uint8_t fill) {
    const Conv2DPass pass = Conv2DPass::kBackwardInput;
    for (const std::string& name : ImplementationsOf(pass, scenario.problem, ActiveIsa())) {
      SCOPED_TRACE(name + ": dx");
      CheckGradient(scenario.problem.conv.dtype, name, scenario.expected.dx,
                    RunConv2D(pass, scenario.problem, scenario.inputs, pool, fill, name).dx);
    }
  });
}

TEST_P(Conv2DTest, BackwardFilter) {
  ForEachRun([](const Conv2DScenario& scenario, ThreadPool* pool, uint8_t fill) {
    EXPECT_TRUE(BoundsAreMeaningful(scenario.expected.dbias));
    const Conv2DPass pass = Conv2DPass::kBackwardFilter;
    for (const std::string& name : ImplementationsOf(pass, scenario.problem, ActiveIsa())) {
      SCOPED_TRACE(name + ": dfilter, dbias");
      const Conv2DOutputs outputs =
          RunConv2D(pass, scenario.problem, scenario.inputs, pool, fill, name);
      CheckGradient(scenario.problem.conv.dtype, name, scenario.expected.dfilter, outputs.dfilter);
      EXPECT_TRUE(Matches(scenario.expected.dbias, outputs.dbias));
    }
  });
}

INSTANTIATE_TEST_SUITE_P(
    Cases, Conv2DTest,
    ::testing::Combine(::testing::Range(0, static_cast<int>(Conv2DCases().size())),
                       ::testing::ValuesIn(kTensorTypes), ::testing::ValuesIn(kIsas)),
    ParamName);

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Special problems, per type and instruction set.
using TypeAndIsa = std::tuple<DataType, Isa>;

class Conv2DSpecialTest : public ::testing::TestWithParam<TypeAndIsa> {
 protected:
  DataType type() const { return std::get<0>(GetParam()); }
  Isa isa() const { return std::get<1>(GetParam()); }
  FusedConv2DProblem Problem(const std::string& text) const {
    FusedConv2DProblem problem = ParseConv2DProblem(text);
    problem.conv.dtype = type();
    return problem;
  }
  // Those that compute sums of products as they are defined.
  std::vector<std::string> ExactImplementations(Conv2DPass pass,
                                                const FusedConv2DProblem& problem) const {
    std::vector<std::string> names = ImplementationsOf(pass, problem, isa());
    names.erase(std::remove_if(names.begin(), names.end(), IsWinograd), names.end());
    return names;
  }
  // Exact numbers without zeros in the filter, with which an infinity would give NaN.
  Conv2DInputs NonzeroInputs(const FusedConv2DProblem& problem) const {
    Conv2DInputs inputs = MakeConv2DScenario("nonzero", problem, Regime::kExact).inputs;
    for (double& value : inputs.filter) value = value == 0 ? 1 : value;
    return inputs;
  }
};

TEST_P(Conv2DSpecialTest, FilterGradientWithoutBiasGradient) {
  FASTCONV_SKIP_WITHOUT(isa());
  const ScopedMaxIsa max_isa(isa());
  for (const char* text : {"x=2x7x6x16 filter=3x3x17 padding=same bias act=relu",
                           "x=2x7x6x3 filter=3x3x17 bias act=relu pool=2x2/2x2",
                           "x=2x7x6x3 filter=3x3x17 padding=same bias act=relu"}) {
    const Conv2DScenario scenario =
        MakeConv2DScenario("without_dbias", Problem(text), Regime::kExact);
    WithEachPool([&](const std::string& pool_name, ThreadPool* pool) {
      SCOPED_TRACE(pool_name);
      const Conv2DPass pass = Conv2DPass::kBackwardFilter;
      for (const std::string& name : ExactImplementations(pass, scenario.problem)) {
        SCOPED_TRACE(name);
        const Conv2DOutputs outputs = RunConv2D(pass, scenario.problem, scenario.inputs, pool,
                                                kWorkspaceFills[0], name, /*want_dbias=*/false);
        EXPECT_TRUE(Matches(scenario.expected.dfilter, outputs.dfilter));
      }
    });
  }
}

// Rows of every width up to beyond two tiles, in one chunk of channels and in several, whose panels
// end in a single vector.
TEST_P(Conv2DSpecialTest, RowsOfEveryWidth) {
  FASTCONV_SKIP_WITHOUT(isa());
  if (SizeOf(type()) == 2) GTEST_SKIP() << "computed in the tiles of float32";
  const ScopedMaxIsa max_isa(isa());
  InlineThreadPool pool;
  for (int width = 1; width <= 30; ++width) {
    for (const char* channels : {"x272 filter=2x1x34", "x34 filter=2x1x272"}) {
      const std::string text = "x=1x2x" + std::to_string(width) + channels + " padding=same bias";
      SCOPED_TRACE(text);
      const Conv2DScenario scenario = MakeConv2DScenario(text, Problem(text), Regime::kExact);
      const auto run = [&](Conv2DPass pass) {
        return RunConv2D(pass, scenario.problem, scenario.inputs, &pool, kWorkspaceFills[1],
                         GeneralImplementation(isa()));
      };
      const Conv2DExpectations& expected = scenario.expected;
      EXPECT_TRUE(Matches(expected.forward.y, run(Conv2DPass::kForward).y)) << "y";
      EXPECT_TRUE(Matches(expected.dx, run(Conv2DPass::kBackwardInput).dx)) << "dx";
      const Conv2DOutputs gradients = run(Conv2DPass::kBackwardFilter);
      EXPECT_TRUE(Matches(expected.dfilter, gradients.dfilter)) << "dfilter";
      EXPECT_TRUE(Matches(expected.dbias, gradients.dbias)) << "dbias";
    }
  }
}

// The same from few channels, whose sums are finished in the tiles, and whose gradients are read
// from the tensors: with every tail of tiles and of panels, pooled by pairs of rows and in windows
// that are no pairs.
TEST_P(Conv2DSpecialTest, FewChannelsInRowsOfEveryWidth) {
  FASTCONV_SKIP_WITHOUT(isa());
  const ScopedMaxIsa max_isa(isa());
  InlineThreadPool pool;
  for (int width = 2; width <= 30; ++width) {
    for (const char* filter :
         {"x3 filter=3x3x34 padding=same bias act=relu", "x3 filter=2x1x32 bias act=leaky:0.25",
          "x1 filter=2x2x34 padding=same bias act=leaky:0.25 pool=2x2/2x2",
          "x3 filter=1x1x16 bias act=relu pool=2x2/2x2", "x5 filter=4x1x64 bias",
          "x2 filter=3x2x5 padding=same bias pool=2x2/1x1"}) {
      const std::string text = "x=1x4x" + std::to_string(width) + filter;
      const FusedConv2DProblem problem = Problem(text);
      const Conv2DScenario scenario = MakeConv2DScenario(text, problem, Regime::kExact);
      const auto run = [&](Conv2DPass pass, const std::string& name) {
        return RunConv2D(pass, problem, scenario.inputs, &pool, kWorkspaceFills[1], name);
      };
      for (const std::string& name : ExactImplementations(Conv2DPass::kForward, problem)) {
        SCOPED_TRACE(text + ", " + name);
        const Conv2DOutputs outputs = run(Conv2DPass::kForward, name);
        const BlockExpectation& expected = scenario.expected.forward;
        EXPECT_TRUE(Matches(expected.y, outputs.y));
        if (!problem.epilogue.pool.enabled) continue;
        EXPECT_TRUE(CodesMatch(problem.epilogue, problem.conv.batch, problem.conv.out_channels,
                               Regime::kExact, expected, outputs.code));
      }
      for (const std::string& name : ExactImplementations(Conv2DPass::kBackwardFilter, problem)) {
        SCOPED_TRACE(text + ", " + name);
        const Conv2DOutputs outputs = run(Conv2DPass::kBackwardFilter, name);
        EXPECT_TRUE(Matches(scenario.expected.dfilter, outputs.dfilter)) << "dfilter";
        EXPECT_TRUE(Matches(scenario.expected.dbias, outputs.dbias)) << "dbias";
      }
    }
  }
}

// Sums over a whole batch are made in levels, so that their error does not grow with it.
TEST_P(Conv2DSpecialTest, FilterGradientOfManyPixels) {
  FASTCONV_SKIP_WITHOUT(isa());
  if (type() != DataType::kFloat32) GTEST_SKIP() << "the bound is one of float32";
  const ScopedMaxIsa max_isa(isa());
  WorkerThreadPool pool(2);
  const FusedConv2DProblem problem = Problem("x=200x32x32x3 filter=3x3x5 padding=same");
  Random random("many_pixels");
  Conv2DInputs inputs;
  inputs.x = RoundTo(type(), random.Uniforms(200 * 32 * 32 * 3, -1, 1.25));
  inputs.dy = RoundTo(type(), random.Uniforms(200 * 32 * 32 * 5, -1, 1.25));
  const std::vector<double> expected =
      reference::Conv2DBackwardFilter(problem.conv, inputs.x, inputs.dy);
  const Conv2DPass pass = Conv2DPass::kBackwardFilter;
  for (const std::string& name : ExactImplementations(pass, problem)) {
    SCOPED_TRACE(name);
    const Conv2DOutputs outputs =
        RunConv2D(pass, problem, inputs, &pool, kWorkspaceFills[0], name, /*want_dbias=*/false);
    EXPECT_TRUE(MatchesInNorm(type(), expected, outputs.dfilter));
  }
}

// Results of more than 16 MiB are written around the caches where vectors are whole.
TEST_P(Conv2DSpecialTest, ResultsLargerThanCaches) {
  FASTCONV_SKIP_WITHOUT(isa());
  if (type() != DataType::kFloat32) GTEST_SKIP() << "only float32 is written around the caches";
  const ScopedMaxIsa max_isa(isa());
  InlineThreadPool pool;
  for (const char* text : {"x=1x512x520x16 filter=1x1x16 bias act=leaky:0.25",
                           "x=1x512x520x17 filter=1x1x17 groups=17 bias act=relu",
                           "x=1x512x520x16 filter=1x1x16 groups=16 bias act=relu"}) {
    SCOPED_TRACE(text);
    const Conv2DScenario scenario = MakeConv2DScenario(text, Problem(text), Regime::kExact);
    const auto run = [&](Conv2DPass pass) {
      return RunConv2D(pass, scenario.problem, scenario.inputs, &pool, kWorkspaceFills[0]);
    };
    EXPECT_TRUE(Matches(scenario.expected.forward.y, run(Conv2DPass::kForward).y));
    EXPECT_TRUE(Matches(scenario.expected.dx, run(Conv2DPass::kBackwardInput).dx));
  }
}

// A sum of squares minus the square of the sum would lose the whole variance.
TEST_P(Conv2DSpecialTest, StatisticsFarFromZero) {
  FASTCONV_SKIP_WITHOUT(isa());
  if (SizeOf(type()) == 2) GTEST_SKIP() << "1000 +- 1 has no useful variance in 16 bits";
  const ScopedMaxIsa max_isa(isa());
  for (const char* text :
       {"x=4x300x300x1 filter=1x1x1 statistics", "x=3x100x101x3 filter=1x1x17 bias statistics",
        "x=2x50x51x16 filter=3x3x33 padding=same bias statistics"}) {
    const FusedConv2DProblem problem = Problem(text);
    Conv2DInputs inputs = MakeConv2DScenario("far_from_zero", problem, Regime::kRandom).inputs;
    if (problem.epilogue.has_bias) {
      for (double& value : inputs.bias) value = 1000;
    } else {
      inputs.filter = {1};
      for (double& value : inputs.x) value = RoundTo(type(), 1000 + value);
    }
    WithEachPool([&](const std::string& pool_name, ThreadPool* pool) {
      SCOPED_TRACE(text + (", " + pool_name));
      const Conv2DOutputs outputs =
          RunConv2D(Conv2DPass::kForward, problem, inputs, pool, kWorkspaceFills[1]);
      CheckStatistics(problem, outputs);
    });
  }
}

// NaN and infinity reach exactly the outputs whose windows hold them, through every activation
// (with Winograd the outputs whose tiles hold them, see docs/numerics.md).
TEST_P(Conv2DSpecialTest, NotANumberPassesThrough) {
  FASTCONV_SKIP_WITHOUT(isa());
  const ScopedMaxIsa max_isa(isa());
  for (const char* text : {"x=2x9x10x3 filter=3x3x17 padding=same bias",
                           "x=2x9x10x3 filter=3x3x17 stride=2x2 padding=same bias act=relu",
                           "x=2x9x10x17 filter=3x3x17 dilation=2x2 bias act=leaky:0.25"}) {
    const FusedConv2DProblem problem = Problem(text);
    Conv2DInputs inputs = NonzeroInputs(problem);
    const size_t size = inputs.x.size();
    inputs.x[0] = kNan;
    inputs.x[size / 4] = kInfinity;
    inputs.x[size - 2] = -kInfinity;
    Expectation z;
    z.values = reference::Conv2D(problem.conv, inputs.x, inputs.filter);
    reference::AddToChannels(inputs.bias, &z.values);
    const BlockExpectation expected = ExpectBlock(type(), problem.epilogue, problem.conv.batch,
                                                  problem.conv.out_channels, Regime::kExact, z);
    WithEachPool([&](const std::string& pool_name, ThreadPool* pool) {
      for (const std::string& name : ExactImplementations(Conv2DPass::kForward, problem)) {
        SCOPED_TRACE(text + (", " + pool_name + ", " + name));
        const Conv2DOutputs outputs =
            RunConv2D(Conv2DPass::kForward, problem, inputs, pool, kWorkspaceFills[0], name);
        EXPECT_TRUE(Matches(expected.y, outputs.y));
      }
    });
  }
}

// Of one group, they reach no output of another; nor do they in the gradients.
TEST_P(Conv2DSpecialTest, NotANumberStaysInItsGroup) {
  FASTCONV_SKIP_WITHOUT(isa());
  const ScopedMaxIsa max_isa(isa());
  for (const char* text :
       {"x=2x7x8x17 filter=3x3x17 groups=17", "x=2x7x8x6 filter=3x3x6 groups=3",
        "x=1x7x8x34 filter=2x2x66 groups=2", "x=1x9x9x4 filter=3x3x17 stride=2x2"}) {
    const FusedConv2DProblem problem = Problem(text);
    Conv2DInputs inputs = NonzeroInputs(problem);
    inputs.x[0] = kNan;
    inputs.dy[inputs.dy.size() - 1] = kNan;
    const Conv2DProblem& conv = problem.conv;
    const Expectation y =
        ExactExpectation(type(), reference::Conv2D(conv, inputs.x, inputs.filter));
    const Expectation dx =
        ExactExpectation(type(), reference::Conv2DBackwardInput(conv, inputs.filter, inputs.dy));
    const Expectation dfilter =
        ExactExpectation(type(), reference::Conv2DBackwardFilter(conv, inputs.x, inputs.dy));
    WithEachPool([&](const std::string& pool_name, ThreadPool* pool) {
      SCOPED_TRACE(text + (", " + pool_name));
      const auto run = [&](Conv2DPass pass) {
        return RunConv2D(pass, problem, inputs, pool, kWorkspaceFills[0]);
      };
      EXPECT_TRUE(Matches(y, run(Conv2DPass::kForward).y)) << "y";
      EXPECT_TRUE(Matches(dx, run(Conv2DPass::kBackwardInput).dx)) << "dx";
      EXPECT_TRUE(Matches(dfilter, run(Conv2DPass::kBackwardFilter).dfilter)) << "dfilter";
    });
  }
}

// Pooling skips the NaNs of its map.
TEST_P(Conv2DSpecialTest, PoolingIgnoresNotANumber) {
  FASTCONV_SKIP_WITHOUT(isa());
  const ScopedMaxIsa max_isa(isa());
  for (const char* pool_text : {"pool=2x2/2x2", "pool=3x3/2x2:same", "pool=3x3/1x1"}) {
    const FusedConv2DProblem problem =
        Problem(std::string("x=2x8x9x16 filter=1x1x17 bias act=leaky:0.25 ") + pool_text);
    Conv2DInputs inputs = MakeConv2DScenario("pooled_nan", problem, Regime::kExact).inputs;
    for (size_t index = 0; index < inputs.x.size(); index += 61) {
      inputs.x[index] = kNan;
    }
    Expectation z;
    z.values = reference::Conv2D(problem.conv, inputs.x, inputs.filter);
    reference::AddToChannels(inputs.bias, &z.values);
    const BlockExpectation expected = ExpectBlock(type(), problem.epilogue, problem.conv.batch,
                                                  problem.conv.out_channels, Regime::kExact, z);
    WithEachPool([&](const std::string& pool_name, ThreadPool* pool) {
      for (const std::string& name : ExactImplementations(Conv2DPass::kForward, problem)) {
        SCOPED_TRACE(pool_text + (", " + pool_name + ", " + name));
        const Conv2DOutputs outputs =
            RunConv2D(Conv2DPass::kForward, problem, inputs, pool, kWorkspaceFills[0], name);
        EXPECT_TRUE(Matches(expected.y, outputs.y));
        EXPECT_TRUE(CodesMatch(problem.epilogue, problem.conv.batch, problem.conv.out_channels,
                               Regime::kExact, expected, outputs.code));
      }
    });
  }
}

INSTANTIATE_TEST_SUITE_P(Types, Conv2DSpecialTest,
                         ::testing::Combine(::testing::ValuesIn(kTensorTypes),
                                            ::testing::ValuesIn(kIsas)),
                         [](const ::testing::TestParamInfo<TypeAndIsa>& info) {
                           return std::string(Name(std::get<0>(info.param))) + "_" +
                                  Name(std::get<1>(info.param));
                         });

}  // namespace
}  // namespace fastconv::testing
