#include "conv2d_harness.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>

#include "buffers.h"
#include "core/reference/conv2d.h"
#include "element_types.h"
#include "tolerances.h"

namespace fastconv::testing {
namespace {

int64_t InputSize(const Conv2DProblem& conv) {
  return conv.batch * conv.window.h.in * conv.window.w.in * conv.in_channels;
}

int64_t OutputSize(const FusedConv2DProblem& problem) {
  const Conv2DProblem& conv = problem.conv;
  const Window2D& last = problem.epilogue.pool.enabled ? problem.epilogue.pool.window : conv.window;
  return conv.batch * last.h.out * last.w.out * conv.out_channels;
}

Conv2DInputs MakeInputs(const std::string& name, const FusedConv2DProblem& problem, Regime regime) {
  const Conv2DProblem& conv = problem.conv;
  const int64_t bias_size = problem.epilogue.has_bias ? conv.out_channels : 0;
  Random random(name);
  Conv2DInputs inputs;
  if (regime == Regime::kExact) {
    inputs.x = random.Integers(InputSize(conv), -1, 1);
    inputs.filter = random.Integers(conv.filter_size(), -1, 1);
    inputs.bias = random.Integers(bias_size, -3, 3);
    inputs.dy = random.Integers(OutputSize(problem), -1, 1);
    return inputs;
  }
  // Results near 1 at any length of the reduction, and means beside 0.
  const double taps = static_cast<double>(conv.window.h.window * conv.window.w.window *
                                          conv.in_channels_per_group());
  const double scale = 2 / std::sqrt(taps);
  inputs.x = RoundTo(conv.dtype, random.Uniforms(InputSize(conv), -1, 1.25));
  inputs.filter = RoundTo(conv.dtype, random.Uniforms(conv.filter_size(), -scale, scale));
  inputs.bias = RoundTo(conv.dtype, random.Uniforms(bias_size, -1, 1));
  inputs.dy = RoundTo(conv.dtype, random.Uniforms(OutputSize(problem), -1, 1.25));
  return inputs;
}

// z + bias.
std::vector<double> WithBias(const Conv2DProblem& conv, const std::vector<double>& x,
                             const std::vector<double>& filter, const std::vector<double>& bias) {
  std::vector<double> z = reference::Conv2D(conv, x, filter);
  if (!bias.empty()) reference::AddToChannels(bias, &z);
  return z;
}

BlockExpectation ExpectForward(const FusedConv2DProblem& problem, const Conv2DInputs& inputs,
                               Regime regime) {
  const Conv2DProblem& conv = problem.conv;
  Expectation z;
  z.values = WithBias(conv, inputs.x, inputs.filter, inputs.bias);
  if (regime == Regime::kRandom) {
    const double terms = static_cast<double>(
        conv.window.h.window * conv.window.w.window * conv.in_channels_per_group() + 1);
    for (double magnitude :
         WithBias(conv, Magnitudes(inputs.x), Magnitudes(inputs.filter), Magnitudes(inputs.bias))) {
      z.bounds.push_back(SumBound(conv.dtype, terms, magnitude));
    }
  }
  return ExpectBlock(conv.dtype, problem.epilogue, conv.batch, conv.out_channels, regime, z);
}

void ExpectBackward(const FusedConv2DProblem& problem, const Conv2DInputs& inputs,
                    const std::vector<reference::PoolCode>& code, Regime regime,
                    Conv2DExpectations* expected) {
  const Conv2DProblem& conv = problem.conv;
  const auto gradient_at_z = [&](const std::vector<double>& dy) {
    return reference::EpilogueBackward(problem.epilogue, conv.batch, conv.out_channels, dy,
                                       inputs.y, code);
  };
  const std::vector<double> dz = gradient_at_z(inputs.dy);
  const std::vector<double> dx = reference::Conv2DBackwardInput(conv, inputs.filter, dz);
  const std::vector<double> dfilter = reference::Conv2DBackwardFilter(conv, inputs.x, dz);
  const std::vector<double> dbias = reference::ChannelSums(conv.out_channels, dz);
  if (regime == Regime::kExact) {
    expected->dx = ExactExpectation(conv.dtype, dx);
    expected->dfilter = ExactExpectation(conv.dtype, dfilter);
    expected->dbias = ExactExpectation(conv.dtype, dbias);
    return;
  }
  // Slopes are not negative, so that the gradient of the magnitudes is the magnitude of the sum
  // that makes up each value of dz: of at most one term per overlapping window, and the slope.
  const std::vector<double> dz_magnitudes = gradient_at_z(Magnitudes(inputs.dy));
  const MaxPoolSpec& pool = problem.epilogue.pool;
  const double dz_terms = 1 + static_cast<double>(pool.enabled ? pool.positions() : 0);
  const double dx_terms =
      dz_terms + static_cast<double>(conv.window.h.window * conv.window.w.window *
                                     conv.out_channels_per_group());
  const double dfilter_terms = dz_terms + static_cast<double>(conv.output_pixels());
  expected->dx =
      ExpectSums(conv.dtype, dx, dx_terms,
                 reference::Conv2DBackwardInput(conv, Magnitudes(inputs.filter), dz_magnitudes));
  expected->dfilter =
      ExpectSums(conv.dtype, dfilter, dfilter_terms,
                 reference::Conv2DBackwardFilter(conv, Magnitudes(inputs.x), dz_magnitudes));
  expected->dbias = ExpectSums(conv.dtype, dbias, dfilter_terms,
                               reference::ChannelSums(conv.out_channels, dz_magnitudes));
}

bool ReadsOutputSigns(const Epilogue& epilogue) {
  return epilogue.activation != Activation::kLinear && !epilogue.pool.enabled;
}

void Append(const OutputBuffer& buffer, std::vector<uint8_t>* bytes) {
  const std::vector<uint8_t> more = buffer.Bytes();
  bytes->insert(bytes->end(), more.begin(), more.end());
}

}  // namespace

Conv2DScenario MakeConv2DScenario(const std::string& name, FusedConv2DProblem problem,
                                  Regime regime) {
  float* slope = &problem.epilogue.negative_slope;
  if (regime == Regime::kExact && *slope * 4 != std::round(*slope * 4)) *slope = 0.25f;
  Conv2DScenario scenario{problem, regime, MakeInputs(name, problem, regime), {}};
  Conv2DInputs& inputs = scenario.inputs;
  scenario.expected.forward = ExpectForward(problem, inputs, regime);
  const BlockExpectation& forward = scenario.expected.forward;
  if (ReadsOutputSigns(problem.epilogue)) inputs.y = RoundTo(problem.conv.dtype, forward.y.values);
  if (problem.epilogue.pool.enabled) {
    inputs.code = EncodeCodes(problem.epilogue.pool.code_type, forward.code);
  }
  ExpectBackward(problem, inputs, forward.code, regime, &scenario.expected);
  return scenario;
}

std::vector<std::string> ImplementationsOf(Conv2DPass pass, const FusedConv2DProblem& problem,
                                           Isa isa) {
  const std::string suffix = std::string(":") + Name(isa);
  std::vector<std::string> names;
  for (const DispatchEntry& entry : ExplainConv2D(pass, problem)) {
    const size_t colon = entry.implementation.find(':');
    if (entry.able && entry.implementation.substr(colon) == suffix) {
      names.push_back(entry.implementation);
    }
  }
  EXPECT_FALSE(names.empty()) << "no implementation for " << Name(isa);
  return names;
}

std::string GeneralImplementation(Isa isa) { return std::string("implicit_gemm:") + Name(isa); }

bool IsWinograd(const std::string& implementation) {
  return implementation.rfind("winograd", 0) == 0;
}

Expectation WinogradExpectation(DataType type, Expectation expected,
                                const std::vector<double>& values) {
  double squares = 0;
  for (double value : values) squares += value * value;
  const double rms = values.empty() ? 0 : std::sqrt(squares / static_cast<double>(values.size()));
  for (size_t i = 0; i < expected.values.size(); ++i) {
    expected.bounds[i] =
        StoredBound(type, expected.values[i], kWinogradPeak * kWinogradNormBound * rms);
  }
  return expected;
}

BlockExpectation WinogradExpectation(DataType type, BlockExpectation expected,
                                     const std::vector<double>& values) {
  expected.y = WinogradExpectation(type, std::move(expected.y), values);
  // The map before it is stored.
  expected.map = WinogradExpectation(DataType::kFloat64, std::move(expected.map), values);
  return expected;
}

::testing::AssertionResult MatchesInNorm(DataType type, const std::vector<double>& expected,
                                         const std::vector<double>& actual) {
  if (actual.size() != expected.size()) {
    return ::testing::AssertionFailure()
           << actual.size() << " values instead of " << expected.size();
  }
  double error = 0, norm = 0;
  for (size_t index = 0; index < expected.size(); ++index) {
    error += (actual[index] - expected[index]) * (actual[index] - expected[index]);
    norm += expected[index] * expected[index];
  }
  const double bound = StoredNormBound(type, kWinogradNormBound);
  // Written so that NaN fails.
  if (std::sqrt(error) <= bound * std::sqrt(norm)) {
    return ::testing::AssertionSuccess();
  }
  return ::testing::AssertionFailure()
         << "relative error in the L2 norm " << std::sqrt(error / norm) << " instead of at most "
         << bound;
}

std::vector<double> ConvolutionOutput(const FusedConv2DProblem& problem,
                                      const Conv2DInputs& inputs) {
  std::vector<double> z = reference::Conv2D(problem.conv, inputs.x, inputs.filter);
  if (problem.epilogue.has_bias) reference::AddToChannels(inputs.bias, &z);
  return z;
}

Conv2DOutputs RunConv2D(Conv2DPass pass, const FusedConv2DProblem& problem,
                        const Conv2DInputs& inputs, ThreadPool* pool, uint8_t workspace_fill,
                        const std::string& implementation, bool want_dbias) {
  const Conv2DProblem& conv = problem.conv;
  const DataType type = conv.dtype;
  const MaxPoolSpec& max_pool = problem.epilogue.pool;
  const bool forward = pass == Conv2DPass::kForward;
  const bool backward_filter = pass == Conv2DPass::kBackwardFilter;
  Conv2DOutputs outputs;

  std::unique_ptr<Conv2DPlan> plan;
  const Status planned = MakeConv2DPlan(pass, problem, pool->num_threads(), &plan, implementation);
  EXPECT_TRUE(planned.ok()) << planned.message();
  if (!planned.ok()) return outputs;
  outputs.implementation = plan->implementation();

  const InputBuffer x(type, inputs.x);
  const InputBuffer filter(type, inputs.filter);
  const InputBuffer bias(type, inputs.bias);
  const InputBuffer dy(type, inputs.dy);
  const InputBuffer saved_y(type, inputs.y);
  const InputBuffer saved_code(max_pool.code_type, inputs.code);
  const size_t statistics = problem.batch_statistics ? conv.out_channels : 0;
  OutputBuffer y(type, OutputSize(problem));
  OutputBuffer code(max_pool.code_type, max_pool.enabled ? OutputSize(problem) : 0);
  OutputBuffer mean(AccumulationType(type), statistics);
  OutputBuffer variance(AccumulationType(type), statistics);
  OutputBuffer dx(type, InputSize(conv));
  OutputBuffer dfilter(type, conv.filter_size());
  OutputBuffer dbias(type, conv.out_channels);
  Workspace workspace(plan->workspace_bytes(), workspace_fill);

  Conv2DArgs args;
  if (pass != Conv2DPass::kBackwardInput) args.x = x.data();
  if (!backward_filter) args.filter = filter.data();
  if (forward) {
    args.bias = bias.data();
    args.y = y.data();
    args.code = code.data();
    args.mean = mean.data();
    args.variance = variance.data();
  } else {
    args.dy = dy.data();
    args.y = saved_y.mutable_data();
    args.code = saved_code.mutable_data();
  }
  if (pass == Conv2DPass::kBackwardInput) args.dx = dx.data();
  if (backward_filter) {
    args.dfilter = dfilter.data();
    if (want_dbias) args.dbias = dbias.data();
  }

  const Status ran = plan->Execute(args, workspace.data(), pool);
  EXPECT_TRUE(ran.ok()) << ran.message();
  EXPECT_TRUE(workspace.GuardsIntact()) << "wrote outside of the workspace";
  const auto take = [&outputs](const char* name, const OutputBuffer& buffer) {
    EXPECT_TRUE(buffer.GuardsIntact()) << "wrote outside of " << name;
    Append(buffer, &outputs.bytes);
    return buffer.Values();
  };
  if (forward) {
    outputs.y = take("y", y);
    outputs.code = take("code", code);
    outputs.mean = take("mean", mean);
    outputs.variance = take("variance", variance);
  } else if (pass == Conv2DPass::kBackwardInput) {
    outputs.dx = take("dx", dx);
  } else {
    outputs.dfilter = take("dfilter", dfilter);
    if (want_dbias) outputs.dbias = take("dbias", dbias);
  }
  return outputs;
}

}  // namespace fastconv::testing
