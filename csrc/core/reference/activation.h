// Reference activations, value by value.
#ifndef FASTCONV_CORE_REFERENCE_ACTIVATION_H_
#define FASTCONV_CORE_REFERENCE_ACTIVATION_H_

#include "core/problem.h"

namespace fastconv::reference {

// What a value below or at zero is multiplied by, forward and backward: 1, 0 or negative_slope.
double NegativeSlope(Activation activation, float negative_slope);

// NaN stays NaN, also under relu.
double Activate(double value, double slope);

// Gradient at the input of an activation whose input (or, the slope being >= 0, output) is
// `positive` or not: at zero the slope counts, as in stock TensorFlow.
double ActivateBackward(bool positive, double gradient, double slope);

}  // namespace fastconv::reference

#endif  // FASTCONV_CORE_REFERENCE_ACTIVATION_H_
