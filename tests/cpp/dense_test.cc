// The dense layer's passes against the reference, and the same bits for any number of threads.
#include "core/dense.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <tuple>
#include <vector>

#include "buffers.h"
#include "core/reference/activation.h"
#include "core/reference/dense.h"
#include "core/reference/epilogue.h"
#include "element_types.h"
#include "expectation.h"
#include "isa.h"
#include "thread_pools.h"
#include "tolerances.h"

namespace fastconv::testing {
namespace {

struct DenseCase {
  const char* name;
  int64_t batch, inputs, units;
  bool bias;
  Activation activation;
  float negative_slope;
};

constexpr DenseCase kCases[] = {
    {"single_value", 1, 1, 1, true, Activation::kLinear, 0},
    {"odd", 5, 7, 3, true, Activation::kRelu, 0},
    {"one_sample", 1, 300, 100, true, Activation::kLeakyRelu, 0.25f},
    {"one_unit", 19, 400, 1, false, Activation::kLinear, 0},
    {"one_input", 34, 1, 50, true, Activation::kRelu, 0},
    {"tails", 33, 130, 37, true, Activation::kLeakyRelu, 0.3f},
    {"whole_blocks", 32, 1024, 64, true, Activation::kRelu, 0},
    {"no_bias", 15, 777, 250, false, Activation::kRelu, 0},
    {"many_units", 3, 45, 4200, true, Activation::kLinear, 0},
    {"many_slots", 16, 4500, 33, true, Activation::kRelu, 0},
    {"many_samples", 1030, 70, 35, true, Activation::kLeakyRelu, 2.0f},
    {"empty_batch", 0, 40, 33, true, Activation::kRelu, 0},
};

struct Numbers {
  std::vector<double> x, kernel, bias, dy;
};

FusedDenseProblem ProblemOf(const DenseCase& dense, DataType type) {
  FusedDenseProblem problem;
  problem.dtype = type;
  problem.batch = dense.batch;
  problem.inputs = dense.inputs;
  problem.units = dense.units;
  problem.epilogue.has_bias = dense.bias;
  problem.epilogue.activation = dense.activation;
  problem.epilogue.negative_slope = dense.negative_slope;
  return problem;
}

Numbers MakeNumbers(const std::string& name, const FusedDenseProblem& problem, Regime regime) {
  const int64_t x = problem.batch * problem.inputs, kernel = problem.inputs * problem.units;
  const int64_t y = problem.batch * problem.units;
  const int64_t bias = problem.epilogue.has_bias ? problem.units : 0;
  Random random(name);
  if (regime == Regime::kExact) {
    return {random.Integers(x, -1, 1), random.Integers(kernel, -1, 1), random.Integers(bias, -3, 3),
            random.Integers(y, -1, 1)};
  }
  const double scale = 2 / std::sqrt(static_cast<double>(problem.inputs));
  const auto uniforms = [&](int64_t count, double low, double high) {
    return RoundTo(problem.dtype, random.Uniforms(count, low, high));
  };
  return {uniforms(x, -1, 1.25), uniforms(kernel, -scale, scale), uniforms(bias, -1, 1),
          uniforms(y, -1, 1.25)};
}

struct Expectations {
  Expectation y, dx, dkernel, dbias;
};

std::vector<double> WithBias(std::vector<double> z, const std::vector<double>& bias) {
  if (!bias.empty()) reference::AddToChannels(bias, &z);
  return z;
}

Expectations Expect(const FusedDenseProblem& problem, const Numbers& numbers, Regime regime) {
  const DataType type = problem.dtype;
  Expectation z;
  z.values = WithBias(reference::Dense(problem, numbers.x, numbers.kernel), numbers.bias);
  for (double magnitude :
       WithBias(reference::Dense(problem, Magnitudes(numbers.x), Magnitudes(numbers.kernel)),
                Magnitudes(numbers.bias))) {
    z.bounds.push_back(SumBound(type, static_cast<double>(problem.inputs + 1), magnitude));
  }
  Expectations expected;
  expected.y = ExpectBlock(type, problem.epilogue, problem.batch, problem.units, regime, z).y;
  const auto gradient_at_z = [&](const std::vector<double>& dy) {
    return reference::EpilogueBackward(problem.epilogue, problem.batch, problem.units, dy,
                                       RoundTo(type, expected.y.values), {});
  };
  const std::vector<double> dz = gradient_at_z(numbers.dy);
  const std::vector<double> magnitudes = gradient_at_z(Magnitudes(numbers.dy));
  const auto expect = [&](const std::vector<double>& values, int64_t terms,
                          const std::vector<double>& sums_of_magnitudes) {
    if (regime == Regime::kExact) return ExactExpectation(type, values);
    return ExpectSums(type, values, static_cast<double>(terms + 1), sums_of_magnitudes);
  };
  expected.dx =
      expect(reference::DenseBackwardInput(problem, numbers.kernel, dz), problem.units,
             reference::DenseBackwardInput(problem, Magnitudes(numbers.kernel), magnitudes));
  expected.dkernel =
      expect(reference::DenseBackwardKernel(problem, numbers.x, dz), problem.batch,
             reference::DenseBackwardKernel(problem, Magnitudes(numbers.x), magnitudes));
  expected.dbias = expect(reference::ChannelSums(problem.units, dz), problem.batch,
                          reference::ChannelSums(problem.units, magnitudes));
  return expected;
}

// Tensors of one call. y is what the gradients read.
class Inputs {
 public:
  Inputs(const FusedDenseProblem& problem, const Numbers& numbers, const std::vector<double>& y)
      : x_(problem.dtype, numbers.x),
        kernel_(problem.dtype, numbers.kernel),
        bias_(problem.dtype, numbers.bias),
        y_(problem.dtype, RoundTo(problem.dtype, y)),
        dy_(problem.dtype, numbers.dy),
        reads_y_(problem.epilogue.activation != Activation::kLinear) {}

