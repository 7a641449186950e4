// Updates of weights by the rules of Keras's optimizers, in one pass over memory.
#ifndef FASTCONV_CORE_WEIGHT_UPDATE_H_
#define FASTCONV_CORE_WEIGHT_UPDATE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "core/dtype.h"
#include "core/problem.h"
#include "core/status.h"
#include "core/thread_pool.h"

namespace fastconv {

// The formulas are those of `update_step` in keras/src/optimizers, each operation rounded by
// itself. With weight w, gradient g and ' for new values:
//
//   rule                        slots    factors
//   sgd                                  rate                       w' = w - g rate
//   momentum                    m        rate, momentum             m' = m momentum - g rate
//                                                                   w' = w + m'
//   nesterov                    m        rate, momentum             m' likewise
//                                                                   w' = w + (m' momentum - g rate)
//   rmsprop                     v        rate, rho, 1 - rho,        v' = rho v + (1 - rho) g^2
//                                        epsilon                    i = rate g / sqrt(v' + epsilon)
//                                                                   w' = w - i
//   rmsprop_momentum            v, m     the same, momentum         m' = momentum m + i
//                                                                   w' = w - m'
//   centered_rmsprop            v, a     as rmsprop                 a' = rho a + (1 - rho) g
//                                                                   v' - a'^2 for v' in i
//   centered_rmsprop_momentum   v, a, m  as rmsprop_momentum        both
//   adadelta                    v, d     rate, rho, 1 - rho,        v' as rmsprop
//                                        epsilon                    s = -(sqrt(d + epsilon) g /
//                                                                         sqrt(v' + epsilon))
//                                                                   d' = rho d + (1 - rho) s^2
//                                                                   w' = w + rate s
//   adagrad                     v        rate, epsilon              v' = v + g^2
//                                                                   w' = w - rate g /
//                                                                            sqrt(v' + epsilon)
//   adam                        m, v     alpha, 1 - beta_1,         m' = m + (g - m) (1 - beta_1)
//                                        1 - beta_2, epsilon        v' = v + (g^2 - v) (1 - beta_2)
//                                                                   w' = w - m' alpha /
//                                                                            (sqrt(v') + epsilon)
//   amsgrad                     m, v, h  as adam                    h' = max(h, v') for v' in w'
//   adamax                      m, u     rate, 1 - beta_1, beta_2,  m' as adam
//                                        epsilon, 1 - beta_1^t      u' = max(beta_2 u, |g|)
//                                                                   w' = w - rate m' /
//                                                            ((1 - beta_1^t) (u' + epsilon))
//   nadam                       m, v     rate, 1 - beta_1,          m', v' as adam
//                                        1 - beta_2, epsilon,       n = next m' / rest_next +
//                                        next, rest_next,               now g / rest_now
//                                        now, rest_now,             w' = w - n rate /
//                                        1 - beta_2^t                   (sqrt(v' / (1 - beta_2^t))
//                                        +
//                                                                        epsilon)
struct UpdateRuleShape {
  const char* name;
  int64_t slots;
  int64_t factors;
};
const UpdateRuleShape& ShapeOf(UpdateRule rule);
Status ParseUpdateRule(const std::string& name, UpdateRule* rule);

// Weight, slots and gradient have `elements` of a type, float32 or float64, factors the same type.
// A result may be the memory of what it replaces.
struct WeightUpdateArgs {
  const void* weight = nullptr;
  std::vector<const void*> slots;
  const void* gradient = nullptr;
  const void* factors = nullptr;
  void* new_weight = nullptr;
  std::vector<void*> new_slots;
};

void UpdateWeight(UpdateRule rule, DataType dtype, int64_t elements, const WeightUpdateArgs& args,
                  ThreadPool* pool);

}  // namespace fastconv

#endif  // FASTCONV_CORE_WEIGHT_UPDATE_H_
