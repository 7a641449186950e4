// Batch normalisation, activation and pooling of a convolution's output, and its gradient in the
// two halves that a sum over replicas may come between.
#include <cmath>
#include <string>
#include <vector>

#include "core/batch_norm.h"
#include "core/cuda/batch_norm.h"
#include "core/ops/attrs.h"
#include "core/ops/families.h"
#include "core/ops/op.h"
#include "core/ops/tensor_checks.h"
#include "core/ops/workspace.h"

namespace fastconv {
namespace {

using Kernel = Status (*)(const FusedBatchNormProblem&, const FusedBatchNormArgs&, void*,
                          ThreadPool*);

// The inputs that all three ops begin with.
enum Input { kZ, kMean, kVariance, kGamma, kBeta, kFirstOther };

class FusedBatchNormOpBase : public Op {
 public:
  Status Init(const AttrReader& attrs) override {
    FASTCONV_RETURN_IF_ERROR(attrs.GetFloat("epsilon", &epsilon_));
    if (!(epsilon_ >= 0.0f) || std::isinf(epsilon_)) {
      return InvalidArgument("`epsilon` must be finite and not negative. Received: " +
                             std::to_string(epsilon_));
    }
    return block_.Read(attrs);
  }

 protected:
  // Checks the common inputs.
  Status MakeProblem(const std::vector<TensorSpec>& inputs, FusedBatchNormProblem* problem) const {
    std::vector<int64_t> dims;
    FASTCONV_RETURN_IF_ERROR(CheckFloating("z", inputs[kZ]));
    FASTCONV_RETURN_IF_ERROR(GetDims("z", inputs[kZ], 4, &dims));
    problem->dtype = inputs[kZ].dtype;
    problem->batch = dims[0];
    problem->height = dims[1];
    problem->width = dims[2];
    problem->channels = dims[3];
    problem->epsilon = epsilon_;
    if (problem->channels == 0) {
      return InvalidArgument("z must have channels. Received: shape " + ToString(inputs[kZ]));
    }
    const TensorSpec channels = ChannelVector(*problem);
    FASTCONV_RETURN_IF_ERROR(CheckTensor("mean", inputs[kMean], channels));
    FASTCONV_RETURN_IF_ERROR(CheckTensor("variance", inputs[kVariance], channels));
    FASTCONV_RETURN_IF_ERROR(CheckOptional("gamma", inputs[kGamma], channels));
    FASTCONV_RETURN_IF_ERROR(CheckOptional("beta", inputs[kBeta], channels));
    problem->has_gamma = !IsAbsent(inputs[kGamma]);
    problem->has_beta = !IsAbsent(inputs[kBeta]);
    FASTCONV_RETURN_IF_ERROR(block_.CheckDropout(inputs));
    return block_.MakeEpilogue(problem->height, problem->width, &problem->epilogue);
  }

  // With the values that a problem takes from tensors.
  Status MakeProblem(const std::vector<TensorView>& inputs, FusedBatchNormProblem* problem) const {
    FASTCONV_RETURN_IF_ERROR(MakeProblem(SpecsOf(inputs), problem));
    return block_.ReadDropout(inputs, &problem->epilogue.dropout);
  }

  // Without those values: the kernels read them.
  Status MakeProblemOnStream(const std::vector<TensorView>& inputs,
                             FusedBatchNormProblem* problem) const {
    FASTCONV_RETURN_IF_ERROR(MakeProblem(SpecsOf(inputs), problem));
    problem->epilogue.dropout.kind = block_.dropout;
    return Status();
  }

  // Checks code and dy of a gradient op too.
  Status MakeGradientProblem(const std::vector<TensorSpec>& inputs,
                             FusedBatchNormProblem* problem) const {
    FASTCONV_RETURN_IF_ERROR(MakeProblem(inputs, problem));
    FASTCONV_RETURN_IF_ERROR(CheckTensor("code", inputs[kFirstOther], Code(*problem)));
    return CheckTensor("dy", inputs[kFirstOther + 1], Y(*problem));
  }

  static TensorSpec ChannelVector(const FusedBatchNormProblem& problem) {
    return MakeSpec(AccumulationType(problem.dtype), {problem.channels});
  }
  static TensorSpec Y(const FusedBatchNormProblem& problem) {
    return BlockOutput(problem.dtype, MapDims(problem), problem.epilogue.pool);
  }
  static TensorSpec Code(const FusedBatchNormProblem& problem) {
    return CodeOutput(MapDims(problem), problem.epilogue.pool);
  }

