// The oracle itself: values worked out by hand, adjoints, and numeric derivatives.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "conv2d_cases.h"
#include "core/reference/batch_norm.h"
#include "core/reference/conv2d.h"
#include "core/reference/epilogue.h"
#include "core/reference/max_pool.h"
#include "element_types.h"
#include "expectation.h"

namespace fastconv::testing {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

double Dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t index = 0; index < a.size(); ++index) sum += a[index] * b[index];
  return sum;
}

TEST(ReferenceTest, ConvolutionByHand) {
  // 1 2 3        1 0
  // 4 5 6   with 2 1 , cross-correlated, zero padding behind.
  const std::vector<double> x = {1, 2, 3, 4, 5, 6};
  const std::vector<double> filter = {1, 0, 2, 1};
  EXPECT_EQ(reference::Conv2D(ParseConv2DProblem("x=1x2x3x1 filter=2x2x1").conv, x, filter),
            (std::vector<double>{1 + 8 + 5, 2 + 10 + 6}));
  EXPECT_EQ(
      reference::Conv2D(ParseConv2DProblem("x=1x2x3x1 filter=2x2x1 padding=same").conv, x, filter),
      (std::vector<double>{14, 18, 3 + 12, 4, 5, 6}));
  // Two groups of two channels: outputs 0, 1 read channels 0, 1; outputs 2, 3 channels 2, 3.
  EXPECT_EQ(reference::Conv2D(ParseConv2DProblem("x=1x1x1x4 filter=1x1x4 groups=2").conv,
                              {1, 10, 100, 1000}, {1, 2, 3, 4, 5, 6, 7, 8}),
            (std::vector<double>{51, 62, 7300, 8400}));
}

// <dz, conv(x, w)> is linear in x and in w, so that the gradients are its coefficients. Integers:
// exact.
TEST(ReferenceTest, ConvolutionGradientsAreAdjoint) {
  for (const char* name : {"k3_same", "s2_same_even", "d3_k2_same", "g4_stride", "depthwise_x2",
                           "explicit_beyond_s2", "padding_only_rows", "s3_k2_gaps"}) {
    SCOPED_TRACE(name);
    const Conv2DProblem& conv = FindConv2DCase(name).problem.conv;
    Random random(name);
    const std::vector<double> x =
        random.Integers(conv.batch * conv.window.h.in * conv.window.w.in * conv.in_channels, -9, 9);
    const std::vector<double> filter = random.Integers(conv.filter_size(), -9, 9);
    const std::vector<double> dz = random.Integers(conv.output_pixels() * conv.out_channels, -9, 9);
    const double product = Dot(dz, reference::Conv2D(conv, x, filter));
    EXPECT_EQ(Dot(reference::Conv2DBackwardInput(conv, filter, dz), x), product);
    EXPECT_EQ(Dot(reference::Conv2DBackwardFilter(conv, x, dz), filter), product);
  }
}

TEST(ReferenceTest, MaxPoolByHand) {
  const MaxPoolSpec pool = ParseMaxPool("2x2/2x2:same", 2, 7);
  // Windows of columns (0, 1), (2, 3), (4, 5) and (6, padding).
  const std::vector<double> map = {1, 3, -2, kNan, kNan, kNan, 5,  //
                                   3, 3, -2, -7,   kNan, kNan, -1};
  const reference::Pooled pooled = reference::MaxPool(pool, 1, 1, map);
  EXPECT_EQ(pooled.y, (std::vector<double>{3, -2, -kInfinity, 5}));
  EXPECT_EQ(EncodeCodes(DataType::kUint8, pooled.code),
            (std::vector<double>{0x80 + 1, 0, 0, 0x80 + 0}));
  EXPECT_EQ(EncodeCodes(DataType::kInt32, pooled.code),
            (std::vector<double>{-2147483648.0 + 1, 0, 0, -2147483648.0}));
  EXPECT_EQ(reference::MaxPoolBackward(pool, 1, 1, {1, 2, 3, 4}, pooled.code, 0.5),
            (std::vector<double>{0, 1, 1, 0, 1.5, 0, 4, 0, 0, 0, 0, 0, 0, 0}));
}

