// FusedConv2D, its two gradients, and the convolution that also yields batch statistics.
#include <memory>
#include <utility>

#include "core/conv2d.h"
#include "core/cuda/conv2d.h"
#include "core/ops/attrs.h"
#include "core/ops/families.h"
#include "core/ops/op.h"
#include "core/ops/tensor_checks.h"
#include "core/ops/workspace.h"

namespace fastconv {
namespace {

std::vector<int64_t> MapDims(const Conv2DProblem& conv) {
  return {conv.batch, conv.window.h.out, conv.window.w.out, conv.out_channels};
}

Status RunPass(Conv2DPass pass, const FusedConv2DProblem& problem, const Conv2DArgs& args,
               const OpContext& context) {
  std::unique_ptr<Conv2DPlan> plan;
  FASTCONV_RETURN_IF_ERROR(MakeConv2DPlan(pass, problem, context.pool->num_threads(), &plan));
  void* workspace = nullptr;
  FASTCONV_RETURN_IF_ERROR(AllocateWorkspace(context.scratch, plan->workspace_bytes(), &workspace));
  return plan->Execute(args, workspace, context.pool);
}

#ifdef FASTCONV_WITH_CUDA
Status RunPassOnStream(Conv2DPass pass, const FusedConv2DProblem& problem, const Conv2DArgs& args,
                       const cuda::DropoutInputs& dropout, const StreamContext& context) {
  const auto precision =
      context.allow_tf32 ? cuda::FloatPrecision::kTf32 : cuda::FloatPrecision::kFloat32;
  return cuda::RunConv2D(pass, problem, args, dropout, precision, context.workspace,
                         context.stream);
}
#endif

class FusedConv2DOpBase : public Op {
 public:
  Status Init(const AttrReader& attrs) override {
    FASTCONV_RETURN_IF_ERROR(conv_.Read(attrs));
    return block_.Read(attrs);
  }

 protected:
  Status MakeProblem(const TensorSpec& x, const TensorSpec& filter,
                     FusedConv2DProblem* problem) const {
    FASTCONV_RETURN_IF_ERROR(conv_.MakeProblem(x, filter, &problem->conv));
    const Window2D& window = problem->conv.window;
    return block_.MakeEpilogue(window.h.out, window.w.out, &problem->epilogue);
  }

  // With the values that a problem takes from tensors.
  Status MakeProblem(const std::vector<TensorView>& inputs, FusedConv2DProblem* problem) const {
    FASTCONV_RETURN_IF_ERROR(MakeProblem(inputs[0].spec, inputs[1].spec, problem));
    return block_.ReadDropout(inputs, &problem->epilogue.dropout);
  }

  // Without those values: the kernels read them.
  Status MakeProblemOnStream(const std::vector<TensorSpec>& inputs,
                             FusedConv2DProblem* problem) const {
    FASTCONV_RETURN_IF_ERROR(MakeProblem(inputs[0], inputs[1], problem));
    problem->epilogue.dropout.kind = block_.dropout;
    return Status();
  }

#ifdef FASTCONV_WITH_CUDA
  Status PassWorkspaceBytes(Conv2DPass pass, const std::vector<TensorSpec>& inputs,
                            size_t* bytes) const {
    FusedConv2DProblem problem;
    FASTCONV_RETURN_IF_ERROR(MakeProblemOnStream(inputs, &problem));
    *bytes = cuda::Conv2DWorkspaceBytes(pass, problem);
    return Status();
  }
#endif

  Status CheckDropout(const std::vector<TensorSpec>& inputs) const {
    return block_.CheckDropout(inputs);
  }

