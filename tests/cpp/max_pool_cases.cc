#include "max_pool_cases.h"

#include <limits>

#include "conv2d_cases.h"
#include "element_types.h"
#include "expectation.h"

namespace fastconv::testing {

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

MaxPoolProblem MakeMaxPoolProblem(const MaxPoolCase& pool_case, DataType type) {
  MaxPoolProblem problem;
  problem.dtype = type;
  problem.batch = pool_case.batch;
  problem.channels = pool_case.channels;
  problem.pool = ParseMaxPool(pool_case.pool, pool_case.height, pool_case.width);
  return problem;
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

}  // namespace fastconv::testing
