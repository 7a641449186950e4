// Updates of weights against the reference, bit for bit: the formulas prescribe every rounding.
#include "core/weight_update.h"

#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "buffers.h"
#include "core/reference/weight_update.h"
#include "element_types.h"
#include "expectation.h"
#include "isa.h"
#include "thread_pools.h"

namespace fastconv::testing {
namespace {

constexpr UpdateRule kRules[] = {
    UpdateRule::kSgd,
    UpdateRule::kMomentum,
    UpdateRule::kNesterov,
    UpdateRule::kRmsprop,
    UpdateRule::kRmspropMomentum,
    UpdateRule::kCenteredRmsprop,
    UpdateRule::kCenteredRmspropMomentum,
    UpdateRule::kAdadelta,
    UpdateRule::kAdagrad,
    UpdateRule::kAdam,
    UpdateRule::kAmsgrad,
    UpdateRule::kAdamax,
    UpdateRule::kNadam,
};

// Tails of every vector length, and more than one thread's part.
constexpr int64_t kSizes[] = {0, 1, 7, 16, 31, 1003, 50001};

struct Tensors {
  std::vector<double> weight;
  std::vector<std::vector<double>> slots;
  std::vector<double> gradient;
  std::vector<double> factors;
};

Tensors MakeTensors(UpdateRule rule, DataType type, int64_t size) {
  const UpdateRuleShape& shape = ShapeOf(rule);
  Random random(shape.name + std::to_string(size));
  const auto numbers = [&](int64_t count, double low, double high) {
    return RoundTo(type, random.Uniforms(count, low, high));
  };
  Tensors tensors;
  tensors.weight = numbers(size, -1, 1);
  tensors.gradient = numbers(size, -1, 1);
  // Slots start above gradient^2, so that no root is of a negative number unless a value is one of
  // those below.
  for (int64_t slot = 0; slot < shape.slots; ++slot) {
    tensors.slots.push_back(numbers(size, slot == 0 ? 2 : 0, slot == 0 ? 3 : 1));
  }
  tensors.factors = numbers(shape.factors, 0.25, 0.75);
  constexpr double kSpecial[] = {0.0, -0.0, std::numeric_limits<double>::infinity(),
                                 -std::numeric_limits<double>::infinity(),
                                 std::numeric_limits<double>::quiet_NaN()};
  for (double special : kSpecial) {
    if (size < 100) break;
    tensors.weight[random.Integer(0, size - 1)] = special;
    tensors.gradient[random.Integer(0, size - 1)] = special;
    for (std::vector<double>& slot : tensors.slots) slot[random.Integer(0, size - 1)] = special;
  }
  return tensors;
}

// Weight, then slots, after one step.
template <class T>
std::vector<std::vector<double>> Reference(UpdateRule rule, const Tensors& tensors) {
  std::vector<std::vector<double>> updated(1 + tensors.slots.size());
  const std::vector<T> factors(tensors.factors.begin(), tensors.factors.end());
  for (size_t i = 0; i < tensors.weight.size(); ++i) {
    reference::Weight<T> weight{static_cast<T>(tensors.weight[i]), {}};
    for (const std::vector<double>& slot : tensors.slots) {
      weight.slots.push_back(static_cast<T>(slot[i]));
    }
    weight = reference::UpdateWeight(rule, weight, static_cast<T>(tensors.gradient[i]), factors);
    updated[0].push_back(weight.value);
    for (size_t slot = 0; slot < weight.slots.size(); ++slot) {
      updated[1 + slot].push_back(weight.slots[slot]);
    }
  }
  return updated;
}

using Param = std::tuple<UpdateRule, DataType, Isa>;

class WeightUpdateTest : public ::testing::TestWithParam<Param> {};

TEST_P(WeightUpdateTest, MatchesReference) {
  const auto [rule, type, isa] = GetParam();
  FASTCONV_SKIP_WITHOUT(isa);
  const ScopedMaxIsa max_isa(isa);
  for (int64_t size : kSizes) {
    const Tensors tensors = MakeTensors(rule, type, size);
    const auto expected = type == DataType::kFloat64 ? Reference<double>(rule, tensors)
                                                     : Reference<float>(rule, tensors);
    const InputBuffer weight(type, tensors.weight), gradient(type, tensors.gradient),
        factors(type, tensors.factors);
    std::vector<std::unique_ptr<InputBuffer>> slots;
    for (const std::vector<double>& slot : tensors.slots) {
      slots.push_back(std::make_unique<InputBuffer>(type, slot));
    }
    WithEachPool([&](const std::string& pool_name, ThreadPool* pool) {
      for (bool in_place : {false, true}) {
        SCOPED_TRACE(std::to_string(size) + ", " + pool_name + (in_place ? ", in place" : ""));
        std::vector<OutputBuffer> results;
        for (size_t i = 0; i < expected.size(); ++i) results.emplace_back(type, size);
        WeightUpdateArgs args;
        args.weight = weight.data();
        args.gradient = gradient.data();
        args.factors = factors.data();
        args.new_weight = results[0].data();
        for (size_t slot = 0; slot < slots.size(); ++slot) {
          args.slots.push_back(slots[slot]->data());
          args.new_slots.push_back(results[1 + slot].data());
        }
        if (in_place) {
          const auto copy = [&](const std::vector<double>& values, void* to) {
            for (size_t i = 0; i < values.size(); ++i) Store(type, values[i], to, i);
          };
          copy(tensors.weight, args.new_weight);
          args.weight = args.new_weight;
          for (size_t slot = 0; slot < slots.size(); ++slot) {
            copy(tensors.slots[slot], args.new_slots[slot]);
            args.slots[slot] = args.new_slots[slot];
          }
        }
        UpdateWeight(rule, type, size, args, pool);
        for (size_t i = 0; i < results.size(); ++i) {
          const Expectation exact{expected[i], std::vector<double>(size, 0.0)};
          EXPECT_TRUE(Matches(exact, results[i].Values())) << "result " << i;
          EXPECT_TRUE(results[i].GuardsIntact());
        }
      }
    });
  }
}

std::string ParamName(const ::testing::TestParamInfo<Param>& info) {
  const auto& [rule, type, isa] = info.param;
  return std::string(ShapeOf(rule).name) + "_" + fastconv::Name(type) + "_" + fastconv::Name(isa);
}

INSTANTIATE_TEST_SUITE_P(All, WeightUpdateTest,
                         ::testing::Combine(::testing::ValuesIn(kRules),
                                            ::testing::Values(DataType::kFloat32,
                                                              DataType::kFloat64),
                                            ::testing::ValuesIn(kIsas)),
                         ParamName);

TEST(UpdateRuleTest, NamesAreParsed) {
  for (UpdateRule rule : kRules) {
    UpdateRule parsed = rule == UpdateRule::kSgd ? UpdateRule::kNadam : UpdateRule::kSgd;
    ASSERT_TRUE(ParseUpdateRule(ShapeOf(rule).name, &parsed).ok());
    EXPECT_EQ(parsed, rule);
  }
  UpdateRule rule;
  const Status status = ParseUpdateRule("ftrl", &rule);
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "`rule` must be that of an optimizer. Received: ftrl");
}

}  // namespace
}  // namespace fastconv::testing
