// The CUDA kernels of what follows a convolution: bias, activation and pooling against
// the reference, dropout against the same block without it and a mask that a plain Philox draws.
#include "core/cuda/epilogue.h"

#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <vector>

#include "buffers.h"
#include "cases.h"
#include "conv2d_cases.h"
#include "core/cuda/dropout.h"
#include "core/reference/activation.h"
#include "core/reference/epilogue.h"
#include "dropout_mask.h"
#include "element_types.h"
#include "expectation.h"
#include "tolerances.h"

namespace fastconv::testing {
namespace {

struct EpilogueCase {
  const char* name;
  int64_t batch, height, width, channels;
  bool bias;
  Activation activation;
  float slope;
  const char* pool;  // empty: none
};

constexpr EpilogueCase kCases[] = {
    {"bias", 2, 7, 5, 32, true, Activation::kLinear, 0, ""},
    {"relu", 3, 6, 7, 16, true, Activation::kRelu, 0, ""},
    {"leaky_odd_channels", 2, 5, 9, 17, true, Activation::kLeakyRelu, 0.25f, ""},
    {"relu_pool", 2, 8, 10, 32, true, Activation::kRelu, 0, "2x2/2x2"},
    {"leaky_pool_left_over", 3, 9, 7, 64, false, Activation::kLeakyRelu, 0.25f, "2x2/2x2"},
    {"pool_same", 2, 9, 7, 16, true, Activation::kRelu, 0, "2x2/2x2:same"},
    {"leaky_pool_overlap", 2, 10, 11, 24, true, Activation::kLeakyRelu, 0.25f, "3x3/2x2:same"},
    {"pool_wide_codes", 1, 18, 10, 16, true, Activation::kRelu, 0, "16x8/1x1"},
    {"one_channel_pool", 2, 9, 8, 1, true, Activation::kRelu, 0, "2x2/2x2"},
    {"many_channels", 1, 3, 4, 1032, true, Activation::kRelu, 0, ""},
    {"many_rows", 4, 40, 41, 8, true, Activation::kRelu, 0, "2x2/2x2"},
    {"empty_batch", 0, 6, 6, 16, true, Activation::kRelu, 0, ""},
};

using EpilogueParam = std::tuple<EpilogueCase, DataType>;

std::string ParamName(const ::testing::TestParamInfo<EpilogueParam>& info) {
  const auto& [epilogue_case, type] = info.param;
  return TestName(epilogue_case.name) + "_" + Name(type);
}

// What one forward and one backward call wrote.
struct Results {
  std::vector<double> y, code, dz, dbias;
};

class CudaEpilogueTest : public ::testing::TestWithParam<EpilogueParam> {
 protected:
  void SetUp() override {
    const auto& [epilogue_case, type] = GetParam();
    problem_.dtype = type;
    problem_.batch = epilogue_case.batch;
    problem_.height = epilogue_case.height;
    problem_.width = epilogue_case.width;
    problem_.channels = epilogue_case.channels;
    Epilogue& epilogue = problem_.epilogue;
    epilogue.has_bias = epilogue_case.bias;
    epilogue.activation = epilogue_case.activation;
    epilogue.negative_slope = epilogue_case.slope;
    if (*epilogue_case.pool != '\0') {
      epilogue.pool = ParseMaxPool(epilogue_case.pool, epilogue_case.height, epilogue_case.width);
    }
    Random random(epilogue_case.name);
    const int64_t map = problem_.batch * problem_.height * problem_.width * problem_.channels;
    z_ = random.Integers(map, -4, 4);
    if (epilogue.has_bias) bias_ = random.Integers(problem_.channels, -2, 2);
    std::vector<double> a = z_;
    if (epilogue.has_bias) reference::AddToChannels(bias_, &a);
    forward_ = ExpectBlock(type, epilogue, problem_.batch, problem_.channels, Regime::kExact,
                           {a, std::vector<double>(a.size())});
    dy_ = random.Integers(static_cast<int64_t>(forward_.y.values.size()), -3, 3);
  }

  bool pooled() const { return problem_.epilogue.pool.enabled; }
  DataType type() const { return problem_.dtype; }