  FusedDenseArgs ArgsOf(DensePass pass) const {
    FusedDenseArgs args;
    if (pass != DensePass::kBackwardInput) args.x = x_.data();
    if (pass != DensePass::kBackwardKernel) args.kernel = kernel_.data();
    if (pass == DensePass::kForward) {
      args.bias = bias_.data();
    } else {
      if (reads_y_) args.y = y_.mutable_data();
      args.dy = dy_.data();
    }
    return args;
  }

 private:
  InputBuffer x_, kernel_, bias_, y_, dy_;
  bool reads_y_;
};

void RunPass(DensePass pass, const FusedDenseProblem& problem, const FusedDenseArgs& args,
             ThreadPool* pool, uint8_t fill) {
  const auto plan = MakeFusedDensePlan(pass, problem, pool->num_threads());
  Workspace workspace(plan->workspace_bytes(), fill);
  plan->Execute(args, workspace.data(), pool);
  EXPECT_TRUE(workspace.GuardsIntact());
}

struct Outputs {
  OutputBuffer y, dx, dkernel, dbias;

  explicit Outputs(const FusedDenseProblem& problem)
      : y(problem.dtype, problem.batch * problem.units),
        dx(problem.dtype, problem.batch * problem.inputs),
        dkernel(problem.dtype, problem.inputs * problem.units),
        dbias(problem.dtype, problem.units) {}

