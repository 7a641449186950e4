// What follows a convolution that another library computes, and its gradient.
#include <vector>

#include "core/cuda/epilogue.h"
#include "core/epilogue.h"
#include "core/ops/attrs.h"
#include "core/ops/families.h"
#include "core/ops/op.h"
#include "core/ops/tensor_checks.h"
#include "core/ops/workspace.h"

namespace fastconv {
namespace {

using Kernel = Status (*)(const FusedEpilogueProblem&, const FusedEpilogueArgs&, void*,
                          ThreadPool*);

// The inputs that both ops begin with.
enum Input { kZ, kBias, kFirstOther };

class FusedEpilogueOpBase : public Op {
 public:
  Status Init(const AttrReader& attrs) override { return block_.Read(attrs); }

 protected:
  // Checks the common inputs.
  Status MakeProblem(const std::vector<TensorSpec>& inputs, FusedEpilogueProblem* problem) const {
    std::vector<int64_t> dims;
    FASTCONV_RETURN_IF_ERROR(CheckFloating("z", inputs[kZ]));
    FASTCONV_RETURN_IF_ERROR(GetDims("z", inputs[kZ], 4, &dims));
    problem->dtype = inputs[kZ].dtype;
    problem->batch = dims[0];
    problem->height = dims[1];
    problem->width = dims[2];
    problem->channels = dims[3];
    if (problem->channels == 0) {
      return InvalidArgument("z must have channels. Received: shape " + ToString(inputs[kZ]));
    }
    FASTCONV_RETURN_IF_ERROR(CheckOptional("bias", inputs[kBias], ChannelVector(*problem)));
    FASTCONV_RETURN_IF_ERROR(block_.CheckDropout(inputs));
    FASTCONV_RETURN_IF_ERROR(
        block_.MakeEpilogue(problem->height, problem->width, &problem->epilogue));
    problem->epilogue.has_bias = !IsAbsent(inputs[kBias]);
    return Status();
  }

  // With the values that a problem takes from tensors.
  Status MakeProblem(const std::vector<TensorView>& inputs, FusedEpilogueProblem* problem) const {
    FASTCONV_RETURN_IF_ERROR(MakeProblem(SpecsOf(inputs), problem));
    return block_.ReadDropout(inputs, &problem->epilogue.dropout);
  }

  // Without those values: the kernels read them.
  Status MakeProblemOnStream(const std::vector<TensorView>& inputs,
                             FusedEpilogueProblem* problem) const {
    FASTCONV_RETURN_IF_ERROR(MakeProblem(SpecsOf(inputs), problem));
    problem->epilogue.dropout.kind = block_.dropout;
    return Status();
  }

  static TensorSpec ChannelVector(const FusedEpilogueProblem& problem) {
    return MakeSpec(problem.dtype, {problem.channels});
  }
  static TensorSpec Y(const FusedEpilogueProblem& problem) {
    return BlockOutput(problem.dtype, MapDims(problem), problem.epilogue.pool);
  }
  static TensorSpec Code(const FusedEpilogueProblem& problem) {
    return CodeOutput(MapDims(problem), problem.epilogue.pool);
  }

  static Status RunKernel(Kernel kernel, const FusedEpilogueProblem& problem,
                          const FusedEpilogueArgs& args, const OpContext& context) {
    const size_t bytes = FusedEpilogueWorkspaceBytes(problem, context.pool->num_threads());
    void* workspace = nullptr;
    FASTCONV_RETURN_IF_ERROR(AllocateWorkspace(context.scratch, bytes, &workspace));
    return kernel(problem, args, workspace, context.pool);
  }

 private:
  static std::vector<int64_t> MapDims(const FusedEpilogueProblem& problem) {
    return {problem.batch, problem.height, problem.width, problem.channels};
  }

  BlockAttrs block_;
};

// z, bias, dropout_rate, dropout_seed -> y, code
class FusedEpilogueOp final : public FusedEpilogueOpBase {
 public:
  Status InferOutputs(const std::vector<TensorSpec>& inputs,
                      std::vector<TensorSpec>* outputs) const override {
    FusedEpilogueProblem problem;
    FASTCONV_RETURN_IF_ERROR(MakeProblem(inputs, &problem));
    *outputs = {Y(problem), Code(problem)};
    return Status();
  }

