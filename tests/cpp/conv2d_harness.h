// Numbers for a convolution problem, what its passes should give, and how to run them.
#ifndef FASTCONV_TESTS_CPP_CONV2D_HARNESS_H_
#define FASTCONV_TESTS_CPP_CONV2D_HARNESS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "core/conv2d.h"
#include "core/cpu_features.h"
#include "core/problem.h"
#include "core/thread_pool.h"
#include "expectation.h"

namespace fastconv::testing {

// What the passes read, as numbers of the problem's type; y and the encoded code are those of the
// reference. What the problem lacks is empty.
struct Conv2DInputs {
  std::vector<double> x;
  std::vector<double> filter;
  std::vector<double> bias;
  std::vector<double> y;
  std::vector<double> code;
  std::vector<double> dy;
};

struct Conv2DExpectations {
  BlockExpectation forward;
  Expectation dx;
  Expectation dfilter;
  Expectation dbias;
};

struct Conv2DScenario {
  FusedConv2DProblem problem;
  Regime regime;
  Conv2DInputs inputs;
  Conv2DExpectations expected;
};

// With Regime::kExact a slope that is no multiple of 1/4 is replaced by 1/4.
Conv2DScenario MakeConv2DScenario(const std::string& name, FusedConv2DProblem problem,
                                  Regime regime);

// What a pass wrote, as values and, all of it together, as bytes.
struct Conv2DOutputs {
  std::string implementation;
  std::vector<double> y, code, mean, variance, dx, dfilter, dbias;
  std::vector<uint8_t> bytes;
};

// The implementations of an instruction set that are able to do the problem.
std::vector<std::string> ImplementationsOf(Conv2DPass pass, const FusedConv2DProblem& problem,
                                           Isa isa);
// The one that takes every problem, and computes sums of products as they are defined.
std::string GeneralImplementation(Isa isa);

// Plans and runs a pass for the threads of `pool`, and checks status and guards. `implementation`
// as in MakeConv2DPlan, `want_dbias` as in Conv2DArgs.
Conv2DOutputs RunConv2D(Conv2DPass pass, const FusedConv2DProblem& problem,
                        const Conv2DInputs& inputs, ThreadPool* pool, uint8_t workspace_fill,
                        const std::string& implementation = "", bool want_dbias = true);

// Whether results of an implementation are judged as Winograd's (tolerances.h).
bool IsWinograd(const std::string& implementation);
// The expectation of a sum of products, for Winograd: bounds from the root mean square of `values`,
// which are the expected ones before activation and pooling.
Expectation WinogradExpectation(DataType type, Expectation expected,
                                const std::vector<double>& values);
BlockExpectation WinogradExpectation(DataType type, BlockExpectation expected,
                                     const std::vector<double>& values);
// The relative L2 norm of the error.
::testing::AssertionResult MatchesInNorm(DataType type, const std::vector<double>& expected,
                                         const std::vector<double>& actual);
// The convolution's output with bias, before activation and pooling.
std::vector<double> ConvolutionOutput(const FusedConv2DProblem& problem,
                                      const Conv2DInputs& inputs);

}  // namespace fastconv::testing

#endif  // FASTCONV_TESTS_CPP_CONV2D_HARNESS_H_