TEST(ReferenceTest, EpilogueByHand) {
  Epilogue epilogue;
  epilogue.activation = Activation::kLeakyRelu;
  epilogue.negative_slope = 0.5f;
  const std::vector<double> a = {-2, 0, 3, kNan};
  const reference::EpilogueOutput output = reference::EpilogueForward(epilogue, 1, 1, a);
  EXPECT_EQ(output.y[0], -1);
  EXPECT_EQ(output.y[1], 0);
  EXPECT_EQ(output.y[2], 3);
  EXPECT_TRUE(std::isnan(output.y[3]));
  EXPECT_EQ(reference::EpilogueBackward(epilogue, 1, 1, {8, 8, 8, 8}, output.y, {}),
            (std::vector<double>{4, 4, 8, 4}));
}

TEST(ReferenceTest, StatisticsByHand) {
  const reference::Statistics statistics = reference::BatchStatistics(2, {1, 10, 2, 10, 6, 10});
  EXPECT_EQ(statistics.mean, (std::vector<double>{3, 10}));
  EXPECT_DOUBLE_EQ(statistics.variance[0], 14.0 / 3);
  EXPECT_EQ(statistics.variance[1], 0);
}

// The total derivative of <dy, block(z)>, statistics included, by central differences.
TEST(ReferenceTest, BatchNormGradientsAreNumericGradients) {
  for (const char* pool : {"", "2x2/2x2", "3x3/2x2:same"}) {
    SCOPED_TRACE(pool);
    FusedBatchNormProblem problem;
    problem.batch = 2;
    problem.height = 4;
    problem.width = 5;
    problem.channels = 3;
    problem.epilogue.activation = Activation::kLeakyRelu;
    problem.epilogue.negative_slope = 0.25f;
    if (*pool != '\0') problem.epilogue.pool = ParseMaxPool(pool, 4, 5);
    Random random(pool);
    const int64_t size = problem.batch * problem.height * problem.width * problem.channels;
    const std::vector<double> z = random.Uniforms(size, -2, 3);
    const std::vector<double> gamma = {1.5, -0.75, 0.5};
    const std::vector<double> beta = {0.25, -0.5, 1};
    const auto parameters_of = [&](const std::vector<double>& values, const std::vector<double>& g,
                                   const std::vector<double>& b) {
      const reference::Statistics statistics = reference::BatchStatistics(problem.channels, values);
      return reference::BatchNormParameters{statistics.mean, statistics.variance, g, b};
    };
    const auto forward = [&](const std::vector<double>& values, const std::vector<double>& g,
                             const std::vector<double>& b) {
      return reference::EpilogueForward(
          problem.epilogue, problem.batch, problem.channels,
          reference::BatchNormAffine(problem, parameters_of(values, g, b), values));
    };
    const reference::EpilogueOutput output = forward(z, gamma, beta);
    const std::vector<double> dy = random.Uniforms(output.y.size(), -1, 1);
    const reference::BatchNormParameters parameters = parameters_of(z, gamma, beta);
    const reference::BatchNormSums sums =
        reference::BatchNormBackwardReduce(problem, parameters, z, output.code, dy);
    const std::vector<double> dz =
        reference::BatchNormBackwardApply(problem, parameters, z, output.code, dy, sums,
                                          static_cast<double>(size / problem.channels));

    // Error of a central difference with step h: h^2 / 6 times a third derivative (of order 10
    // here) plus rounding of order 1e-15 / h.
    constexpr double kStep = 1e-5;
    constexpr double kTolerance = 1e-8;
    const auto expect_derivatives =
        [&](const std::vector<double>& at, const std::vector<double>& gradient,
            const std::function<double(const std::vector<double>&)>& loss) {
          for (size_t index = 0; index < at.size(); ++index) {
            std::vector<double> moved = at;
            moved[index] = at[index] + kStep;
            const double above = loss(moved);
            moved[index] = at[index] - kStep;
            const double below = loss(moved);
            EXPECT_NEAR(gradient[index], (above - below) / (2 * kStep), kTolerance) << index;
          }
        };
    expect_derivatives(z, dz, [&](const std::vector<double>& values) {
      return Dot(dy, forward(values, gamma, beta).y);
    });
    expect_derivatives(gamma, sums.dgamma, [&](const std::vector<double>& values) {
      return Dot(dy, forward(z, values, beta).y);
    });
    expect_derivatives(beta, sums.dbeta, [&](const std::vector<double>& values) {
      return Dot(dy, forward(z, gamma, values).y);
    });
  }
}