  Status Run(const std::vector<TensorView>& inputs, const std::vector<TensorView>& outputs,
             const OpContext& context) const override {
    FusedEpilogueProblem problem;
    FASTCONV_RETURN_IF_ERROR(MakeProblem(inputs, &problem));
    FusedEpilogueArgs args;
    args.z = inputs[kZ].data;
    if (problem.epilogue.has_bias) args.bias = inputs[kBias].data;
    args.y = outputs[0].data;
    if (problem.epilogue.pool.enabled) args.code = outputs[1].data;
    return RunKernel(FusedEpilogue, problem, args, context);
  }

#ifdef FASTCONV_WITH_CUDA
  Status RunOnStream(const std::vector<TensorView>& inputs, const std::vector<TensorView>& outputs,
                     const StreamContext& context) const override {
    FusedEpilogueProblem problem;
    FASTCONV_RETURN_IF_ERROR(MakeProblemOnStream(inputs, &problem));
    return cuda::FusedEpilogue(
        problem, inputs[kZ].data, problem.epilogue.has_bias ? inputs[kBias].data : nullptr,
        outputs[0].data, problem.epilogue.pool.enabled ? outputs[1].data : nullptr,
        BlockAttrs::DropoutInputsOf(inputs), context.stream);
  }
#endif
};

// z (shape only), bias (shape only), y, code, dy, dropout_rate, dropout_seed -> dz, dbias
class FusedEpilogueGradOp final : public FusedEpilogueOpBase {
 public:
  Status InferOutputs(const std::vector<TensorSpec>& inputs,
                      std::vector<TensorSpec>* outputs) const override {
    FusedEpilogueProblem problem;
    FASTCONV_RETURN_IF_ERROR(MakeProblem(inputs, &problem));
    const bool reads_y =
        problem.epilogue.activation != Activation::kLinear && !problem.epilogue.pool.enabled;
    FASTCONV_RETURN_IF_ERROR(
        CheckTensor("y", inputs[kY], reads_y ? Y(problem) : MakeSpec(problem.dtype, {0})));
    FASTCONV_RETURN_IF_ERROR(CheckTensor("code", inputs[kCode], Code(problem)));
    FASTCONV_RETURN_IF_ERROR(CheckTensor("dy", inputs[kDy], Y(problem)));
    *outputs = {inputs[kZ], ChannelVector(problem)};
    return Status();
  }

  Status Run(const std::vector<TensorView>& inputs, const std::vector<TensorView>& outputs,
             const OpContext& context) const override {
    FusedEpilogueProblem problem;
    FASTCONV_RETURN_IF_ERROR(MakeProblem(inputs, &problem));
    FusedEpilogueArgs args;
    if (!IsAbsent(inputs[kY].spec)) args.y = inputs[kY].data;
    if (problem.epilogue.pool.enabled) args.code = inputs[kCode].data;
    args.dy = inputs[kDy].data;
    args.dz = outputs[0].data;
    args.dbias = outputs[1].data;
    return RunKernel(FusedEpilogueGrad, problem, args, context);
  }

#ifdef FASTCONV_WITH_CUDA
  Status RunOnStream(const std::vector<TensorView>& inputs, const std::vector<TensorView>& outputs,
                     const StreamContext& context) const override {
    FusedEpilogueProblem problem;
    FASTCONV_RETURN_IF_ERROR(MakeProblemOnStream(inputs, &problem));
    return cuda::FusedEpilogueGrad(problem, IsAbsent(inputs[kY].spec) ? nullptr : inputs[kY].data,
                                   problem.epilogue.pool.enabled ? inputs[kCode].data : nullptr,
                                   inputs[kDy].data, outputs[0].data, outputs[1].data,
                                   BlockAttrs::DropoutInputsOf(inputs), context.workspace,
                                   context.stream);
  }

  Status StreamWorkspaceBytes(const std::vector<TensorSpec>& inputs, size_t* bytes) const override {
    FusedEpilogueProblem problem;
    FASTCONV_RETURN_IF_ERROR(MakeProblem(inputs, &problem));
    *bytes = cuda::FusedEpilogueGradWorkspaceBytes(problem);
    return Status();
  }
#endif

 private:
  enum { kY = kFirstOther, kCode, kDy };
};

}  // namespace

std::vector<OpDefinition> EpilogueOps() {
  const std::vector<AttrSpec> attrs = BlockAttrs::Specs();
  return {
      {"FusedEpilogue", attrs, 4, 2, MakeOp<FusedEpilogueOp>, kNotInPlace, kRunsOnStream},
      {"FusedEpilogueGrad", attrs, 7, 2, MakeOp<FusedEpilogueGradOp>, kNotInPlace, kRunsOnStream}};
}

}  // namespace fastconv
