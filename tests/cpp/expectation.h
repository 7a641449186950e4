// What a kernel should give and how far off it may be; comparisons that say where it is not.
#ifndef FASTCONV_TESTS_CPP_EXPECTATION_H_
#define FASTCONV_TESTS_CPP_EXPECTATION_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/problem.h"
#include "core/reference/epilogue.h"

namespace fastconv::testing {

// Two ways to choose the numbers of a test.
enum class Regime {
  // Rounding errors happen; results lie within derived bounds.
  kRandom,
  // Small integers: every intermediate is exact, so every bit of the results counts, ties included.
  kExact,
};

struct Expectation {
  std::vector<double> values;
  std::vector<double> bounds;
};

// Of values that every intermediate step represents exactly: rounded to the accumulation type, then
// to `type`; bounds 0.
Expectation ExactExpectation(DataType type, const std::vector<double>& values);

// Values with the bound of sums of `terms` products whose magnitudes sum up to `magnitudes`.
Expectation ExpectSums(DataType type, const std::vector<double>& values, double terms,
                       const std::vector<double>& magnitudes);

// The output of a block: its pooled or plain values, and what pooling is judged by.
struct BlockExpectation {
  Expectation y;
  Expectation map;                        // before pooling
  std::vector<reference::PoolCode> code;  // of y; empty without pooling
};

// a, off by at most `bounds`, through the epilogue. With Regime::kExact the bounds are not looked
// at.
BlockExpectation ExpectBlock(DataType type, const Epilogue& epilogue, int64_t batch,
                             int64_t channels, Regime regime, const Expectation& a);

// Each value within its bound; NaN only where NaN is expected.
::testing::AssertionResult Matches(const Expectation& expected, const std::vector<double>& actual);

// The bounds are small against the values, so that Matches means something.
::testing::AssertionResult BoundsAreMeaningful(const Expectation& expected);

// Codes as the library encodes them.
double EncodeCode(DataType code_type, const reference::PoolCode& code);
reference::PoolCode DecodeCode(DataType code_type, double encoded);
std::vector<double> EncodeCodes(DataType code_type, const std::vector<reference::PoolCode>& codes);

// With Regime::kExact the codes equal the reference's. Else each points to a value of the map that
// may be the maximum, and tells its sign unless that is open. Where neither sign nor position can
// matter (see the implementation) any position inside the window passes.
::testing::AssertionResult CodesMatch(const Epilogue& epilogue, int64_t batch, int64_t channels,
                                      Regime regime, const BlockExpectation& expected,
                                      const std::vector<double>& encoded);

// Distinct, reproducible random numbers per name.
class Random {
 public:
  explicit Random(const std::string& name);

  double Uniform(double low, double high);
  int64_t Integer(int64_t low, int64_t high);  // both included
  std::vector<double> Uniforms(int64_t count, double low, double high);
  std::vector<double> Integers(int64_t count, int64_t low, int64_t high);

 private:
  uint64_t Next();

  uint64_t state_;
};

std::vector<double> Magnitudes(std::vector<double> values);

// `name` with everything but letters and digits replaced by underscores.
std::string TestName(std::string name);

}  // namespace fastconv::testing

#endif  // FASTCONV_TESTS_CPP_EXPECTATION_H_
