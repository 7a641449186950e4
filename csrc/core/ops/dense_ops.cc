// FusedDense and its two gradients.
#include <memory>
#include <vector>

#include "core/dense.h"
#include "core/ops/attrs.h"
#include "core/ops/families.h"
#include "core/ops/op.h"
#include "core/ops/tensor_checks.h"
#include "core/ops/workspace.h"

namespace fastconv {
namespace {

class FusedDenseOpBase : public Op {
 public:
  Status Init(const AttrReader& attrs) override { return activation_.Read(attrs); }

 protected:
  Status MakeProblem(const TensorSpec& x, const TensorSpec& kernel,
                     FusedDenseProblem* problem) const {
    std::vector<int64_t> x_dims, kernel_dims;
    FASTCONV_RETURN_IF_ERROR(CheckFloating("x", x));
    FASTCONV_RETURN_IF_ERROR(GetDims("x", x, 2, &x_dims));
    FASTCONV_RETURN_IF_ERROR(GetDims("kernel", kernel, 2, &kernel_dims));
    FASTCONV_RETURN_IF_ERROR(
        CheckTensor("kernel", kernel, MakeSpec(x.dtype, {x_dims[1], kUnknown})));
    problem->dtype = x.dtype;
    problem->batch = x_dims[0];
    problem->inputs = x_dims[1];
    problem->units = kernel_dims[1];
    activation_.Set(&problem->epilogue);
    if (problem->inputs != 0 && kernel_dims[0] != 0 && problem->units != 0) return Status();
    return InvalidArgument("kernel must have inputs and units. Received: x of shape " +
                           ToString(x) + ", kernel of shape " + ToString(kernel));
  }

  // The problem of a gradient op, after checks of its inputs x, kernel, y, dy.
  Status MakeGradientProblem(const std::vector<TensorSpec>& inputs,
                             FusedDenseProblem* problem) const {
    FASTCONV_RETURN_IF_ERROR(MakeProblem(inputs[0], inputs[1], problem));
    const TensorSpec y = Y(*problem), absent = MakeSpec(problem->dtype, {0});
    FASTCONV_RETURN_IF_ERROR(CheckTensor("y", inputs[2], ReadsY() ? y : absent));
    return CheckTensor("dy", inputs[3], y);
  }

  FusedDenseArgs GradientArgs(const std::vector<TensorView>& inputs) const {
    FusedDenseArgs args;
    if (ReadsY()) args.y = inputs[2].data;
    args.dy = inputs[3].data;
    return args;
  }

  static TensorSpec Y(const FusedDenseProblem& problem) {
    return MakeSpec(problem.dtype, {problem.batch, problem.units});
  }

  static Status RunPass(DensePass pass, const FusedDenseProblem& problem,
                        const FusedDenseArgs& args, const OpContext& context) {
    const std::unique_ptr<FusedDensePlan> plan =
        MakeFusedDensePlan(pass, problem, context.pool->num_threads());
    void* workspace = nullptr;
    FASTCONV_RETURN_IF_ERROR(
        AllocateWorkspace(context.scratch, plan->workspace_bytes(), &workspace));
    plan->Execute(args, workspace, context.pool);
    return Status();
  }

 private:
  bool ReadsY() const { return activation_.kind != Activation::kLinear; }

  ActivationAttrs activation_;
};

// x, kernel, bias -> y
class FusedDenseOp final : public FusedDenseOpBase {
 public:
  Status InferOutputs(const std::vector<TensorSpec>& inputs,
                      std::vector<TensorSpec>* outputs) const override {
    FusedDenseProblem problem;
    FASTCONV_RETURN_IF_ERROR(MakeProblem(inputs[0], inputs[1], &problem));
    FASTCONV_RETURN_IF_ERROR(
        CheckOptional("bias", inputs[2], MakeSpec(problem.dtype, {problem.units})));
    *outputs = {Y(problem)};
    return Status();
  }

  Status Run(const std::vector<TensorView>& inputs, const std::vector<TensorView>& outputs,
             const OpContext& context) const override {
    FusedDenseProblem problem;
    FASTCONV_RETURN_IF_ERROR(MakeProblem(inputs[0].spec, inputs[1].spec, &problem));
    problem.epilogue.has_bias = !IsAbsent(inputs[2].spec);
    FusedDenseArgs args;
    args.x = inputs[0].data;
    args.kernel = inputs[1].data;
    if (problem.epilogue.has_bias) args.bias = inputs[2].data;
    args.y = outputs[0].data;
    return RunPass(DensePass::kForward, problem, args, context);
  }
};

// x (shape only), kernel, y, dy -> dx
class FusedDenseBackpropInputOp final : public FusedDenseOpBase {
 public:
  Status InferOutputs(const std::vector<TensorSpec>& inputs,
                      std::vector<TensorSpec>* outputs) const override {
    FusedDenseProblem problem;
    FASTCONV_RETURN_IF_ERROR(MakeGradientProblem(inputs, &problem));
    *outputs = {MakeSpec(problem.dtype, {problem.batch, problem.inputs})};
    return Status();
  }

  Status Run(const std::vector<TensorView>& inputs, const std::vector<TensorView>& outputs,
             const OpContext& context) const override {
    FusedDenseProblem problem;
    FASTCONV_RETURN_IF_ERROR(MakeProblem(inputs[0].spec, inputs[1].spec, &problem));
    FusedDenseArgs args = GradientArgs(inputs);
    args.kernel = inputs[1].data;
    args.dx = outputs[0].data;
    return RunPass(DensePass::kBackwardInput, problem, args, context);
  }
};

// x, kernel (shape only), y, dy -> dkernel, dbias
class FusedDenseBackpropKernelOp final : public FusedDenseOpBase {
 public:
  Status InferOutputs(const std::vector<TensorSpec>& inputs,
                      std::vector<TensorSpec>* outputs) const override {
    FusedDenseProblem problem;
    FASTCONV_RETURN_IF_ERROR(MakeGradientProblem(inputs, &problem));
    *outputs = {MakeSpec(problem.dtype, {problem.inputs, problem.units}),
                MakeSpec(problem.dtype, {problem.units})};
    return Status();
  }

  Status Run(const std::vector<TensorView>& inputs, const std::vector<TensorView>& outputs,
             const OpContext& context) const override {
    FusedDenseProblem problem;
    FASTCONV_RETURN_IF_ERROR(MakeProblem(inputs[0].spec, inputs[1].spec, &problem));
    FusedDenseArgs args = GradientArgs(inputs);
    args.x = inputs[0].data;
    args.dkernel = outputs[0].data;
    args.dbias = outputs[1].data;
    return RunPass(DensePass::kBackwardKernel, problem, args, context);
  }
};

}  // namespace

std::vector<OpDefinition> DenseOps() {
  const std::vector<AttrSpec> attrs = ActivationAttrs::Specs();
  return {{"FusedDense", attrs, 3, 1, MakeOp<FusedDenseOp>},
          {"FusedDenseBackpropInput", attrs, 4, 1, MakeOp<FusedDenseBackpropInputOp>},
          {"FusedDenseBackpropKernel", attrs, 4, 2, MakeOp<FusedDenseBackpropKernelOp>}};
}

}  // namespace fastconv