  static FusedBatchNormArgs CommonArgs(const FusedBatchNormProblem& problem,
                                       const std::vector<TensorView>& inputs) {
    FusedBatchNormArgs args;
    args.z = inputs[kZ].data;
    args.mean = inputs[kMean].data;
    args.variance = inputs[kVariance].data;
    if (problem.has_gamma) args.gamma = inputs[kGamma].data;
    if (problem.has_beta) args.beta = inputs[kBeta].data;
    return args;
  }
  static FusedBatchNormArgs GradientArgs(const FusedBatchNormProblem& problem,
                                         const std::vector<TensorView>& inputs) {
    FusedBatchNormArgs args = CommonArgs(problem, inputs);
    if (problem.epilogue.pool.enabled) args.code = inputs[kFirstOther].data;
    args.dy = inputs[kFirstOther + 1].data;
    return args;
  }

  static Status RunKernel(Kernel kernel, const FusedBatchNormProblem& problem,
                          const FusedBatchNormArgs& args, const OpContext& context) {
    const size_t bytes = FusedBatchNormWorkspaceBytes(problem, context.pool->num_threads());
    void* workspace = nullptr;
    FASTCONV_RETURN_IF_ERROR(AllocateWorkspace(context.scratch, bytes, &workspace));
    return kernel(problem, args, workspace, context.pool);
  }

 private:
  static std::vector<int64_t> MapDims(const FusedBatchNormProblem& problem) {
    return {problem.batch, problem.height, problem.width, problem.channels};
  }

  float epsilon_ = 0.0f;
  BlockAttrs block_;
};

// z, mean, variance, gamma, beta, dropout_rate, dropout_seed -> y, code
class FusedBatchNormOp final : public FusedBatchNormOpBase {
 public:
  Status InferOutputs(const std::vector<TensorSpec>& inputs,
                      std::vector<TensorSpec>* outputs) const override {
    FusedBatchNormProblem problem;
    FASTCONV_RETURN_IF_ERROR(MakeProblem(inputs, &problem));
    *outputs = {Y(problem), Code(problem)};
    return Status();
  }

  Status Run(const std::vector<TensorView>& inputs, const std::vector<TensorView>& outputs,
             const OpContext& context) const override {
    FusedBatchNormProblem problem;
    FASTCONV_RETURN_IF_ERROR(MakeProblem(inputs, &problem));
    return RunKernel(FusedBatchNorm, problem, Args(problem, inputs, outputs), context);
  }

#ifdef FASTCONV_WITH_CUDA
  Status RunOnStream(const std::vector<TensorView>& inputs, const std::vector<TensorView>& outputs,
                     const StreamContext& context) const override {
    FusedBatchNormProblem problem;
    FASTCONV_RETURN_IF_ERROR(MakeProblemOnStream(inputs, &problem));
    return cuda::FusedBatchNorm(problem, Args(problem, inputs, outputs),
                                BlockAttrs::DropoutInputsOf(inputs), context.stream);
  }
#endif

 private:
  static FusedBatchNormArgs Args(const FusedBatchNormProblem& problem,
                                 const std::vector<TensorView>& inputs,
                                 const std::vector<TensorView>& outputs) {
    FusedBatchNormArgs args = CommonArgs(problem, inputs);
    args.y = outputs[0].data;
    if (problem.epilogue.pool.enabled) args.code = outputs[1].data;
    return args;
  }
};

// z, mean, variance, gamma, beta, code, dy, dropout_rate, dropout_seed -> dgamma, dbeta
class FusedBatchNormGradReduceOp final : public FusedBatchNormOpBase {
 public:
  Status InferOutputs(const std::vector<TensorSpec>& inputs,
                      std::vector<TensorSpec>* outputs) const override {
    FusedBatchNormProblem problem;
    FASTCONV_RETURN_IF_ERROR(MakeGradientProblem(inputs, &problem));
    *outputs = {ChannelVector(problem), ChannelVector(problem)};
    return Status();
  }

  Status Run(const std::vector<TensorView>& inputs, const std::vector<TensorView>& outputs,
             const OpContext& context) const override {
    FusedBatchNormProblem problem;
    FASTCONV_RETURN_IF_ERROR(MakeProblem(inputs, &problem));
    return RunKernel(FusedBatchNormGradReduce, problem, Args(problem, inputs, outputs), context);
  }

#ifdef FASTCONV_WITH_CUDA
  Status RunOnStream(const std::vector<TensorView>& inputs, const std::vector<TensorView>& outputs,
                     const StreamContext& context) const override {
    FusedBatchNormProblem problem;
    FASTCONV_RETURN_IF_ERROR(MakeProblemOnStream(inputs, &problem));
    return cuda::FusedBatchNormGradReduce(problem, Args(problem, inputs, outputs),
                                          BlockAttrs::DropoutInputsOf(inputs), context.workspace,
                                          context.stream);
  }

