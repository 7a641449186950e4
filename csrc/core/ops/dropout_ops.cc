// Stand-alone dropout, which is its own gradient.
#include <vector>

#include "core/cuda/dropout.h"
#include "core/dropout.h"
#include "core/ops/attrs.h"
#include "core/ops/families.h"
#include "core/ops/op.h"
#include "core/ops/tensor_checks.h"

namespace fastconv {
namespace {

// x, dropout_rate, dropout_seed -> y
class DropoutOp final : public Op {
 public:
  Status Init(const AttrReader&) override {
    block_.dropout = DropoutKind::kElements;
    return Status();
  }

  Status InferOutputs(const std::vector<TensorSpec>& inputs,
                      std::vector<TensorSpec>* outputs) const override {
    FASTCONV_RETURN_IF_ERROR(CheckFloating("x", inputs[0]));
    FASTCONV_RETURN_IF_ERROR(block_.CheckDropout(inputs));
    *outputs = {inputs[0]};
    return Status();
  }

  Status Run(const std::vector<TensorView>& inputs, const std::vector<TensorView>& outputs,
             const OpContext& context) const override {
    DropoutSpec spec;
    FASTCONV_RETURN_IF_ERROR(block_.ReadDropout(inputs, &spec));
    const TensorSpec& x = inputs[0].spec;
    Dropout(x.dtype, spec, x.elements(), inputs[0].data, outputs[0].data, context.pool);
    return Status();
  }

#ifdef FASTCONV_WITH_CUDA
  Status RunOnStream(const std::vector<TensorView>& inputs, const std::vector<TensorView>& outputs,
                     const StreamContext& context) const override {
    const TensorSpec& x = inputs[0].spec;
    return cuda::Dropout(x.dtype, x.elements(), inputs[0].data, outputs[0].data,
                         BlockAttrs::DropoutInputsOf(inputs), context.stream);
  }
#endif

 private:
  BlockAttrs block_;
};

}  // namespace

std::vector<OpDefinition> DropoutOps() {
  return {{"Dropout", {}, 3, 1, MakeOp<DropoutOp>, /*in_place_input=*/0, kRunsOnStream}};
}

}  // namespace fastconv
