// The CUDA kernels of stand-alone max pooling and its gradient against the reference.
#include "core/cuda/max_pool.h"

#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <vector>

#include "buffers.h"
#include "cases.h"
#include "core/reference/max_pool.h"
#include "element_types.h"
#include "expectation.h"
#include "max_pool_cases.h"
#include "tolerances.h"

namespace fastconv::testing {
namespace {

using CudaMaxPoolParam = std::tuple<MaxPoolCase, DataType>;

std::string ParamName(const ::testing::TestParamInfo<CudaMaxPoolParam>& info) {
  const auto& [pool_case, type] = info.param;
  return TestName(pool_case.name) + "_" + fastconv::Name(type);
}

class CudaMaxPoolTest : public ::testing::TestWithParam<CudaMaxPoolParam> {
 protected:
  const MaxPoolCase& Case() const { return std::get<0>(GetParam()); }
  DataType type() const { return std::get<1>(GetParam()); }
  MaxPoolProblem Problem() const { return MakeMaxPoolProblem(Case(), type()); }
  std::vector<double> Map(Numbers numbers) const {
    return MakeMap(numbers, type(), Case().name,
                   Case().batch * Case().height * Case().width * Case().channels);
  }
};

TEST_P(CudaMaxPoolTest, Forward) {
  const MaxPoolProblem problem = Problem();
  Epilogue epilogue;
  epilogue.pool = problem.pool;
  for (Numbers numbers : kNumbers) {
    const std::vector<double> map = Map(numbers);
    const BlockExpectation expected =
        ExpectBlock(type(), epilogue, problem.batch, problem.channels, Regime::kExact,
                    {map, std::vector<double>(map.size())});
    const InputBuffer x(type(), map);
    for (Alignment alignment : kAlignments) {
      SCOPED_TRACE(Name(numbers));
      OutputBuffer y(type(), expected.y.values.size(), alignment);
      OutputBuffer code(problem.pool.code_type, expected.code.size(), alignment);
      const Status status = cuda::MaxPool(problem, x.data(), y.data(), code.data(), nullptr);
      ASSERT_TRUE(status.ok()) << status.message();
      EXPECT_TRUE(y.GuardsIntact());
      EXPECT_TRUE(code.GuardsIntact());
      EXPECT_TRUE(Matches(expected.y, y.Values())) << "y";
      EXPECT_TRUE(CodesMatch(epilogue, problem.batch, problem.channels, Regime::kExact, expected,
                             code.Values()))
          << "code";
    }
  }
}

TEST_P(CudaMaxPoolTest, Gradient) {
  const MaxPoolProblem problem = Problem();
  const MaxPoolSpec& spec = problem.pool;
  const std::vector<reference::PoolCode> codes =
      reference::MaxPool(spec, problem.batch, problem.channels, Map(Numbers::kRandom)).code;
  const std::vector<double> gradient = RoundTo(type(), Random("dy").Uniforms(codes.size(), -1, 2));
  const auto backward = [&](const std::vector<double>& dy) {
    return reference::MaxPoolBackward(spec, problem.batch, problem.channels, dy, codes,
                                      /*slope=*/1);
  };
  const Expectation expected =
      ExpectSums(type(), backward(gradient), static_cast<double>(spec.positions()),
                 backward(Magnitudes(gradient)));
  EXPECT_TRUE(BoundsAreMeaningful(expected));
  const InputBuffer dy(type(), gradient);
  const InputBuffer code(spec.code_type, EncodeCodes(spec.code_type, codes));
  for (Alignment alignment : kAlignments) {
    OutputBuffer dx(type(), expected.values.size(), alignment);
    const Status status = cuda::MaxPoolGrad(problem, dy.data(), code.data(), dx.data(), nullptr);
    ASSERT_TRUE(status.ok()) << status.message();
    EXPECT_TRUE(dx.GuardsIntact());
    EXPECT_TRUE(Matches(expected, dx.Values())) << "dx";
  }
}

TEST(CudaMaxPoolRefusalTest, TypesWithoutKernels) {
  MaxPoolProblem problem = MakeMaxPoolProblem(kMaxPoolCases[0], DataType::kFloat64);
  EXPECT_EQ(cuda::MaxPool(problem, nullptr, nullptr, nullptr, nullptr).code(),
            StatusCode::kUnimplemented);
}

INSTANTIATE_TEST_SUITE_P(Cases, CudaMaxPoolTest,
                         ::testing::Combine(::testing::ValuesIn(kMaxPoolCases),
                                            ::testing::ValuesIn(kCudaTypes)),
                         ParamName);

}  // namespace
}  // namespace fastconv::testing