  // y, code and dy of a gradient op, from input `first` on.
  Status CheckGradientInputs(const FusedConv2DProblem& problem,
                             const std::vector<TensorSpec>& inputs, size_t first) const {
    const MaxPoolSpec& pool = problem.epilogue.pool;
    const std::vector<int64_t> map = MapDims(problem.conv);
    const TensorSpec y = BlockOutput(problem.conv.dtype, map, pool);
    const TensorSpec absent = MakeSpec(problem.conv.dtype, {0});
    FASTCONV_RETURN_IF_ERROR(CheckTensor("y", inputs[first], ReadsY() ? y : absent));
    FASTCONV_RETURN_IF_ERROR(CheckTensor("code", inputs[first + 1], CodeOutput(map, pool)));
    FASTCONV_RETURN_IF_ERROR(CheckTensor("dy", inputs[first + 2], y));
    return block_.CheckDropout(inputs);
  }

  void SetGradientInputs(const std::vector<TensorView>& inputs, size_t first,
                         Conv2DArgs* args) const {
    if (ReadsY()) args->y = inputs[first].data;
    if (block_.pool.enabled) args->code = inputs[first + 1].data;
    args->dy = inputs[first + 2].data;
  }

 private:
  // Pooled, the codes say all about the activation that its gradient needs.
  bool ReadsY() const {
    return block_.activation.kind != Activation::kLinear && !block_.pool.enabled;
  }

  ConvAttrs conv_;
  BlockAttrs block_;
};

// x, filter, bias, dropout_rate, dropout_seed -> y, code
class FusedConv2DOp final : public FusedConv2DOpBase {
 public:
  Status InferOutputs(const std::vector<TensorSpec>& inputs,
                      std::vector<TensorSpec>* outputs) const override {
    FusedConv2DProblem problem;
    FASTCONV_RETURN_IF_ERROR(MakeProblem(inputs[0], inputs[1], &problem));
    const Conv2DProblem& conv = problem.conv;
    const MaxPoolSpec& pool = problem.epilogue.pool;
    FASTCONV_RETURN_IF_ERROR(
        CheckOptional("bias", inputs[2], MakeSpec(conv.dtype, {conv.out_channels})));
    FASTCONV_RETURN_IF_ERROR(CheckDropout(inputs));
    *outputs = {BlockOutput(conv.dtype, MapDims(conv), pool), CodeOutput(MapDims(conv), pool)};
    return Status();
  }

  Status Run(const std::vector<TensorView>& inputs, const std::vector<TensorView>& outputs,
             const OpContext& context) const override {
    FusedConv2DProblem problem;
    FASTCONV_RETURN_IF_ERROR(MakeProblem(inputs, &problem));
    problem.epilogue.has_bias = !IsAbsent(inputs[2].spec);
    return RunPass(Conv2DPass::kForward, problem, Args(problem, inputs, outputs), context);
  }

#ifdef FASTCONV_WITH_CUDA
  Status RunOnStream(const std::vector<TensorView>& inputs, const std::vector<TensorView>& outputs,
                     const StreamContext& context) const override {
    FusedConv2DProblem problem;
    FASTCONV_RETURN_IF_ERROR(MakeProblemOnStream(SpecsOf(inputs), &problem));
    problem.epilogue.has_bias = !IsAbsent(inputs[2].spec);
    return RunPassOnStream(Conv2DPass::kForward, problem, Args(problem, inputs, outputs),
                           BlockAttrs::DropoutInputsOf(inputs), context);
  }

  Status StreamWorkspaceBytes(const std::vector<TensorSpec>& inputs, size_t* bytes) const override {
    return PassWorkspaceBytes(Conv2DPass::kForward, inputs, bytes);
  }
#endif

 private:
  Conv2DArgs Args(const FusedConv2DProblem& problem, const std::vector<TensorView>& inputs,
                  const std::vector<TensorView>& outputs) const {
    Conv2DArgs args;
    args.x = inputs[0].data;
    args.filter = inputs[1].data;
    if (problem.epilogue.has_bias) args.bias = inputs[2].data;
    args.y = outputs[0].data;
    if (problem.epilogue.pool.enabled) args.code = outputs[1].data;
    return args;
  }
};

// x (shape only), filter, y, code, dy, dropout_rate, dropout_seed -> dx
class FusedConv2DBackpropInputOp final : public FusedConv2DOpBase {
 public:
  Status InferOutputs(const std::vector<TensorSpec>& inputs,
                      std::vector<TensorSpec>* outputs) const override {
    FusedConv2DProblem problem;
    FASTCONV_RETURN_IF_ERROR(MakeProblem(inputs[0], inputs[1], &problem));
    FASTCONV_RETURN_IF_ERROR(CheckGradientInputs(problem, inputs, 2));
    *outputs = {inputs[0]};
    return Status();
  }

