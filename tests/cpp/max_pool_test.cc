// Stand-alone max pooling and its gradient against the reference.
#include "core/max_pool.h"

#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <vector>

#include "buffers.h"
#include "core/reference/max_pool.h"
#include "element_types.h"
#include "expectation.h"
#include "isa.h"
#include "max_pool_cases.h"
#include "thread_pools.h"
#include "tolerances.h"

namespace fastconv::testing {
namespace {

using MaxPoolParam = std::tuple<MaxPoolCase, DataType, Isa>;

std::string ParamName(const ::testing::TestParamInfo<MaxPoolParam>& info) {
  const auto& [pool_case, type, isa] = info.param;
  return TestName(pool_case.name) + "_" + fastconv::Name(type) + "_" + fastconv::Name(isa);
}

class MaxPoolTest : public ::testing::TestWithParam<MaxPoolParam> {
 protected:
  MaxPoolProblem Problem() const { return MakeMaxPoolProblem(std::get<0>(GetParam()), type()); }
  int64_t MapSize() const {
    const MaxPoolCase& pool_case = std::get<0>(GetParam());
    return pool_case.batch * pool_case.height * pool_case.width * pool_case.channels;
  }
  std::string CaseName() const { return std::get<0>(GetParam()).name; }
  DataType type() const { return std::get<1>(GetParam()); }
  Isa isa() const { return std::get<2>(GetParam()); }
};

TEST_P(MaxPoolTest, Forward) {
  FASTCONV_SKIP_WITHOUT(isa());
  const ScopedMaxIsa max_isa(isa());
  const MaxPoolProblem problem = Problem();
  Epilogue epilogue;
  epilogue.pool = problem.pool;
  for (Numbers numbers : kNumbers) {
    const std::vector<double> map = MakeMap(numbers, type(), CaseName(), MapSize());
    const BlockExpectation expected =
        ExpectBlock(type(), epilogue, problem.batch, problem.channels, Regime::kExact,
                    {map, std::vector<double>(map.size())});
    const InputBuffer x(type(), map);
    WithEachPool([&](const std::string& pool_name, ThreadPool* pool) {
      SCOPED_TRACE(Name(numbers) + (", " + pool_name));
      OutputBuffer y(type(), expected.y.values.size());
      OutputBuffer code(problem.pool.code_type, expected.code.size());
      Workspace workspace(MaxPoolWorkspaceBytes(problem, pool->num_threads()), kWorkspaceFills[1]);
      const Status status =
          MaxPool(problem, x.data(), y.data(), code.data(), workspace.data(), pool);
      ASSERT_TRUE(status.ok()) << status.message();
      EXPECT_TRUE(y.GuardsIntact());
      EXPECT_TRUE(code.GuardsIntact());
      EXPECT_TRUE(workspace.GuardsIntact());
      EXPECT_TRUE(Matches(expected.y, y.Values())) << "y";
      EXPECT_TRUE(CodesMatch(epilogue, problem.batch, problem.channels, Regime::kExact, expected,
                             code.Values()))
          << "code";
    });
  }
}

TEST_P(MaxPoolTest, Gradient) {
  FASTCONV_SKIP_WITHOUT(isa());
  const ScopedMaxIsa max_isa(isa());
  const MaxPoolProblem problem = Problem();
  const MaxPoolSpec& spec = problem.pool;
  for (Numbers numbers : kNumbers) {
    const std::vector<reference::PoolCode> codes =
        reference::MaxPool(spec, problem.batch, problem.channels,
                           MakeMap(numbers, type(), CaseName(), MapSize()))
            .code;
    const std::vector<double> gradient =
        RoundTo(type(), Random("dy").Uniforms(codes.size(), -1, 2));
    Expectation expected;
    expected.values = reference::MaxPoolBackward(spec, problem.batch, problem.channels, gradient,
                                                 codes, /*slope=*/1);
    const std::vector<double> magnitudes = reference::MaxPoolBackward(
        spec, problem.batch, problem.channels, Magnitudes(gradient), codes, /*slope=*/1);
    // Windows that do not overlap make every value a copy.
    const bool overlap =
        spec.window.h.stride < spec.window.h.window || spec.window.w.stride < spec.window.w.window;
    for (size_t index = 0; index < expected.values.size(); ++index) {
      const double sum_bound =
          SumBound(type(), static_cast<double>(spec.positions()), magnitudes[index]);
      expected.bounds.push_back(overlap ? StoredBound(type(), expected.values[index], sum_bound)
                                        : 0);
    }
    EXPECT_TRUE(BoundsAreMeaningful(expected));
    const InputBuffer dy(type(), gradient);
    const InputBuffer code(spec.code_type, EncodeCodes(spec.code_type, codes));
    WithEachPool([&](const std::string& pool_name, ThreadPool* pool) {
      SCOPED_TRACE(Name(numbers) + (", " + pool_name));
      OutputBuffer dx(type(), expected.values.size());
      Workspace workspace(MaxPoolWorkspaceBytes(problem, pool->num_threads()), kWorkspaceFills[1]);
      const Status status =
          MaxPoolGrad(problem, dy.data(), code.data(), dx.data(), workspace.data(), pool);
      ASSERT_TRUE(status.ok()) << status.message();
      EXPECT_TRUE(dx.GuardsIntact());
      EXPECT_TRUE(workspace.GuardsIntact());
      EXPECT_TRUE(Matches(expected, dx.Values())) << "dx";
    });
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, MaxPoolTest,
                         ::testing::Combine(::testing::ValuesIn(kMaxPoolCases),
                                            ::testing::ValuesIn(kTensorTypes),
                                            ::testing::ValuesIn(kIsas)),
                         ParamName);

}  // namespace
}  // namespace fastconv::testing
