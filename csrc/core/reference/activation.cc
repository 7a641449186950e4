#include "core/reference/activation.h"

namespace fastconv::reference {

double NegativeSlope(Activation activation, float negative_slope) {
  switch (activation) {
    case Activation::kLinear:
      return 1;
    case Activation::kRelu:
      return 0;
    case Activation::kLeakyRelu:
      return negative_slope;
  }
  return 1;
}

double Activate(double value, double slope) {
  if (value > 0) return value;
  if (slope == 0) return value <= 0 ? 0 : value;
  return slope * value;
}

double ActivateBackward(bool positive, double gradient, double slope) {
  if (positive) return gradient;
  return slope == 0 ? 0 : slope * gradient;
}

}  // namespace fastconv::reference
