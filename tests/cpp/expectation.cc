#include "expectation.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <utility>

#include "core/reference/activation.h"
#include "element_types.h"
#include "tolerances.h"

namespace fastconv::testing {
namespace {

uint32_t SignBit(DataType code_type) { return code_type == DataType::kUint8 ? 0x80u : 0x80000000u; }

// Calls visit(cell, map_index, position) for every position of every window that is not padding.
template <typename Visit>
void ForEachWindowPosition(const MaxPoolSpec& pool, int64_t batch, int64_t channels,
                           const Visit& visit) {
  int64_t cell = 0;
  for (int64_t n = 0; n < batch; ++n) {
    for (int64_t i = 0; i < pool.window.h.out; ++i) {
      for (int64_t j = 0; j < pool.window.w.out; ++j) {
        for (int64_t channel = 0; channel < channels; ++channel, ++cell) {
          for (int64_t position = 0; position < pool.positions(); ++position) {
            const int64_t index = reference::MapIndex(pool, channels, n, i, j, channel, position);
            if (index >= 0) visit(cell, index, position);
          }
        }
      }
    }
  }
}

}  // namespace

Expectation ExactExpectation(DataType type, const std::vector<double>& values) {
  return {RoundTo(type, RoundTo(AccumulationType(type), values)),
          std::vector<double>(values.size())};
}

Expectation ExpectSums(DataType type, const std::vector<double>& values, double terms,
                       const std::vector<double>& magnitudes) {
  Expectation expected;
  expected.values = values;
  for (size_t index = 0; index < values.size(); ++index) {
    expected.bounds.push_back(
        StoredBound(type, values[index], SumBound(type, terms, magnitudes[index])));
  }
  return expected;
}

BlockExpectation ExpectBlock(DataType type, const Epilogue& epilogue, int64_t batch,
                             int64_t channels, Regime regime, const Expectation& a) {
  const double slope = reference::NegativeSlope(epilogue.activation, epilogue.negative_slope);
  reference::EpilogueOutput output =
      reference::EpilogueForward(epilogue, batch, channels, a.values);
  BlockExpectation expected;
  expected.code = output.code;
  if (regime == Regime::kExact) {
    expected.map = ExactExpectation(type, output.map);
    expected.y = ExactExpectation(type, output.y);
    return expected;
  }
  expected.map.bounds.resize(output.map.size());
  for (size_t index = 0; index < output.map.size(); ++index) {
    const double value = output.map[index];
    expected.map.bounds[index] =
        StoredBound(type, value, ActivationBound(type, slope, value, a.bounds[index]));
  }
  expected.map.values = std::move(output.map);
  if (!epilogue.pool.enabled) {
    expected.y = expected.map;
    return expected;
  }
  // A maximum of values is off by no more than the worst of them.
  expected.y.values = std::move(output.y);
  expected.y.bounds.resize(expected.y.values.size());
  ForEachWindowPosition(
      epilogue.pool, batch, channels, [&](int64_t cell, int64_t index, int64_t /*position*/) {
        expected.y.bounds[cell] = std::max(expected.y.bounds[cell], expected.map.bounds[index]);
      });
  return expected;
}

::testing::AssertionResult Matches(const Expectation& expected, const std::vector<double>& actual) {
  if (actual.size() != expected.values.size()) {
    return ::testing::AssertionFailure()
           << actual.size() << " values instead of " << expected.values.size();
  }
  size_t wrong = 0;
  size_t first_wrong = 0;
  double worst = 0;
  for (size_t index = 0; index < actual.size(); ++index) {
    const double want = expected.values[index];
    if (std::isnan(want) ? std::isnan(actual[index]) : actual[index] == want) continue;
    const double error = std::fabs(actual[index] - want);
    // A comparison with NaN is false, hence the negation.
    if (!(error <= expected.bounds[index])) {
      if (wrong++ == 0) first_wrong = index;
      worst = std::max(worst, std::isnan(error) ? INFINITY : error / expected.bounds[index]);
    }
  }
  if (wrong == 0) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure()
         << wrong << " of " << actual.size() << " values are wrong, the first at index "
         << first_wrong << ": " << actual[first_wrong] << " instead of "
         << expected.values[first_wrong] << " +- " << expected.bounds[first_wrong]
         << "; the worst error is " << worst << " times its bound";
}

::testing::AssertionResult BoundsAreMeaningful(const Expectation& expected) {
  double largest_bound = 0;
  double largest_value = 0;
  for (size_t index = 0; index < expected.values.size(); ++index) {
    largest_bound = std::max(largest_bound, expected.bounds[index]);
    largest_value = std::max(largest_value, std::fabs(expected.values[index]));
  }
  // All zeros: empty, or a relu without any positive input.
  if (largest_value == 0 || largest_bound < kLargestBoundFraction * largest_value) {
    return ::testing::AssertionSuccess();
  }
  return ::testing::AssertionFailure()
         << "a bound of " << largest_bound << " says little about values up to " << largest_value;
}

double EncodeCode(DataType code_type, const reference::PoolCode& code) {
  const uint32_t bits =
      static_cast<uint32_t>(code.position) | (code.positive ? SignBit(code_type) : 0u);
  return code_type == DataType::kUint8 ? static_cast<double>(bits)
                                       : static_cast<double>(static_cast<int32_t>(bits));
}

reference::PoolCode DecodeCode(DataType code_type, double encoded) {
  const auto bits = static_cast<uint32_t>(static_cast<int64_t>(encoded));
  reference::PoolCode code;
  code.position = bits & (SignBit(code_type) - 1);
  code.positive = (bits & SignBit(code_type)) != 0;
  return code;
}

std::vector<double> EncodeCodes(DataType code_type, const std::vector<reference::PoolCode>& codes) {
  std::vector<double> encoded;
  for (const reference::PoolCode& code : codes) encoded.push_back(EncodeCode(code_type, code));
  return encoded;
}

::testing::AssertionResult CodesMatch(const Epilogue& epilogue, int64_t batch, int64_t channels,
                                      Regime regime, const BlockExpectation& expected,
                                      const std::vector<double>& encoded) {
  const MaxPoolSpec& pool = epilogue.pool;
  if (encoded.size() != expected.code.size()) {
    return ::testing::AssertionFailure()
           << encoded.size() << " codes instead of " << expected.code.size();
  }
  const double slope = reference::NegativeSlope(epilogue.activation, epilogue.negative_slope);
  std::vector<reference::PoolCode> code;
  for (double value : encoded) code.push_back(DecodeCode(pool.code_type, value));
  // Whether the position in the code is one of the window and not padding, with a value that may be
  // the maximum.
  std::vector<bool> valid(code.size());
  ForEachWindowPosition(pool, batch, channels, [&](int64_t cell, int64_t index, int64_t position) {
    if (code[cell].position != position) return;
    const double want = expected.y.values[cell];
    valid[cell] = regime == Regime::kExact
                      ? position == expected.code[cell].position
                      : expected.map.values[index] == want ||
                            expected.map.values[index] >=
                                want - expected.y.bounds[cell] - expected.map.bounds[index];
  });
  for (size_t cell = 0; cell < code.size(); ++cell) {
    const double maximum = expected.y.values[cell];
    const bool inside = code[cell].position < pool.positions();
    // Under relu, a window without a positive value passes no gradient, wherever it points to; the
    // position of -inf is open where only NaN or padding come before it.
    const bool position_matters = !(slope == 0 && maximum <= 0) && maximum != -INFINITY;
    const bool sign_matters =
        regime == Regime::kExact || std::fabs(maximum) > expected.y.bounds[cell];
    const bool position_ok = position_matters ? valid[cell] : inside;
    const bool sign_ok = !sign_matters || code[cell].positive == (maximum > 0);
    if (position_ok && sign_ok) continue;
    return ::testing::AssertionFailure()
           << "code at index " << cell << ": position " << code[cell].position
           << (code[cell].positive ? ", positive" : ", not positive") << " instead of position "
           << expected.code[cell].position
           << (expected.code[cell].positive ? ", positive" : ", not positive")
           << "; the maximum is " << maximum << " +- " << expected.y.bounds[cell];
  }
  return ::testing::AssertionSuccess();
}

Random::Random(const std::string& name) : state_(14695981039346656037u) {
  for (char letter : name) state_ = (state_ ^ static_cast<uint8_t>(letter)) * 1099511628211u;
}

// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
uint64_t Random::Next() {
  uint64_t z = state_ += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

double Random::Uniform(double low, double high) {
  return low + (high - low) * std::ldexp(static_cast<double>(Next() >> 11), -53);
}

int64_t Random::Integer(int64_t low, int64_t high) {
  return low + static_cast<int64_t>(Next() % static_cast<uint64_t>(high - low + 1));
}

std::vector<double> Random::Uniforms(int64_t count, double low, double high) {
  std::vector<double> values(count);
  for (double& value : values) value = Uniform(low, high);
  return values;
}

std::vector<double> Random::Integers(int64_t count, int64_t low, int64_t high) {
  std::vector<double> values(count);
  for (double& value : values) value = static_cast<double>(Integer(low, high));
  return values;
}

std::vector<double> Magnitudes(std::vector<double> values) {
  for (double& value : values) value = std::fabs(value);
  return values;
}

std::string TestName(std::string name) {
  for (char& letter : name) {
    if (!std::isalnum(static_cast<unsigned char>(letter))) letter = '_';
  }
  return name;
}

}  // namespace fastconv::testing
