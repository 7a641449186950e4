// Reference updates of weights, as Keras's optimizers write them.
#ifndef FASTCONV_CORE_REFERENCE_WEIGHT_UPDATE_H_
#define FASTCONV_CORE_REFERENCE_WEIGHT_UPDATE_H_

#include <vector>

#include "core/problem.h"

namespace fastconv::reference {

// One weight with its slots, of type float or double: the formulas prescribe each rounding.
template <class T>
struct Weight {
  T value;
  std::vector<T> slots;
};

// What a step of `rule` makes of `weight`, with slots and factors as core/weight_update.h has them.
template <class T>
Weight<T> UpdateWeight(UpdateRule rule, Weight<T> weight, T gradient,
                       const std::vector<T>& factors);

}  // namespace fastconv::reference

#endif  // FASTCONV_CORE_REFERENCE_WEIGHT_UPDATE_H_
