// The same bits again: over repeated runs, whatever the threads' timing; and, where every output is
// computed by one thread in a fixed order, for any number of threads.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "buffers.h"
#include "conv2d_cases.h"
#include "conv2d_harness.h"
#include "core/batch_norm.h"
#include "core/conv2d.h"
#include "element_types.h"
#include "isa.h"
#include "thread_pools.h"

namespace fastconv::testing {
namespace {

constexpr int kRepetitions = 50;
constexpr int kThreads = 4;

constexpr const char* kCaseNames[] = {"many_pixels",           "c600_k3",     "k1030_k1",
                                      "pool_3x3_overlap_same", "depthwise",   "g4_stride",
                                      "cifar10_conv2_pool",    "wide_row_k3", "stats_many_pixels",
                                      "explicit_beyond_s2"};

using Param = std::tuple<const char*, DataType, Isa>;

std::string ParamName(const ::testing::TestParamInfo<Param>& info) {
  const auto& [name, type, isa] = info.param;
  return TestName(name) + "_" + Name(type) + "_" + Name(isa);
}

class Conv2DDeterminismTest : public ::testing::TestWithParam<Param> {
 protected:
  FusedConv2DProblem Problem() const {
    FusedConv2DProblem problem = FindConv2DCase(std::get<0>(GetParam())).problem;
    problem.conv.dtype = std::get<1>(GetParam());
    return problem;
  }
  Isa isa() const { return std::get<2>(GetParam()); }
};

TEST_P(Conv2DDeterminismTest, RepeatsForAGivenNumberOfThreads) {
  FASTCONV_SKIP_WITHOUT(isa());
  const ScopedMaxIsa max_isa(isa());
  const FusedConv2DProblem problem = Problem();
  const Conv2DInputs inputs = MakeConv2DScenario("determinism", problem, Regime::kRandom).inputs;
  WorkerThreadPool prompt(kThreads);
  WorkerThreadPool tardy(kThreads, /*max_delay_us=*/200);
  StalledThreadPool stalled(kThreads);
  for (Conv2DPass pass :
       {Conv2DPass::kForward, Conv2DPass::kBackwardInput, Conv2DPass::kBackwardFilter}) {
    SCOPED_TRACE(Name(pass));
    const std::vector<uint8_t> expected =
        RunConv2D(pass, problem, inputs, &stalled, kWorkspaceFills[0]).bytes;
    stalled.RunLateTasks();
    for (int repetition = 0; repetition < kRepetitions; ++repetition) {
      ThreadPool* pool = repetition % 2 == 0 ? &prompt : &tardy;
      const Conv2DOutputs outputs =
          RunConv2D(pass, problem, inputs, pool, kWorkspaceFills[repetition % 2]);
      ASSERT_EQ(outputs.bytes, expected) << "repetition " << repetition;
    }
  }
}

TEST_P(Conv2DDeterminismTest, OutputsDoNotDependOnTheNumberOfThreads) {
  FASTCONV_SKIP_WITHOUT(isa());
  const ScopedMaxIsa max_isa(isa());
  FusedConv2DProblem problem = Problem();
  problem.batch_statistics = false;  // sums over samples, cut by thread
  const Conv2DInputs inputs = MakeConv2DScenario("determinism", problem, Regime::kRandom).inputs;
  InlineThreadPool alone;
  for (Conv2DPass pass : {Conv2DPass::kForward, Conv2DPass::kBackwardInput}) {
    SCOPED_TRACE(Name(pass));
    const std::vector<uint8_t> expected =
        RunConv2D(pass, problem, inputs, &alone, kWorkspaceFills[0]).bytes;
    for (int threads : {2, 3, 5, 8, 17}) {
      WorkerThreadPool pool(threads);
      ASSERT_EQ(RunConv2D(pass, problem, inputs, &pool, kWorkspaceFills[1]).bytes, expected)
          << threads << " threads";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, Conv2DDeterminismTest,
                         ::testing::Combine(::testing::ValuesIn(kCaseNames),
                                            ::testing::Values(DataType::kFloat32,
                                                              DataType::kBFloat16),
                                            ::testing::ValuesIn(kIsas)),
                         ParamName);

class BatchNormDeterminismTest : public ::testing::TestWithParam<Isa> {};

TEST_P(BatchNormDeterminismTest, GradReduceRepeatsForAGivenNumberOfThreads) {
  FASTCONV_SKIP_WITHOUT(GetParam());
  const ScopedMaxIsa max_isa(GetParam());
  FusedBatchNormProblem problem;
  problem.batch = 5;
  problem.height = 31;
  problem.width = 29;
  problem.channels = 35;
  problem.epilogue.activation = Activation::kRelu;
  const int64_t size = problem.batch * problem.height * problem.width * problem.channels;
  Random random("batch norm determinism");
  const InputBuffer z(problem.dtype, RoundTo(problem.dtype, random.Uniforms(size, -1, 2)));
  const InputBuffer dy(problem.dtype, RoundTo(problem.dtype, random.Uniforms(size, -1, 1)));
  const InputBuffer ones(problem.dtype, std::vector<double>(problem.channels, 1));
  const InputBuffer zeros(problem.dtype, std::vector<double>(problem.channels, 0));
  const auto reduce = [&](ThreadPool* pool, uint8_t fill) {
    OutputBuffer dgamma(problem.dtype, problem.channels);
    OutputBuffer dbeta(problem.dtype, problem.channels);
    Workspace workspace(FusedBatchNormWorkspaceBytes(problem, pool->num_threads()), fill);
    FusedBatchNormArgs args;
    args.z = z.data();
    args.mean = zeros.data();
    args.variance = ones.data();
    args.gamma = ones.data();
    args.beta = zeros.data();
    args.dy = dy.data();
    args.dgamma = dgamma.data();
    args.dbeta = dbeta.data();
    const Status status = FusedBatchNormGradReduce(problem, args, workspace.data(), pool);
    EXPECT_TRUE(status.ok()) << status.message();
    std::vector<uint8_t> bytes = dgamma.Bytes();
    const std::vector<uint8_t> more = dbeta.Bytes();
    bytes.insert(bytes.end(), more.begin(), more.end());
    return bytes;
  };
  WorkerThreadPool prompt(kThreads);
  WorkerThreadPool tardy(kThreads, /*max_delay_us=*/200);
  StalledThreadPool stalled(kThreads);
  const std::vector<uint8_t> expected = reduce(&stalled, kWorkspaceFills[0]);
  stalled.RunLateTasks();
  for (int repetition = 0; repetition < kRepetitions; ++repetition) {
    ASSERT_EQ(reduce(repetition % 2 == 0 ? &prompt : &tardy, kWorkspaceFills[repetition % 2]),
              expected)
        << "repetition " << repetition;
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, BatchNormDeterminismTest, ::testing::ValuesIn(kIsas),
                         [](const ::testing::TestParamInfo<Isa>& info) {
                           return std::string(Name(info.param));
                         });

}  // namespace
}  // namespace fastconv::testing
