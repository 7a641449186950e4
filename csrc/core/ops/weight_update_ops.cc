// A step of an optimizer over one weight.
#include <string>
#include <vector>

#include "core/ops/families.h"
#include "core/ops/op.h"
#include "core/ops/tensor_checks.h"
#include "core/weight_update.h"

namespace fastconv {
namespace {

// weight, slots, gradient, factors -> weight, slots; results may be in place.
class UpdateWeightOp final : public Op {
 public:
  Status Init(const AttrReader& attrs) override {
    std::string name;
    FASTCONV_RETURN_IF_ERROR(attrs.GetString("rule", &name));
    return ParseUpdateRule(name, &rule_);
  }

  Status InferOutputs(const std::vector<TensorSpec>& inputs,
                      std::vector<TensorSpec>* outputs) const override {
    const UpdateRuleShape& rule = ShapeOf(rule_);
    const int64_t slots = static_cast<int64_t>(inputs.size()) - 3;
    if (slots != rule.slots) {
      return InvalidArgument("`slots` of rule " + std::string(rule.name) + " must be " +
                             std::to_string(rule.slots) + ". Received: " + std::to_string(slots));
    }
    const TensorSpec& weight = inputs[0];
    if (weight.dtype != DataType::kFloat32 && weight.dtype != DataType::kFloat64) {
      return InvalidArgument("weight must be of type float32 or float64. Received: " +
                             std::string(Name(weight.dtype)));
    }
    for (int64_t slot = 0; slot < slots; ++slot) {
      FASTCONV_RETURN_IF_ERROR(CheckTensor("a slot", inputs[1 + slot], weight));
    }
    FASTCONV_RETURN_IF_ERROR(CheckTensor("gradient", inputs[1 + slots], weight));
    FASTCONV_RETURN_IF_ERROR(
        CheckTensor("factors", inputs[2 + slots], MakeSpec(weight.dtype, {rule.factors})));
    outputs->assign(1 + slots, weight);
    return Status();
  }

  Status Run(const std::vector<TensorView>& inputs, const std::vector<TensorView>& outputs,
             const OpContext& context) const override {
    const size_t slots = outputs.size() - 1;
    WeightUpdateArgs args;
    args.weight = inputs[0].data;
    args.new_weight = outputs[0].data;
    for (size_t slot = 1; slot <= slots; ++slot) {
      args.slots.push_back(inputs[slot].data);
      args.new_slots.push_back(outputs[slot].data);
    }
    args.gradient = inputs[1 + slots].data;
    args.factors = inputs[2 + slots].data;
    const TensorSpec& weight = inputs[0].spec;
    UpdateWeight(rule_, weight.dtype, weight.elements(), args, context.pool);
    return Status();
  }

 private:
  UpdateRule rule_ = UpdateRule::kSgd;
};

}  // namespace

std::vector<OpDefinition> WeightUpdateOps() {
  return {{"UpdateWeight",
           {{"rule", AttrKind::kString}},
           kVariesByAttribute,
           kVariesByAttribute,
           MakeOp<UpdateWeightOp>}};
}

}  // namespace fastconv
