// Dropout as a stage of the blocks, against the same block without it and a mask that a plain
// Philox draws: values and codes of the forward passes, and gradients of what the mask has left of
// dy.
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <tuple>
#include <vector>

#include "buffers.h"
#include "conv2d_cases.h"
#include "conv2d_harness.h"
#include "core/batch_norm.h"
#include "dropout_mask.h"
#include "element_types.h"
#include "isa.h"
#include "thread_pools.h"

namespace fastconv::testing {
namespace {

// The vectors of the authors' library (Random123, tests/kat_vectors).
TEST(PhiloxTest, KnownAnswers) {
  EXPECT_EQ(Philox4x32({0, 0, 0, 0}, 0, 0),
            (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(Philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, 0xffffffff, 0xffffffff),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0xa4093822, 0x299f31d0),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

constexpr DropoutKind kKinds[] = {DropoutKind::kElements, DropoutKind::kChannels};

// Type, instruction set, kind.
using DropoutParam = std::tuple<DataType, Isa, DropoutKind>;

std::string ParamName(const ::testing::TestParamInfo<DropoutParam>& info) {
  const auto [type, isa, kind] = info.param;
  return std::string(Name(type)) + "_" + Name(isa) +
         (kind == DropoutKind::kElements ? "_elements" : "_channels");
}

class DropoutTest : public ::testing::TestWithParam<DropoutParam> {
 protected:
  DataType type() const { return std::get<0>(GetParam()); }
  Isa isa() const { return std::get<1>(GetParam()); }
  DropoutSpec Spec(double rate) const {
    return {std::get<2>(GetParam()), rate, {-1234567, 2000000011}};
  }
  FusedConv2DProblem Problem(const std::string& text) const {
    FusedConv2DProblem problem = ParseConv2DProblem(text);
    problem.conv.dtype = type();
    return problem;
  }
  Mask MaskOf(const FusedConv2DProblem& problem, double rate) const {
    const Window2D& out =
        problem.epilogue.pool.enabled ? problem.epilogue.pool.window : problem.conv.window;
    return Mask(type(), Spec(rate), problem.conv.batch, out.h.out * out.w.out,
                problem.conv.out_channels);
  }
};

// Channel counts whose rows begin within a counter, end within a vector, or fill several pieces.
constexpr const char* kProblems[] = {
    "x=3x6x7x5 filter=3x3x1 padding=same bias act=relu",
    "x=2x5x7x5 filter=1x1x3 bias act=leaky:0.25",
    "x=2x7x6x16 filter=3x3x17 padding=same bias",
    "x=2x9x10x16 filter=3x3x32 padding=same bias act=relu pool=2x2/2x2",
    "x=2x9x11x17 filter=3x3x33 bias act=leaky:0.25 pool=3x3/2x2:same",
    "x=2x7x8x6 filter=3x3x6 groups=3 padding=same bias act=relu",
    "x=1x5x6x32 filter=3x3x66 groups=2 padding=same act=relu pool=2x2/2x2",
    "x=1x18x10x3 filter=3x3x5 bias act=relu pool=16x8/1x1",
    "x=1x3x4x3 filter=1x1x1030 bias act=relu",
    "x=1x8x8x4 filter=3x3x530 stride=2x2 act=relu pool=2x2/2x2",
    "x=0x6x6x3 filter=3x3x16 act=relu",
};

TEST_P(DropoutTest, Forward) {
  FASTCONV_SKIP_WITHOUT(isa());
  const ScopedMaxIsa max_isa(isa());
  for (const char* text : kProblems) {
    for (double rate : {0.2, 0.0, 0.97, 1.0}) {
      FusedConv2DProblem problem = Problem(text);
      const Conv2DInputs inputs = MakeConv2DScenario(text, problem, Regime::kRandom).inputs;
      const Mask mask = MaskOf(problem, rate);
      for (const std::string& name : ImplementationsOf(Conv2DPass::kForward, problem, isa())) {
        WithEachPool([&](const std::string& pool_name, ThreadPool* pool) {
          SCOPED_TRACE(name + ", " + text + ", " + std::to_string(rate) + ", " + pool_name);
          const auto run = [&](const DropoutSpec& spec) {
            problem.epilogue.dropout = spec;
            return RunConv2D(Conv2DPass::kForward, problem, inputs, pool, kWorkspaceFills[1], name);
          };
          const Conv2DOutputs without = run({}), with = run(Spec(rate));
          EXPECT_EQ(with.y, mask.Values(without.y));
          EXPECT_EQ(with.code, mask.Codes(without.code, problem.epilogue.pool.code_type));
        });
      }
    }
  }
}

TEST_P(DropoutTest, Gradients) {
  FASTCONV_SKIP_WITHOUT(isa());
  const ScopedMaxIsa max_isa(isa());
  InlineThreadPool pool;
  for (const char* text : kProblems) {
    // With scales of 1, 2 and 4 no product is rounded.
    for (double rate : {0.0, 0.5, 0.75, 1.0}) {
      SCOPED_TRACE(text + (", " + std::to_string(rate)));
      FusedConv2DProblem problem = Problem(text);
      Conv2DInputs inputs = MakeConv2DScenario(text, problem, Regime::kRandom).inputs;
      const Mask mask = MaskOf(problem, rate);
      Conv2DInputs dropped = inputs;
      inputs.dy = mask.Values(inputs.dy);
      dropped.y = mask.Values(dropped.y);
      dropped.code = mask.Codes(dropped.code, problem.epilogue.pool.code_type);
      for (Conv2DPass pass : {Conv2DPass::kBackwardInput, Conv2DPass::kBackwardFilter}) {
        for (const std::string& name : ImplementationsOf(pass, problem, isa())) {
          SCOPED_TRACE(name);
          problem.epilogue.dropout = {};
          const Conv2DOutputs without =
              RunConv2D(pass, problem, inputs, &pool, kWorkspaceFills[1], name);
          problem.epilogue.dropout = Spec(rate);
          const Conv2DOutputs with =
              RunConv2D(pass, problem, dropped, &pool, kWorkspaceFills[1], name);
          EXPECT_EQ(with.dx, without.dx);
          EXPECT_EQ(with.dfilter, without.dfilter);
          EXPECT_EQ(with.dbias, without.dbias);
        }
      }
    }
  }
}

// What is dropped is 0 whatever it was.
TEST_P(DropoutTest, DropsWhatIsNotANumber) {
  FASTCONV_SKIP_WITHOUT(isa());
  const ScopedMaxIsa max_isa(isa());
  InlineThreadPool pool;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const char* text : {"x=2x6x7x3 filter=1x1x17 act=relu", "x=2x6x7x3 filter=1x1x17",
                           "x=2x6x8x3 filter=1x1x17 act=leaky:0.25 pool=2x2/2x2"}) {
    SCOPED_TRACE(text);
    FusedConv2DProblem problem = Problem(text);
    const Mask mask = MaskOf(problem, 0.5);
    ASSERT_GT(mask.kept(), 0u);
    ASSERT_LT(mask.kept(), mask.size());
    problem.epilogue.dropout = Spec(0.5);
    Conv2DInputs inputs = MakeConv2DScenario(text, problem, Regime::kExact).inputs;
    inputs.x.assign(inputs.x.size(), std::numeric_limits<double>::infinity());
    const std::string name = GeneralImplementation(isa());
    const Conv2DOutputs forward =
        RunConv2D(Conv2DPass::kForward, problem, inputs, &pool, kWorkspaceFills[1], name);
    const std::vector<double> kept = mask.Values(std::vector<double>(mask.size(), 1));
    for (size_t i = 0; i < kept.size(); ++i) {
      if (kept[i] == 0) {
        EXPECT_EQ(forward.y[i], 0) << i;
      }
    }
    // Gradients of nothing but NaN where the mask drops it.
    inputs = MakeConv2DScenario(text, problem, Regime::kExact).inputs;
    inputs.y = mask.Values(inputs.y);
    inputs.code = mask.Codes(inputs.code, problem.epilogue.pool.code_type);
    for (size_t i = 0; i < kept.size(); ++i) inputs.dy[i] = kept[i] == 0 ? nan : 0;
    const Conv2DOutputs gradients =
        RunConv2D(Conv2DPass::kBackwardFilter, problem, inputs, &pool, kWorkspaceFills[1], name);
    EXPECT_EQ(gradients.dfilter, std::vector<double>(gradients.dfilter.size(), 0));
    EXPECT_EQ(gradients.dbias, std::vector<double>(gradients.dbias.size(), 0));
  }
}

TEST_P(DropoutTest, BatchNorm) {
  FASTCONV_SKIP_WITHOUT(isa());
  const ScopedMaxIsa max_isa(isa());
  for (const char* text :
       {"x=3x6x7x5 filter=1x1x5 act=relu", "x=2x40x41x3 filter=1x1x3 act=leaky:0.25",
        "x=2x9x11x33 filter=1x1x33 act=relu pool=2x2/2x2",
        "x=2x9x11x32 filter=1x1x32 act=leaky:0.25 pool=3x3/2x2:same"}) {
    const FusedConv2DProblem block = Problem(text);
    const Conv2DInputs inputs = MakeConv2DScenario(text, block, Regime::kExact).inputs;
    FusedBatchNormProblem problem;
    problem.dtype = type();
    problem.batch = block.conv.batch;
    problem.height = block.conv.window.h.in;
    problem.width = block.conv.window.w.in;
    problem.channels = block.conv.out_channels;
    problem.has_gamma = problem.has_beta = false;
    problem.epilogue = block.epilogue;
    const DataType wide = AccumulationType(type());
    const size_t channels = problem.channels;
    const InputBuffer z(type(), inputs.x);
    const InputBuffer mean(wide, std::vector<double>(channels, 0.25));
    const InputBuffer variance(wide, std::vector<double>(channels, 0.5));
    const InputBuffer count(wide, {static_cast<double>(inputs.x.size() / channels)});
    FusedBatchNormArgs args;
    args.z = z.data();
    args.mean = mean.data();
    args.variance = variance.data();
    args.count = count.data();
    struct Results {
      std::vector<double> y, code, dgamma, dbeta, dz;
    };
    const auto run = [&](const DropoutSpec& spec, const std::vector<double>& gradients,
                         ThreadPool* pool) {
      problem.epilogue.dropout = spec;
      Workspace workspace(FusedBatchNormWorkspaceBytes(problem, pool->num_threads()),
                          kWorkspaceFills[1]);
      const InputBuffer dy(type(), gradients);
      OutputBuffer y(type(), gradients.size());
      OutputBuffer code(problem.epilogue.pool.code_type, gradients.size());
      OutputBuffer dgamma(wide, channels), dbeta(wide, channels), dz(type(), inputs.x.size());
      args.dy = dy.data();
      args.y = y.data();
      args.code = code.data();
      args.dgamma = dgamma.data();
      args.dbeta = dbeta.data();
      args.dz = dz.data();
      for (const auto& kernel :
           {FusedBatchNorm, FusedBatchNormGradReduce, FusedBatchNormGradApply}) {
        EXPECT_TRUE(kernel(problem, args, workspace.data(), pool).ok());
      }
      EXPECT_TRUE(workspace.GuardsIntact() && y.GuardsIntact() && code.GuardsIntact());
      return Results{y.Values(), code.Values(), dgamma.Values(), dbeta.Values(), dz.Values()};
    };
    for (double rate : {0.5, 0.75}) {
      WithEachPool([&](const std::string& pool_name, ThreadPool* pool) {
        SCOPED_TRACE(text + (", " + std::to_string(rate) + ", " + pool_name));
        const Mask mask = MaskOf(block, rate);
        const Results with = run(Spec(rate), inputs.dy, pool);
        const Results without = run({}, mask.Values(inputs.dy), pool);
        EXPECT_EQ(with.y, mask.Values(without.y));
        if (block.epilogue.pool.enabled) {
          EXPECT_EQ(with.code, mask.Codes(without.code, block.epilogue.pool.code_type));
        }
        EXPECT_EQ(with.dgamma, without.dgamma);
        EXPECT_EQ(with.dbeta, without.dbeta);
        EXPECT_EQ(with.dz, without.dz);
      });
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, DropoutTest,
                         ::testing::Combine(::testing::ValuesIn(kTensorTypes),
                                            ::testing::ValuesIn(kIsas),
                                            ::testing::ValuesIn(kKinds)),
                         ParamName);

}  // namespace
}  // namespace fastconv::testing