  Status StreamWorkspaceBytes(const std::vector<TensorSpec>& inputs, size_t* bytes) const override {
    FusedBatchNormProblem problem;
    FASTCONV_RETURN_IF_ERROR(MakeProblem(inputs, &problem));
    *bytes = cuda::FusedBatchNormGradReduceWorkspaceBytes(problem);
    return Status();
  }
#endif

 private:
  static FusedBatchNormArgs Args(const FusedBatchNormProblem& problem,
                                 const std::vector<TensorView>& inputs,
                                 const std::vector<TensorView>& outputs) {
    FusedBatchNormArgs args = GradientArgs(problem, inputs);
    args.dgamma = outputs[0].data;
    args.dbeta = outputs[1].data;
    return args;
  }
};

// z, mean, variance, gamma, beta, code, dy, dgamma, dbeta, count, dropout_rate, dropout_seed -> dz
class FusedBatchNormGradApplyOp final : public FusedBatchNormOpBase {
 public:
  static constexpr int kInPlaceInput = kZ;

  Status InferOutputs(const std::vector<TensorSpec>& inputs,
                      std::vector<TensorSpec>* outputs) const override {
    FusedBatchNormProblem problem;
    FASTCONV_RETURN_IF_ERROR(MakeGradientProblem(inputs, &problem));
    const TensorSpec channels = ChannelVector(problem);
    FASTCONV_RETURN_IF_ERROR(CheckTensor("dgamma", inputs[kDgamma], channels));
    FASTCONV_RETURN_IF_ERROR(CheckTensor("dbeta", inputs[kDbeta], channels));
    FASTCONV_RETURN_IF_ERROR(CheckTensor("count", inputs[kCount], MakeSpec(channels.dtype, {})));
    *outputs = {inputs[kZ]};
    return Status();
  }

  Status Run(const std::vector<TensorView>& inputs, const std::vector<TensorView>& outputs,
             const OpContext& context) const override {
    FusedBatchNormProblem problem;
    FASTCONV_RETURN_IF_ERROR(MakeProblem(inputs, &problem));
    return RunKernel(FusedBatchNormGradApply, problem, Args(problem, inputs, outputs), context);
  }

#ifdef FASTCONV_WITH_CUDA
  Status RunOnStream(const std::vector<TensorView>& inputs, const std::vector<TensorView>& outputs,
                     const StreamContext& context) const override {
    FusedBatchNormProblem problem;
    FASTCONV_RETURN_IF_ERROR(MakeProblemOnStream(inputs, &problem));
    return cuda::FusedBatchNormGradApply(problem, Args(problem, inputs, outputs),
                                         BlockAttrs::DropoutInputsOf(inputs), context.stream);
  }
#endif

 private:
  static FusedBatchNormArgs Args(const FusedBatchNormProblem& problem,
                                 const std::vector<TensorView>& inputs,
                                 const std::vector<TensorView>& outputs) {
    FusedBatchNormArgs args = GradientArgs(problem, inputs);
    args.dgamma = inputs[kDgamma].data;
    args.dbeta = inputs[kDbeta].data;
    args.count = inputs[kCount].data;
    args.dz = outputs[0].data;
    return args;
  }

  enum { kDgamma = kFirstOther + 2, kDbeta, kCount };
};

}  // namespace

std::vector<OpDefinition> BatchNormOps() {
  const std::vector<AttrSpec> attrs = Concat({{"epsilon", AttrKind::kFloat}}, BlockAttrs::Specs());
  return {{"FusedBatchNorm", attrs, 7, 2, MakeOp<FusedBatchNormOp>, kNotInPlace, kRunsOnStream},
          {"FusedBatchNormGradReduce", attrs, 9, 2, MakeOp<FusedBatchNormGradReduceOp>, kNotInPlace,
           kRunsOnStream},
          {"FusedBatchNormGradApply", attrs, 12, 1, MakeOp<FusedBatchNormGradApplyOp>,
           FusedBatchNormGradApplyOp::kInPlaceInput, kRunsOnStream, /*in_place_in_xla=*/true}};
}

}  // namespace fastconv
