// The CUDA kernels of batch normalisation against the reference.
#include "core/cuda/batch_norm.h"

#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <vector>

#include "batch_norm_scenarios.h"
#include "buffers.h"
#include "cases.h"
#include "element_types.h"
#include "expectation.h"

namespace fastconv::testing {
namespace {

using CudaBatchNormParam = std::tuple<BatchNormCase, DataType>;

std::string ParamName(const ::testing::TestParamInfo<CudaBatchNormParam>& info) {
  const auto& [bn_case, type] = info.param;
  return TestName(bn_case.name) + "_" + Name(type);
}

class CudaBatchNormTest : public ::testing::TestWithParam<CudaBatchNormParam> {
 protected:
  // Calls check(scenario, args, alignment) in both regimes; args hold all inputs.
  template <typename Check>
  void ForEachRun(const Check& check) {
    const auto& [bn_case, type] = GetParam();
    for (Regime regime : {Regime::kRandom, Regime::kExact}) {
      const BatchNormScenario scenario = MakeBatchNormScenario(bn_case, type, regime);
      const FusedBatchNormProblem& problem = scenario.problem;
      const InputBuffer z(type, scenario.z);
      const InputBuffer mean(DataType::kFloat32, scenario.mean);
      const InputBuffer variance(DataType::kFloat32, scenario.variance);
      const InputBuffer gamma(DataType::kFloat32, scenario.gamma);
      const InputBuffer beta(DataType::kFloat32, scenario.beta);
      const InputBuffer dy(type, scenario.dy);
      FusedBatchNormArgs args;
      args.z = z.data();
      args.mean = mean.data();
      args.variance = variance.data();
      if (problem.has_gamma) args.gamma = gamma.data();
      if (problem.has_beta) args.beta = beta.data();
      for (Alignment alignment : kAlignments) {
        SCOPED_TRACE(regime == Regime::kExact ? "exact numbers" : "random numbers");
        check(scenario, args, alignment);
      }
    }
  }
};

TEST_P(CudaBatchNormTest, Forward) {
  ForEachRun([](const BatchNormScenario& scenario, FusedBatchNormArgs args, Alignment alignment) {
    const FusedBatchNormProblem& problem = scenario.problem;
    OutputBuffer y(problem.dtype, scenario.forward.y.values.size(), alignment);
    OutputBuffer code(problem.epilogue.pool.code_type, scenario.forward.code.size(), alignment);
    args.y = y.data();
    args.code = code.data();
    const Status status = cuda::FusedBatchNorm(problem, args, {}, nullptr);
    ASSERT_TRUE(status.ok()) << status.message();
    EXPECT_TRUE(y.GuardsIntact());
    EXPECT_TRUE(code.GuardsIntact());
    EXPECT_TRUE(Matches(scenario.forward.y, y.Values())) << "y";
    if (problem.epilogue.pool.enabled) {
      EXPECT_TRUE(CodesMatch(problem.epilogue, problem.batch, problem.channels, scenario.regime,
                             scenario.forward, code.Values()))
          << "code";
    }
  });
}

TEST_P(CudaBatchNormTest, GradReduce) {
  ForEachRun([](const BatchNormScenario& scenario, FusedBatchNormArgs args, Alignment alignment) {
    const FusedBatchNormProblem& problem = scenario.problem;
    const InputBuffer dy(problem.dtype, scenario.dy);
    const InputBuffer code(problem.epilogue.pool.code_type, scenario.code);
    OutputBuffer dgamma(DataType::kFloat32, problem.channels, alignment);
    OutputBuffer dbeta(DataType::kFloat32, problem.channels, alignment);
    Workspace workspace(cuda::FusedBatchNormGradReduceWorkspaceBytes(problem), kWorkspaceFills[1]);
    args.dy = dy.data();
    args.code = code.mutable_data();
    args.dgamma = dgamma.data();
    args.dbeta = dbeta.data();
    const Status status =
        cuda::FusedBatchNormGradReduce(problem, args, {}, workspace.data(), nullptr);
    ASSERT_TRUE(status.ok()) << status.message();
    EXPECT_TRUE(dgamma.GuardsIntact());
    EXPECT_TRUE(dbeta.GuardsIntact());
    EXPECT_TRUE(workspace.GuardsIntact());
    EXPECT_TRUE(Matches(scenario.dgamma, dgamma.Values())) << "dgamma";
    EXPECT_TRUE(Matches(scenario.dbeta, dbeta.Values())) << "dbeta";
  });
}

TEST_P(CudaBatchNormTest, GradApply) {
  ForEachRun([](const BatchNormScenario& scenario, FusedBatchNormArgs args, Alignment alignment) {
    const FusedBatchNormProblem& problem = scenario.problem;
    const InputBuffer dy(problem.dtype, scenario.dy);
    const InputBuffer code(problem.epilogue.pool.code_type, scenario.code);
    const InputBuffer dgamma(DataType::kFloat32, scenario.sums.dgamma);
    const InputBuffer dbeta(DataType::kFloat32, scenario.sums.dbeta);
    const InputBuffer count(DataType::kFloat32, {scenario.count});
    OutputBuffer dz(problem.dtype, scenario.z.size(), alignment);
    args.dy = dy.data();
    args.code = code.mutable_data();
    args.dgamma = dgamma.mutable_data();
    args.dbeta = dbeta.mutable_data();
    args.count = count.data();
    args.dz = dz.data();
    const Status status = cuda::FusedBatchNormGradApply(problem, args, {}, nullptr);
    ASSERT_TRUE(status.ok()) << status.message();
    EXPECT_TRUE(dz.GuardsIntact());
    EXPECT_TRUE(Matches(scenario.dz, dz.Values())) << "dz";
  });
}

// What blocks leave of their samples, if each has some or none: fewer and more of them than the
// threads of a channel, and than these load at once.
TEST(CudaMergeBatchStatisticsTest, MatchesStatisticsOfAllSamples) {
  constexpr int kChannels = 11, kLeft = 4;  // number of samples, shift, sum, squares
  for (const int blocks : {1, 100, 129, 600, 1100}) {
    SCOPED_TRACE(blocks);
    Random random("merge" + std::to_string(blocks));
    std::vector<double> samples, partials;
    for (int block = 0; block < blocks; ++block) {
      const int64_t count = block == 0 ? 3 : random.Integer(0, 3);
      std::vector<double> left(kLeft * kChannels);
      for (int c = 0; c < kChannels; ++c) {
        left[c] = static_cast<double>(count);
        left[kChannels + c] = 1000.0 * (c % 3 - 1) + random.Uniform(-1, 1) / 1024;
      }
      for (double& value : left) value = static_cast<float>(value);
      for (int64_t sample = 0; sample < count; ++sample) {
        for (int c = 0; c < kChannels; ++c) {
          const double deviation = static_cast<double>(random.Integer(-64, 64)) / 16;
          samples.push_back(left[kChannels + c] + deviation);
          left[2 * kChannels + c] += deviation;
          left[3 * kChannels + c] += deviation * deviation;
        }
      }
      partials.insert(partials.end(), left.begin(), left.end());
    }
    const InputBuffer given(DataType::kFloat32, partials);
    OutputBuffer mean(DataType::kFloat32, kChannels), variance(DataType::kFloat32, kChannels);
    const Status status = cuda::MergeBatchStatistics(
        static_cast<const float*>(given.data()), blocks, kChannels,
        static_cast<float*>(mean.data()), static_cast<float*>(variance.data()), nullptr);
    ASSERT_TRUE(status.ok()) << status.message();
    EXPECT_TRUE(mean.GuardsIntact() && variance.GuardsIntact());
    const StatisticsExpectation expected = ExpectStatistics(kChannels, samples);
    EXPECT_TRUE(Matches(expected.mean, mean.Values())) << "mean";
    EXPECT_TRUE(Matches(expected.variance, variance.Values())) << "variance";
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, CudaBatchNormTest,
                         ::testing::Combine(::testing::ValuesIn(kBatchNormCases),
                                            ::testing::ValuesIn(kCudaTypes)),
                         ParamName);

}  // namespace
}  // namespace fastconv::testing
