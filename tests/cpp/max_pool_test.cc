// Stand-alone max pooling and its gradient against the reference.
#include "core/max_pool.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <tuple>
#include <vector>

#include "buffers.h"
#include "conv2d_cases.h"
#include "core/reference/max_pool.h"
#include "element_types.h"
#include "expectation.h"
#include "isa.h"
#include "thread_pools.h"
#include "tolerances.h"

namespace fastconv::testing {
namespace {

struct MaxPoolCase {
  const char* name;
  int64_t batch, height, width, channels;
  const char* pool;
};

constexpr MaxPoolCase kCases[] = {
    {"plain", 3, 8, 10, 32, "2x2/2x2"},
    {"one_channel", 2, 9, 7, 1, "2x2/2x2"},
    {"three_channels_same", 2, 9, 7, 3, "2x2/2x2:same"},
    {"odd_channels", 2, 7, 9, 17, "2x2/2x2"},
    {"33_channels_overlap", 2, 11, 10, 33, "3x3/2x2"},
    {"overlap_same", 2, 10, 11, 64, "3x3/2x2:same"},
    {"dense", 1, 8, 9, 16, "3x3/1x1"},
    {"dense_same", 1, 7, 6, 5, "4x5/1x1:same"},
    {"not_square", 2, 9, 11, 31, "2x3/2x3"},
    {"uneven_strides", 2, 9, 11, 16, "3x2/1x3"},
    {"gaps", 2, 11, 13, 15, "2x2/4x3"},
    {"gaps_same", 2, 11, 13, 4, "2x2/3x5:same"},
    {"columns", 2, 3, 20, 16, "1x4/1x4"},
    {"global", 3, 6, 7, 100, "6x7/1x1"},
    {"window_beyond_image_same", 2, 3, 2, 17, "5x7/1x2:same"},
    {"127_positions", 1, 128, 3, 19, "127x1/1x1"},
    {"128_positions", 1, 18, 9, 19, "16x8/1x1"},
    {"129_positions", 1, 5, 45, 16, "3x43/1x1"},
    {"225_positions_same", 1, 17, 18, 3, "15x15/4x4:same"},
    {"single_pixel", 1, 1, 1, 1, "1x1/1x1"},
    {"pixels_of_width_1", 2, 9, 1, 7, "2x1/2x1:same"},
    {"copy", 2, 5, 6, 18, "1x1/1x1"},
    {"subsample", 2, 7, 8, 16, "1x1/2x3"},
    {"empty_batch", 0, 8, 8, 16, "2x2/2x2"},
    {"wide_row", 1, 4, 700, 3, "2x2/2x2"},
    {"many_channels", 1, 4, 5, 1030, "2x2/2x2:same"},
};

// What the map holds.
enum class Numbers { kRandom, kTies, kNotANumber, kAllNotANumber, kInfinities };
constexpr Numbers kNumbers[] = {Numbers::kRandom, Numbers::kTies, Numbers::kNotANumber,
                                Numbers::kAllNotANumber, Numbers::kInfinities};

const char* Name(Numbers numbers) {
  switch (numbers) {
    case Numbers::kRandom:
      return "random";
    case Numbers::kTies:
      return "ties";
    case Numbers::kNotANumber:
      return "some NaN";
    case Numbers::kAllNotANumber:
      return "all NaN";
    case Numbers::kInfinities:
      return "infinities";
  }
  return "unknown";
}

std::vector<double> MakeMap(Numbers numbers, DataType type, const std::string& name, int64_t size) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  Random random(name);
  if (numbers == Numbers::kRandom) return RoundTo(type, random.Uniforms(size, -1, 1));
  std::vector<double> map = random.Integers(size, -2, 1);
  for (double& value : map) {
    if (numbers == Numbers::kAllNotANumber) value = kNan;
    // Half of all values, so that small windows of nothing else occur.
    if (numbers == Numbers::kNotANumber && random.Integer(0, 1) == 0) value = kNan;
    if (numbers == Numbers::kInfinities) value = value > 0 ? kInfinity : -kInfinity;
    // Of the two zeros, which are equal, the first wins.
    if (numbers == Numbers::kTies && value == 0 && random.Integer(0, 1) == 0) value = -0.0;
  }
  return map;
}

using MaxPoolParam = std::tuple<MaxPoolCase, DataType, Isa>;

std::string ParamName(const ::testing::TestParamInfo<MaxPoolParam>& info) {
  const auto& [pool_case, type, isa] = info.param;
  return TestName(pool_case.name) + "_" + fastconv::Name(type) + "_" + fastconv::Name(isa);
}

class MaxPoolTest : public ::testing::TestWithParam<MaxPoolParam> {
 protected:
  MaxPoolProblem Problem() const {
    const auto& [pool_case, type, isa] = GetParam();
    MaxPoolProblem problem;
    problem.dtype = type;
    problem.batch = pool_case.batch;
    problem.channels = pool_case.channels;
    problem.pool = ParseMaxPool(pool_case.pool, pool_case.height, pool_case.width);
    return problem;
  }
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
                         ::testing::Combine(::testing::ValuesIn(kCases),
                                            ::testing::ValuesIn(kTensorTypes),
                                            ::testing::ValuesIn(kIsas)),
                         ParamName);

}  // namespace
}  // namespace fastconv::testing