// Every 16-bit pattern that is a number survives Load and Store, and lies between its neighbours.
TEST(ElementTypesTest, SixteenBitTypesRoundTrip) {
  for (DataType type : {DataType::kBFloat16, DataType::kFloat16}) {
    for (uint32_t bits = 0; bits < 0x10000; ++bits) {
      const auto stored = static_cast<uint16_t>(bits);
      const double value = Load(type, &stored, 0);
      if (std::isnan(value)) continue;
      uint16_t again = 0;
      Store(type, value, &again, 0);
      ASSERT_EQ(again, stored) << Name(type);
      ASSERT_EQ(RoundTo(type, value), value) << Name(type);
    }
  }
}

TEST(ElementTypesTest, RoundsToNearestEven) {
  EXPECT_EQ(RoundTo(DataType::kBFloat16, 257), 256);
  EXPECT_EQ(RoundTo(DataType::kBFloat16, 259), 260);
  EXPECT_EQ(RoundTo(DataType::kBFloat16, -257.5), -258);
  EXPECT_EQ(RoundTo(DataType::kFloat16, 2049), 2048);
  EXPECT_EQ(RoundTo(DataType::kFloat16, 2051), 2052);
  EXPECT_EQ(RoundTo(DataType::kFloat16, 65519), 65504);
  EXPECT_EQ(RoundTo(DataType::kFloat16, 65520), kInfinity);
  EXPECT_EQ(RoundTo(DataType::kFloat16, std::ldexp(3, -25)), std::ldexp(1, -23));
  EXPECT_EQ(RoundTo(DataType::kFloat32, 16777217), 16777216);
  const float one = 1;
  EXPECT_EQ(Load(DataType::kFloat32, &one, 0), 1);
  uint16_t bits = 0;
  Store(DataType::kBFloat16, -1.5, &bits, 0);
  EXPECT_EQ(bits, 0xBFC0);
  Store(DataType::kFloat16, -1.5, &bits, 0);
  EXPECT_EQ(bits, 0xBE00);
}

TEST(ExpectationTest, NoticesWhatIsWrong) {
  const Expectation expected{{1, 2, 3}, {0.1, 0.1, 0.1}};
  EXPECT_TRUE(Matches(expected, {1, 2.05, 3}));
  EXPECT_FALSE(Matches(expected, {1, 2.2, 3}));
  EXPECT_FALSE(Matches(expected, {1, kNan, 3}));
  EXPECT_FALSE(Matches(expected, {1, kInfinity, 3}));
  EXPECT_FALSE(Matches(expected, {1, 2}));
  EXPECT_TRUE(Matches({{kInfinity}, {0}}, {kInfinity}));
  EXPECT_FALSE(Matches({{kNan}, {kInfinity}}, {1}));
  EXPECT_TRUE(BoundsAreMeaningful(expected));
  EXPECT_FALSE(BoundsAreMeaningful({{1, 2}, {0.1, 3}}));
}

}  // namespace
}  // namespace fastconv::testing