  // The two passes; the backward one reads what is given here.
  Results Run(Alignment alignment, const std::vector<double>& y_read,
              const std::vector<double>& code_read, const std::vector<double>& dy_read) const {
    const DropoutSpec& spec = problem_.epilogue.dropout;
    const DataType code_type = problem_.epilogue.pool.code_type;
    const DropoutBuffers dropout(spec);
    const InputBuffer z(type(), z_), bias(type(), bias_);
    OutputBuffer y(type(), forward_.y.values.size(), alignment);
    OutputBuffer code(code_type, forward_.code.size(), alignment);
    Status status = cuda::FusedEpilogue(problem_, z.data(), bias.data(), y.data(), code.data(),
                                        dropout.inputs(), nullptr);
    EXPECT_TRUE(status.ok()) << status.message();
    const InputBuffer saved_y(type(), pooled() ? std::vector<double>() : y_read);
    const InputBuffer saved_code(code_type, code_read), dy(type(), dy_read);
    OutputBuffer dz(type(), z_.size(), alignment), dbias(type(), problem_.channels, alignment);
    Workspace workspace(cuda::FusedEpilogueGradWorkspaceBytes(problem_), kWorkspaceFills[1]);
    status =
        cuda::FusedEpilogueGrad(problem_, saved_y.data(), saved_code.data(), dy.data(), dz.data(),
                                dbias.data(), dropout.inputs(), workspace.data(), nullptr);
    EXPECT_TRUE(status.ok()) << status.message();
    EXPECT_TRUE(y.GuardsIntact() && code.GuardsIntact() && dz.GuardsIntact() &&
                dbias.GuardsIntact() && workspace.GuardsIntact());
    return {y.Values(), code.Values(), dz.Values(), dbias.Values()};
  }

  std::vector<double> Codes() const {
    return EncodeCodes(problem_.epilogue.pool.code_type, forward_.code);
  }

  FusedEpilogueProblem problem_;
  std::vector<double> z_, bias_, dy_;
  BlockExpectation forward_;
};

// Small integers and slopes of 1/4: every bit counts.
TEST_P(CudaEpilogueTest, ForwardAndGradient) {
  const Epilogue& epilogue = problem_.epilogue;
  const std::vector<double> dz = reference::EpilogueBackward(
      epilogue, problem_.batch, problem_.channels, dy_, forward_.map.values, forward_.code);
  for (Alignment alignment : kAlignments) {
    const Results results = Run(alignment, forward_.y.values, Codes(), dy_);
    EXPECT_TRUE(Matches(forward_.y, results.y)) << "y";
    if (pooled()) {
      EXPECT_TRUE(CodesMatch(epilogue, problem_.batch, problem_.channels, Regime::kExact, forward_,
                             results.code))
          << "code";
    }
    EXPECT_TRUE(Matches(ExactExpectation(type(), dz), results.dz)) << "dz";
    EXPECT_TRUE(Matches(ExactExpectation(type(), reference::ChannelSums(problem_.channels, dz)),
                        results.dbias))
        << "dbias";
  }
}

TEST_P(CudaEpilogueTest, Dropout) {
  const DataType code_type = problem_.epilogue.pool.code_type;
  const Window2D& out = problem_.epilogue.pool.window;
  const int64_t pixels = pooled() ? out.h.out * out.w.out : problem_.height * problem_.width;
  for (DropoutKind kind : {DropoutKind::kElements, DropoutKind::kChannels}) {
    // With scales of 1, 2 and 4 no gradient is rounded.
    for (double rate : {0.0, 0.5, 0.75, 1.0}) {
      for (Alignment alignment : kAlignments) {
        SCOPED_TRACE(std::to_string(rate));
        const DropoutSpec spec = {kind, rate, {-1234567, 2000000011}};
        const Mask mask(type(), spec, problem_.batch, pixels, problem_.channels);
        problem_.epilogue.dropout = {};
        const Results without = Run(alignment, forward_.y.values, Codes(), mask.Values(dy_));
        problem_.epilogue.dropout = spec;
        const Results with =
            Run(alignment, mask.Values(forward_.y.values), mask.Codes(Codes(), code_type), dy_);
        EXPECT_EQ(with.y, mask.Values(without.y));
        if (pooled()) {
          EXPECT_EQ(with.code, mask.Codes(without.code, code_type));
        }
        EXPECT_EQ(with.dz, without.dz);
        EXPECT_EQ(with.dbias, without.dbias);
      }
    }
  }
}

TEST(CudaDropoutTest, OfAnyElements) {
  const DropoutSpec spec = {DropoutKind::kElements, 0.3, {17, -4}};
  const DropoutBuffers dropout(spec);
  for (DataType type : kCudaTypes) {
    for (int64_t elements : {0, 1, 7, 8, 1000, 1001}) {
      const std::vector<double> values = RoundTo(type, Random("dropout").Uniforms(elements, -1, 1));
      const InputBuffer x(type, values);
      OutputBuffer y(type, elements, Alignment::kLine);
      const Status status =
          cuda::Dropout(type, elements, x.data(), y.data(), dropout.inputs(), nullptr);
      ASSERT_TRUE(status.ok()) << status.message();
      EXPECT_TRUE(y.GuardsIntact());
      EXPECT_EQ(y.Values(), Mask(type, spec, 1, 1, elements).Values(values));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, CudaEpilogueTest,
                         ::testing::Combine(::testing::ValuesIn(kCases),
                                            ::testing::ValuesIn(kCudaTypes)),
                         ParamName);

}  // namespace
}  // namespace fastconv::testing
