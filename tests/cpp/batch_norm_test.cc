// Batch normalisation with activation and pooling, and its gradient, against the reference.
#include "core/batch_norm.h"

#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <vector>

#include "batch_norm_scenarios.h"
#include "buffers.h"
#include "element_types.h"
#include "expectation.h"
#include "isa.h"
#include "thread_pools.h"

namespace fastconv::testing {
namespace {

using BatchNormParam = std::tuple<BatchNormCase, DataType, Isa>;

std::string ParamName(const ::testing::TestParamInfo<BatchNormParam>& info) {
  const auto& [bn_case, type, isa] = info.param;
  return TestName(bn_case.name) + "_" + Name(type) + "_" + Name(isa);
}

class BatchNormTest : public ::testing::TestWithParam<BatchNormParam> {
 protected:
  // Calls check(scenario, args, workspace, pool) in both regimes with every pool; args hold all
  // inputs. Checks the guards of the workspace.
  template <typename Check>
  void ForEachRun(const Check& check) {
    const auto& [bn_case, type, isa] = GetParam();
    FASTCONV_SKIP_WITHOUT(isa);
    const ScopedMaxIsa max_isa(isa);
    for (Regime regime : {Regime::kRandom, Regime::kExact}) {
      const BatchNormScenario scenario = MakeBatchNormScenario(bn_case, type, regime);
      const FusedBatchNormProblem& problem = scenario.problem;
      const DataType wide = AccumulationType(type);
      const InputBuffer z(type, scenario.z);
      const InputBuffer mean(wide, scenario.mean);
      const InputBuffer variance(wide, scenario.variance);
      const InputBuffer gamma(wide, scenario.gamma);
      const InputBuffer beta(wide, scenario.beta);
      FusedBatchNormArgs args;
      args.z = z.data();
      args.mean = mean.data();
      args.variance = variance.data();
      if (problem.has_gamma) args.gamma = gamma.data();
      if (problem.has_beta) args.beta = beta.data();
      WithEachPool([&](const std::string& pool_name, ThreadPool* pool) {
        SCOPED_TRACE((regime == Regime::kExact ? "exact numbers, " : "random numbers, ") +
                     pool_name);
        Workspace workspace(FusedBatchNormWorkspaceBytes(problem, pool->num_threads()),
                            kWorkspaceFills[regime == Regime::kExact]);
        check(scenario, args, workspace.data(), pool);
        EXPECT_TRUE(workspace.GuardsIntact()) << "wrote outside of the workspace";
      });
    }
  }
};

TEST_P(BatchNormTest, Forward) {
  ForEachRun([](const BatchNormScenario& scenario, FusedBatchNormArgs args, void* workspace,
                ThreadPool* pool) {
    const FusedBatchNormProblem& problem = scenario.problem;
    EXPECT_TRUE(BoundsAreMeaningful(scenario.forward.y));
    OutputBuffer y(problem.dtype, scenario.forward.y.values.size());
    OutputBuffer code(problem.epilogue.pool.code_type, scenario.forward.code.size());
    args.y = y.data();
    args.code = code.data();
    const Status status = FusedBatchNorm(problem, args, workspace, pool);
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

TEST_P(BatchNormTest, GradReduce) {
  ForEachRun([](const BatchNormScenario& scenario, FusedBatchNormArgs args, void* workspace,
                ThreadPool* pool) {
    const FusedBatchNormProblem& problem = scenario.problem;
    EXPECT_TRUE(BoundsAreMeaningful(scenario.dgamma));
    EXPECT_TRUE(BoundsAreMeaningful(scenario.dbeta));
    const InputBuffer dy(problem.dtype, scenario.dy);
    const InputBuffer code(problem.epilogue.pool.code_type, scenario.code);
    OutputBuffer dgamma(AccumulationType(problem.dtype), problem.channels);
    OutputBuffer dbeta(AccumulationType(problem.dtype), problem.channels);
    args.dy = dy.data();
    args.code = code.mutable_data();
    args.dgamma = dgamma.data();
    args.dbeta = dbeta.data();
    const Status status = FusedBatchNormGradReduce(problem, args, workspace, pool);
    ASSERT_TRUE(status.ok()) << status.message();
    EXPECT_TRUE(dgamma.GuardsIntact());
    EXPECT_TRUE(dbeta.GuardsIntact());
    EXPECT_TRUE(Matches(scenario.dgamma, dgamma.Values())) << "dgamma";
    EXPECT_TRUE(Matches(scenario.dbeta, dbeta.Values())) << "dbeta";
  });
}

TEST_P(BatchNormTest, GradApply) {
  ForEachRun([](const BatchNormScenario& scenario, FusedBatchNormArgs args, void* workspace,
                ThreadPool* pool) {
    const FusedBatchNormProblem& problem = scenario.problem;
    const DataType wide = AccumulationType(problem.dtype);
    EXPECT_TRUE(BoundsAreMeaningful(scenario.dz));
    const InputBuffer dy(problem.dtype, scenario.dy);
    const InputBuffer code(problem.epilogue.pool.code_type, scenario.code);
    const InputBuffer dgamma(wide, scenario.sums.dgamma);
    const InputBuffer dbeta(wide, scenario.sums.dbeta);
    const InputBuffer count(wide, {scenario.count});
    OutputBuffer dz(problem.dtype, scenario.z.size());
    args.dy = dy.data();
    args.code = code.mutable_data();
    args.dgamma = dgamma.mutable_data();
    args.dbeta = dbeta.mutable_data();
    args.count = count.data();
    args.dz = dz.data();
    const Status status = FusedBatchNormGradApply(problem, args, workspace, pool);
    ASSERT_TRUE(status.ok()) << status.message();
    EXPECT_TRUE(dz.GuardsIntact());
    EXPECT_TRUE(Matches(scenario.dz, dz.Values())) << "dz";
  });
}

INSTANTIATE_TEST_SUITE_P(Cases, BatchNormTest,
                         ::testing::Combine(::testing::ValuesIn(kBatchNormCases),
                                            ::testing::ValuesIn(kTensorTypes),
                                            ::testing::ValuesIn(kIsas)),
                         ParamName);

}  // namespace
}  // namespace fastconv::testing