  Status Run(const std::vector<TensorView>& inputs, const std::vector<TensorView>& outputs,
             const OpContext& context) const override {
    FusedConv2DProblem problem;
    FASTCONV_RETURN_IF_ERROR(MakeProblem(inputs, &problem));
    return RunPass(Conv2DPass::kBackwardInput, problem, Args(inputs, outputs), context);
  }

#ifdef FASTCONV_WITH_CUDA
  Status RunOnStream(const std::vector<TensorView>& inputs, const std::vector<TensorView>& outputs,
                     const StreamContext& context) const override {
    FusedConv2DProblem problem;
    FASTCONV_RETURN_IF_ERROR(MakeProblemOnStream(SpecsOf(inputs), &problem));
    return RunPassOnStream(Conv2DPass::kBackwardInput, problem, Args(inputs, outputs),
                           BlockAttrs::DropoutInputsOf(inputs), context);
  }

  Status StreamWorkspaceBytes(const std::vector<TensorSpec>& inputs, size_t* bytes) const override {
    return PassWorkspaceBytes(Conv2DPass::kBackwardInput, inputs, bytes);
  }
#endif

 private:
  Conv2DArgs Args(const std::vector<TensorView>& inputs,
                  const std::vector<TensorView>& outputs) const {
    Conv2DArgs args;
    args.filter = inputs[1].data;
    SetGradientInputs(inputs, 2, &args);
    args.dx = outputs[0].data;
    return args;
  }
};

// x, filter (shape only), y, code, dy, dropout_rate, dropout_seed -> dfilter, dbias
class FusedConv2DBackpropFilterOp final : public FusedConv2DOpBase {
 public:
  Status InferOutputs(const std::vector<TensorSpec>& inputs,
                      std::vector<TensorSpec>* outputs) const override {
    FusedConv2DProblem problem;
    FASTCONV_RETURN_IF_ERROR(MakeProblem(inputs[0], inputs[1], &problem));
    FASTCONV_RETURN_IF_ERROR(CheckGradientInputs(problem, inputs, 2));
    *outputs = {inputs[1], MakeSpec(problem.conv.dtype, {problem.conv.out_channels})};
    return Status();
  }

  Status Run(const std::vector<TensorView>& inputs, const std::vector<TensorView>& outputs,
             const OpContext& context) const override {
    FusedConv2DProblem problem;
    FASTCONV_RETURN_IF_ERROR(MakeProblem(inputs, &problem));
    problem.epilogue.has_bias = true;
    return RunPass(Conv2DPass::kBackwardFilter, problem, Args(inputs, outputs), context);
  }

#ifdef FASTCONV_WITH_CUDA
  Status RunOnStream(const std::vector<TensorView>& inputs, const std::vector<TensorView>& outputs,
                     const StreamContext& context) const override {
    FusedConv2DProblem problem;
    FASTCONV_RETURN_IF_ERROR(MakeProblemOnStream(SpecsOf(inputs), &problem));
    problem.epilogue.has_bias = true;
    return RunPassOnStream(Conv2DPass::kBackwardFilter, problem, Args(inputs, outputs),
                           BlockAttrs::DropoutInputsOf(inputs), context);
  }

  Status StreamWorkspaceBytes(const std::vector<TensorSpec>& inputs, size_t* bytes) const override {
    return PassWorkspaceBytes(Conv2DPass::kBackwardFilter, inputs, bytes);
  }
#endif

 private:
  Conv2DArgs Args(const std::vector<TensorView>& inputs,
                  const std::vector<TensorView>& outputs) const {
    Conv2DArgs args;
    args.x = inputs[0].data;
    SetGradientInputs(inputs, 2, &args);
    args.dfilter = outputs[0].data;
    args.dbias = outputs[1].data;
    return args;
  }
};

// x, filter, bias -> z, mean, variance
class Conv2DBatchStatisticsOp final : public Op {
 public:
  Status Init(const AttrReader& attrs) override { return conv_.Read(attrs); }