  // All passes.
  void Compute(const FusedDenseProblem& problem, const Inputs& inputs, ThreadPool* pool,
               uint8_t fill) {
    FusedDenseArgs args = inputs.ArgsOf(DensePass::kForward);
    args.y = y.data();
    RunPass(DensePass::kForward, problem, args, pool, fill);
    args = inputs.ArgsOf(DensePass::kBackwardInput);
    args.dx = dx.data();
    RunPass(DensePass::kBackwardInput, problem, args, pool, fill);
    args = inputs.ArgsOf(DensePass::kBackwardKernel);
    args.dkernel = dkernel.data();
    args.dbias = dbias.data();
    RunPass(DensePass::kBackwardKernel, problem, args, pool, fill);
  }
  bool GuardsIntact() const {
    return y.GuardsIntact() && dx.GuardsIntact() && dkernel.GuardsIntact() && dbias.GuardsIntact();
  }
};

using DenseParam = std::tuple<DenseCase, DataType, Isa>;

std::string ParamName(const ::testing::TestParamInfo<DenseParam>& info) {
  const auto& [dense, type, isa] = info.param;
  return TestName(dense.name) + "_" + fastconv::Name(type) + "_" + fastconv::Name(isa);
}

class DenseTest : public ::testing::TestWithParam<DenseParam> {
 protected:
  FusedDenseProblem Problem() const {
    return ProblemOf(std::get<0>(GetParam()), std::get<1>(GetParam()));
  }
  std::string CaseName() const { return std::get<0>(GetParam()).name; }
  Isa isa() const { return std::get<2>(GetParam()); }
};

TEST_P(DenseTest, MatchesReference) {
  FASTCONV_SKIP_WITHOUT(isa());
  const ScopedMaxIsa max_isa(isa());
  FusedDenseProblem problem = Problem();
  for (Regime regime : {Regime::kRandom, Regime::kExact}) {
    float* slope = &problem.epilogue.negative_slope;
    if (regime == Regime::kExact && *slope * 4 != std::round(*slope * 4)) *slope = 0.25f;
    const Numbers numbers = MakeNumbers(CaseName(), problem, regime);
    const Expectations expected = Expect(problem, numbers, regime);
    for (const Expectation* each :
         {&expected.y, &expected.dx, &expected.dkernel, &expected.dbias}) {
      EXPECT_TRUE(BoundsAreMeaningful(*each));
    }
    const Inputs inputs(problem, numbers, expected.y.values);
    WithEachPool([&](const std::string& pool_name, ThreadPool* pool) {
      SCOPED_TRACE(pool_name + (regime == Regime::kExact ? ", exact" : ", random"));
      Outputs outputs(problem);
      outputs.Compute(problem, inputs, pool, kWorkspaceFills[regime == Regime::kExact]);
      EXPECT_TRUE(outputs.GuardsIntact());
      EXPECT_TRUE(Matches(expected.y, outputs.y.Values())) << "y";
      EXPECT_TRUE(Matches(expected.dx, outputs.dx.Values())) << "dx";
      EXPECT_TRUE(Matches(expected.dkernel, outputs.dkernel.Values())) << "dkernel";
      EXPECT_TRUE(Matches(expected.dbias, outputs.dbias.Values())) << "dbias";
    });
  }
}

TEST_P(DenseTest, BitsDoNotDependOnThreads) {
  FASTCONV_SKIP_WITHOUT(isa());
  const ScopedMaxIsa max_isa(isa());
  const FusedDenseProblem problem = Problem();
  const Numbers numbers = MakeNumbers(CaseName(), problem, Regime::kRandom);
  const Inputs inputs(problem, numbers, numbers.dy);  // any signs
  InlineThreadPool alone;
  Outputs expected(problem);
  expected.Compute(problem, inputs, &alone, kWorkspaceFills[0]);
  for (int threads : {2, 3, 8}) {
    WorkerThreadPool pool(threads, /*max_delay_us=*/threads == 3 ? 200 : 0);
    for (int repetition = 0; repetition < 3; ++repetition) {
      Outputs actual(problem);
      actual.Compute(problem, inputs, &pool, kWorkspaceFills[repetition % 2]);
      ASSERT_EQ(actual.y.Bytes(), expected.y.Bytes()) << threads;
      ASSERT_EQ(actual.dx.Bytes(), expected.dx.Bytes()) << threads;
      ASSERT_EQ(actual.dkernel.Bytes(), expected.dkernel.Bytes()) << threads;
      ASSERT_EQ(actual.dbias.Bytes(), expected.dbias.Bytes()) << threads;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, DenseTest,
                         ::testing::Combine(::testing::ValuesIn(kCases),
                                            ::testing::ValuesIn(kTensorTypes),
                                            ::testing::ValuesIn(kIsas)),
                         ParamName);

class DenseIsaTest : public ::testing::TestWithParam<Isa> {};

// So many sums that panels of units are items beside few slots.
TEST_P(DenseIsaTest, ManySums) {
  FASTCONV_SKIP_WITHOUT(GetParam());
  const ScopedMaxIsa max_isa(GetParam());
  const FusedDenseProblem problem =
      ProblemOf({"many_sums", 200, 700, 2050, true, Activation::kRelu, 0}, DataType::kFloat32);
  const Numbers numbers = MakeNumbers("many_sums", problem, Regime::kExact);
  std::vector<double> z = reference::Dense(problem, numbers.x, numbers.kernel);
  reference::AddToChannels(numbers.bias, &z);
  for (double& value : z) value = reference::Activate(value, 0);
  const Inputs inputs(problem, numbers, z);
  WithEachPool([&](const std::string& pool_name, ThreadPool* pool) {
    SCOPED_TRACE(pool_name);
    OutputBuffer y(problem.dtype, z.size());
    FusedDenseArgs args = inputs.ArgsOf(DensePass::kForward);
    args.y = y.data();
    RunPass(DensePass::kForward, problem, args, pool, kWorkspaceFills[1]);
    EXPECT_TRUE(y.GuardsIntact());
    EXPECT_TRUE(Matches(ExactExpectation(problem.dtype, z), y.Values()));
  });
}

// Larger than the caches, aligned as TensorFlow's tensors are, with a tail that no vector fits.
TEST_P(DenseIsaTest, LargeKernelGradient) {
  FASTCONV_SKIP_WITHOUT(GetParam());
  const ScopedMaxIsa max_isa(GetParam());
  const FusedDenseProblem problem =
      ProblemOf({"large", 3, 16813, 251, false, Activation::kLinear, 0}, DataType::kFloat32);
  const Numbers numbers = MakeNumbers("large", problem, Regime::kExact);
  const Expectation expected = ExactExpectation(
      problem.dtype, reference::DenseBackwardKernel(problem, numbers.x, numbers.dy));
  const Inputs inputs(problem, numbers, {});
  WithEachPool([&](const std::string& pool_name, ThreadPool* pool) {
    SCOPED_TRACE(pool_name);
    const size_t size = expected.values.size();
    Workspace dkernel(size * sizeof(float), kWorkspaceFills[1]);
    OutputBuffer dbias(problem.dtype, problem.units);
    FusedDenseArgs args = inputs.ArgsOf(DensePass::kBackwardKernel);
    args.dkernel = dkernel.data();
    args.dbias = dbias.data();
    RunPass(DensePass::kBackwardKernel, problem, args, pool, kWorkspaceFills[0]);
    EXPECT_TRUE(dkernel.GuardsIntact());
    std::vector<double> values(size);
    for (size_t i = 0; i < size; ++i) values[i] = Load(problem.dtype, dkernel.data(), i);
    EXPECT_TRUE(Matches(expected, values));
  });
}

// What is promised for float32: a relative error that does not grow with the sums.
TEST_P(DenseIsaTest, LongSumsStayAccurate) {
  FASTCONV_SKIP_WITHOUT(GetParam());
  const ScopedMaxIsa max_isa(GetParam());
  const FusedDenseProblem problem =
      ProblemOf({"long", 2, 60000, 20, false, Activation::kLinear, 0}, DataType::kFloat32);
  const Numbers numbers = MakeNumbers("long", problem, Regime::kRandom);
  const std::vector<double> expected = reference::Dense(problem, numbers.x, numbers.kernel);
  const Inputs inputs(problem, numbers, {});
  OutputBuffer y(problem.dtype, expected.size());
  FusedDenseArgs args = inputs.ArgsOf(DensePass::kForward);
  args.y = y.data();
  InlineThreadPool pool;
  RunPass(DensePass::kForward, problem, args, &pool, kWorkspaceFills[0]);
  const std::vector<double> actual = y.Values();
  double error = 0, norm = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    error += (actual[i] - expected[i]) * (actual[i] - expected[i]);
    norm += expected[i] * expected[i];
  }
  EXPECT_LE(std::sqrt(error / norm), kWinogradNormBound / 4);
}

// A NaN reaches the results that depend on it, and no others.
TEST_P(DenseIsaTest, NotANumberStaysWhereItBelongs) {
  FASTCONV_SKIP_WITHOUT(GetParam());
  const ScopedMaxIsa max_isa(GetParam());
  const FusedDenseProblem problem =
      ProblemOf({"nan", 17, 150, 37, true, Activation::kRelu, 0}, DataType::kFloat32);
  Numbers numbers = MakeNumbers("nan", problem, Regime::kExact);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  numbers.x[5 * problem.inputs + 140] = nan;
  const Expectations expected = Expect(problem, numbers, Regime::kExact);
  numbers.dy[4 * problem.units + 36] = nan;
  const Inputs inputs(problem, numbers, std::vector<double>(numbers.dy.size(), 1));
  InlineThreadPool pool;
  Outputs outputs(problem);
  outputs.Compute(problem, inputs, &pool, kWorkspaceFills[0]);
  EXPECT_TRUE(Matches(expected.y, outputs.y.Values()));
  const auto nans = [&](const OutputBuffer& buffer, int64_t columns, int64_t row, int64_t column) {
    const std::vector<double> values = buffer.Values();
    for (int64_t i = 0; i < static_cast<int64_t>(values.size()); ++i) {
      const bool expected_nan = i / columns == row || i % columns == column;
      EXPECT_EQ(std::isnan(values[i]), expected_nan) << i;
    }
  };
  nans(outputs.dx, problem.inputs, 4, -1);
  nans(outputs.dkernel, problem.units, 140, 36);
  nans(outputs.dbias, problem.units, -1, 36);
}

INSTANTIATE_TEST_SUITE_P(InstructionSets, DenseIsaTest, ::testing::ValuesIn(kIsas),
                         [](const auto& info) { return std::string(Name(info.param)); });

}  // namespace
}  // namespace fastconv::testing
