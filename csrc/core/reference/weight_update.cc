#include "core/reference/weight_update.h"

#include <cmath>

namespace fastconv::reference {
namespace {

// tf.maximum
template <class T>
T Maximum(T a, T b) {
  if (std::isnan(a) || std::isnan(b)) return a + b;
  return a < b ? b : a;
}

template <class T>
T MovingAverage(T rho, T rest, T average, T value) {
  const T kept = rho * average;
  const T added = rest * value;
  return kept + added;
}

template <class T>
T MovedTowards(T average, T value, T share) {
  const T step = (value - average) * share;
  return average + step;
}

}  // namespace

template <class T>
Weight<T> UpdateWeight(UpdateRule rule, Weight<T> weight, T gradient,
                       const std::vector<T>& factors) {
  T& w = weight.value;
  std::vector<T>& slots = weight.slots;
  const T rate = factors[0];
  const T scaled = rate * gradient;
  const T square = gradient * gradient;
  switch (rule) {
    case UpdateRule::kSgd:
      w = w - scaled;
      break;
    case UpdateRule::kMomentum:
    case UpdateRule::kNesterov: {
      const T kept = slots[0] * factors[1];
      slots[0] = kept - scaled;
      const T ahead = slots[0] * factors[1];
      w = w + (rule == UpdateRule::kNesterov ? ahead - scaled : slots[0]);
      break;
    }
    case UpdateRule::kRmsprop:
    case UpdateRule::kRmspropMomentum:
    case UpdateRule::kCenteredRmsprop:
    case UpdateRule::kCenteredRmspropMomentum: {
      const T rho = factors[1], rest = factors[2], epsilon = factors[3];
      T& velocity = slots.front();
      velocity = MovingAverage(rho, rest, velocity, square);
      T variance = velocity;
      if (rule == UpdateRule::kCenteredRmsprop || rule == UpdateRule::kCenteredRmspropMomentum) {
        slots[1] = MovingAverage(rho, rest, slots[1], gradient);
        const T mean_square = slots[1] * slots[1];
        variance = variance - mean_square;
      }
      T step = scaled / std::sqrt(variance + epsilon);
      if (rule == UpdateRule::kRmspropMomentum || rule == UpdateRule::kCenteredRmspropMomentum) {
        const T kept = factors[4] * slots.back();
        step = kept + step;
        slots.back() = step;
      }
      w = w - step;
      break;
    }
    case UpdateRule::kAdadelta: {
      const T rho = factors[1], rest = factors[2], epsilon = factors[3];
      slots[0] = MovingAverage(rho, rest, slots[0], square);
      const T unscaled = std::sqrt(slots[1] + epsilon) * gradient;
      const T step = -(unscaled / std::sqrt(slots[0] + epsilon));
      const T step_square = step * step;
      slots[1] = MovingAverage(rho, rest, slots[1], step_square);
      const T scaled_step = rate * step;
      w = w + scaled_step;
      break;
    }
    case UpdateRule::kAdagrad:
      slots[0] = slots[0] + square;
      w = w - scaled / std::sqrt(slots[0] + factors[1]);
      break;
    case UpdateRule::kAdam:
    case UpdateRule::kAmsgrad: {
      slots[0] = MovedTowards(slots[0], gradient, factors[1]);
      slots[1] = MovedTowards(slots[1], square, factors[2]);
      if (rule == UpdateRule::kAmsgrad) slots[2] = Maximum(slots[2], slots[1]);
      const T scaled_mean = slots[0] * rate;
      w = w - scaled_mean / (std::sqrt(slots.back()) + factors[3]);
      break;
    }
    case UpdateRule::kAdamax: {
      slots[0] = MovedTowards(slots[0], gradient, factors[1]);
      slots[1] = Maximum(factors[2] * slots[1], std::fabs(gradient));
      const T scaled_mean = rate * slots[0];
      w = w - scaled_mean / (factors[4] * (slots[1] + factors[3]));
      break;
    }
    case UpdateRule::kNadam: {
      slots[0] = MovedTowards(slots[0], gradient, factors[1]);
      slots[1] = MovedTowards(slots[1], square, factors[2]);
      const T next = factors[4] * slots[0] / factors[5];
      const T now = factors[6] * gradient / factors[7];
      const T scaled_mean = (next + now) * rate;
      w = w - scaled_mean / (std::sqrt(slots[1] / factors[8]) + factors[3]);
      break;
    }
  }
  return weight;
}

template Weight<float> UpdateWeight(UpdateRule, Weight<float>, float, const std::vector<float>&);
template Weight<double> UpdateWeight(UpdateRule, Weight<double>, double,
                                     const std::vector<double>&);

}  // namespace fastconv::reference