  Status InferOutputs(const std::vector<TensorSpec>& inputs,
                      std::vector<TensorSpec>* outputs) const override {
    Conv2DProblem conv;
    FASTCONV_RETURN_IF_ERROR(conv_.MakeProblem(inputs[0], inputs[1], &conv));
    FASTCONV_RETURN_IF_ERROR(
        CheckOptional("bias", inputs[2], MakeSpec(conv.dtype, {conv.out_channels})));
    const TensorSpec statistics = MakeSpec(AccumulationType(conv.dtype), {conv.out_channels});
    *outputs = {MakeSpec(conv.dtype, MapDims(conv)), statistics, statistics};
    return Status();
  }

  Status Run(const std::vector<TensorView>& inputs, const std::vector<TensorView>& outputs,
             const OpContext& context) const override {
    FusedConv2DProblem problem;
    FASTCONV_RETURN_IF_ERROR(MakeProblem(SpecsOf(inputs), &problem));
    return RunPass(Conv2DPass::kForward, problem, Args(problem, inputs, outputs), context);
  }

#ifdef FASTCONV_WITH_CUDA
  Status RunOnStream(const std::vector<TensorView>& inputs, const std::vector<TensorView>& outputs,
                     const StreamContext& context) const override {
    FusedConv2DProblem problem;
    FASTCONV_RETURN_IF_ERROR(MakeProblem(SpecsOf(inputs), &problem));
    return RunPassOnStream(Conv2DPass::kForward, problem, Args(problem, inputs, outputs), {},
                           context);
  }

  Status StreamWorkspaceBytes(const std::vector<TensorSpec>& inputs, size_t* bytes) const override {
    FusedConv2DProblem problem;
    FASTCONV_RETURN_IF_ERROR(MakeProblem(inputs, &problem));
    *bytes = cuda::Conv2DWorkspaceBytes(Conv2DPass::kForward, problem);
    return Status();
  }
#endif

 private:
  Status MakeProblem(const std::vector<TensorSpec>& inputs, FusedConv2DProblem* problem) const {
    FASTCONV_RETURN_IF_ERROR(conv_.MakeProblem(inputs[0], inputs[1], &problem->conv));
    problem->batch_statistics = true;
    problem->epilogue.has_bias = !IsAbsent(inputs[2]);
    return Status();
  }

  static Conv2DArgs Args(const FusedConv2DProblem& problem, const std::vector<TensorView>& inputs,
                         const std::vector<TensorView>& outputs) {
    Conv2DArgs args;
    args.x = inputs[0].data;
    args.filter = inputs[1].data;
    if (problem.epilogue.has_bias) args.bias = inputs[2].data;
    args.y = outputs[0].data;
    args.mean = outputs[1].data;
    args.variance = outputs[2].data;
    return args;
  }

  ConvAttrs conv_;
};

}  // namespace

std::vector<OpDefinition> Conv2DOps() {
  const std::vector<AttrSpec> conv = ConvAttrs::Specs();
  const std::vector<AttrSpec> fused = Concat(conv, BlockAttrs::Specs());
  return {{"FusedConv2D", fused, 5, 2, MakeOp<FusedConv2DOp>, kNotInPlace, kRunsOnStream},
          {"FusedConv2DBackpropInput", fused, 7, 1, MakeOp<FusedConv2DBackpropInputOp>, kNotInPlace,
           kRunsOnStream},
          {"FusedConv2DBackpropFilter", fused, 7, 2, MakeOp<FusedConv2DBackpropFilterOp>,
           kNotInPlace, kRunsOnStream},
          {"Conv2DBatchStatistics", conv, 3, 3, MakeOp<Conv2DBatchStatisticsOp>, kNotInPlace,
           kRunsOnStream}};
}

}  // namespace fastconv
