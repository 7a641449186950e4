// Stand-alone max pooling and its gradient.
#include <vector>

#include "core/cuda/max_pool.h"
#include "core/max_pool.h"
#include "core/ops/attrs.h"
#include "core/ops/families.h"
#include "core/ops/op.h"
#include "core/ops/tensor_checks.h"
#include "core/ops/workspace.h"

namespace fastconv {
namespace {

class MaxPoolOpBase : public Op {
 public:
  Status Init(const AttrReader& attrs) override {
    FASTCONV_RETURN_IF_ERROR(pool_.Read(attrs));
    return pool_.enabled ? Status()
                         : InvalidArgument("`pool_size` must have 2 values. Received: []");
  }

 protected:
  Status MakeProblem(const TensorSpec& x, MaxPoolProblem* problem, TensorSpec* y,
                     TensorSpec* code) const {
    std::vector<int64_t> dims;
    FASTCONV_RETURN_IF_ERROR(CheckFloating("x", x));
    FASTCONV_RETURN_IF_ERROR(GetDims("x", x, 4, &dims));
    problem->dtype = x.dtype;
    problem->batch = dims[0];
    problem->channels = dims[3];
    FASTCONV_RETURN_IF_ERROR(pool_.MakeSpec(dims[1], dims[2], &problem->pool));
    *y = BlockOutput(x.dtype, dims, problem->pool);
    *code = CodeOutput(dims, problem->pool);
    return Status();
  }

  static Status Allocate(const MaxPoolProblem& problem, const OpContext& context,
                         void** workspace) {
    return AllocateWorkspace(
        context.scratch, MaxPoolWorkspaceBytes(problem, context.pool->num_threads()), workspace);
  }

 private:
  PoolAttrs pool_;
};

// x -> y, code
class MaxPoolOp final : public MaxPoolOpBase {
 public:
  Status InferOutputs(const std::vector<TensorSpec>& inputs,
                      std::vector<TensorSpec>* outputs) const override {
    MaxPoolProblem problem;
    outputs->resize(2);
    return MakeProblem(inputs[0], &problem, &(*outputs)[0], &(*outputs)[1]);
  }

  Status Run(const std::vector<TensorView>& inputs, const std::vector<TensorView>& outputs,
             const OpContext& context) const override {
    MaxPoolProblem problem;
    TensorSpec y, code;
    FASTCONV_RETURN_IF_ERROR(MakeProblem(inputs[0].spec, &problem, &y, &code));
    void* workspace = nullptr;
    FASTCONV_RETURN_IF_ERROR(Allocate(problem, context, &workspace));
    return MaxPool(problem, inputs[0].data, outputs[0].data, outputs[1].data, workspace,
                   context.pool);
  }

#ifdef FASTCONV_WITH_CUDA
  Status RunOnStream(const std::vector<TensorView>& inputs, const std::vector<TensorView>& outputs,
                     const StreamContext& context) const override {
    MaxPoolProblem problem;
    TensorSpec y, code;
    FASTCONV_RETURN_IF_ERROR(MakeProblem(inputs[0].spec, &problem, &y, &code));
    return cuda::MaxPool(problem, inputs[0].data, outputs[0].data, outputs[1].data, context.stream);
  }
#endif
};

// x (shape only), code, dy -> dx
class MaxPoolGradOp final : public MaxPoolOpBase {
 public:
  Status InferOutputs(const std::vector<TensorSpec>& inputs,
                      std::vector<TensorSpec>* outputs) const override {
    MaxPoolProblem problem;
    TensorSpec y, code;
    FASTCONV_RETURN_IF_ERROR(MakeProblem(inputs[0], &problem, &y, &code));
    FASTCONV_RETURN_IF_ERROR(CheckTensor("code", inputs[1], code));
    FASTCONV_RETURN_IF_ERROR(CheckTensor("dy", inputs[2], y));
    *outputs = {inputs[0]};
    return Status();
  }

  Status Run(const std::vector<TensorView>& inputs, const std::vector<TensorView>& outputs,
             const OpContext& context) const override {
    MaxPoolProblem problem;
    TensorSpec y, code;
    FASTCONV_RETURN_IF_ERROR(MakeProblem(inputs[0].spec, &problem, &y, &code));
    void* workspace = nullptr;
    FASTCONV_RETURN_IF_ERROR(Allocate(problem, context, &workspace));
    return MaxPoolGrad(problem, inputs[2].data, inputs[1].data, outputs[0].data, workspace,
                       context.pool);
  }

#ifdef FASTCONV_WITH_CUDA
  Status RunOnStream(const std::vector<TensorView>& inputs, const std::vector<TensorView>& outputs,
                     const StreamContext& context) const override {
    MaxPoolProblem problem;
    TensorSpec y, code;
    FASTCONV_RETURN_IF_ERROR(MakeProblem(inputs[0].spec, &problem, &y, &code));
    return cuda::MaxPoolGrad(problem, inputs[2].data, inputs[1].data, outputs[0].data,
                             context.stream);
  }
#endif
};

}  // namespace

std::vector<OpDefinition> MaxPoolOps() {
  const std::vector<AttrSpec> attrs = PoolAttrs::Specs();
  return {{"MaxPool", attrs, 1, 2, MakeOp<MaxPoolOp>, kNotInPlace, kRunsOnStream},
          {"MaxPoolGrad", attrs, 3, 1, MakeOp<MaxPoolGradOp>, kNotInPlace, kRunsOnStream}};
}

}  // namespace fastconv
