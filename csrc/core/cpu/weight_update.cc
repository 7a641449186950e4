#include "core/weight_update.h"

#include <algorithm>

#include "core/cpu/kernels/kernels.h"
#include "core/cpu/workspace.h"

namespace fastconv {
namespace {

struct NamedRule {
  UpdateRule rule;
  UpdateRuleShape shape;
};

constexpr NamedRule kRules[] = {
    {UpdateRule::kSgd, {"sgd", 0, 1}},
    {UpdateRule::kMomentum, {"momentum", 1, 2}},
    {UpdateRule::kNesterov, {"nesterov", 1, 2}},
    {UpdateRule::kRmsprop, {"rmsprop", 1, 4}},
    {UpdateRule::kRmspropMomentum, {"rmsprop_momentum", 2, 5}},
    {UpdateRule::kCenteredRmsprop, {"centered_rmsprop", 2, 4}},
    {UpdateRule::kCenteredRmspropMomentum, {"centered_rmsprop_momentum", 3, 5}},
    {UpdateRule::kAdadelta, {"adadelta", 2, 4}},
    {UpdateRule::kAdagrad, {"adagrad", 1, 2}},
    {UpdateRule::kAdam, {"adam", 2, 4}},
    {UpdateRule::kAmsgrad, {"amsgrad", 3, 4}},
    {UpdateRule::kAdamax, {"adamax", 2, 5}},
    {UpdateRule::kNadam, {"nadam", 2, 9}},
};

}  // namespace

const UpdateRuleShape& ShapeOf(UpdateRule rule) {
  return std::find_if(std::begin(kRules), std::end(kRules),
                      [rule](const NamedRule& named) { return named.rule == rule; })
      ->shape;
}

Status ParseUpdateRule(const std::string& name, UpdateRule* rule) {
  for (const NamedRule& named : kRules) {
    if (name == named.shape.name) {
      *rule = named.rule;
      return Status();
    }
  }
  return InvalidArgument("`rule` must be that of an optimizer. Received: " + name);
}

void UpdateWeight(UpdateRule rule, DataType dtype, int64_t elements, const WeightUpdateArgs& args,
                  ThreadPool* pool) {
  constexpr int64_t kItem = 32 << 10;  // elements; less is not worth waking a thread
  const cpu::Kernels& kernels = cpu::GetKernels(ActiveIsa(), dtype);
  ParallelFor(pool, pool->num_threads(), (elements + kItem - 1) / kItem, [&](int64_t item, int) {
    const int64_t first = item * kItem;
    const int64_t size = SizeOf(dtype);
    cpu::UpdateWeightArgs part{};
    part.rule = rule;
    part.weight = cpu::At(args.weight, first, size);
    part.gradient = cpu::At(args.gradient, first, size);
    part.factors = args.factors;
    part.new_weight = cpu::At(args.new_weight, first, size);
    for (size_t slot = 0; slot < args.slots.size(); ++slot) {
      part.slots[slot] = cpu::At(args.slots[slot], first, size);
      part.new_slots[slot] = cpu::At(args.new_slots[slot], first, size);
    }
    part.elements = std::min(kItem, elements - first);
    kernels.update_weight(part);
  });
}

}  // namespace fastconv
