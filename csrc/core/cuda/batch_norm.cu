#include "core/cuda/batch_norm.h"
#include "core/cuda/block_launch.h"
#include "core/cuda/kernels/statistics.h"

namespace fastconv::cuda {
namespace {

MapShape MapOf(const FusedBatchNormProblem& problem) {
  return {problem.dtype, problem.batch, problem.height, problem.width, problem.channels};
}

BlockArgs ArgsOf(const FusedBatchNormProblem& problem, const FusedBatchNormArgs& args,
                 const DropoutInputs& dropout) {
  BlockArgs block = MakeBlockArgs(MapOf(problem), problem.epilogue, dropout);
  const auto vector = [](const void* values) { return static_cast<const float*>(values); };
  block.affine.mean = vector(args.mean);
  block.affine.variance = vector(args.variance);
  block.affine.gamma = vector(args.gamma);
  block.affine.beta = vector(args.beta);
  block.affine.epsilon = problem.epsilon;
  block.z = args.z;
  block.y = args.y;
  block.code = args.code;
  block.dy = args.dy;
  block.dz = args.dz;
  block.dgamma = vector(args.dgamma);
  block.dbeta = vector(args.dbeta);
  block.count = vector(args.count);
  return block;
}

}  // namespace

Status MergeBatchStatistics(const float* partials, int blocks, int64_t channels, float* mean,
                            float* variance, Stream stream) {
  const MergeStatistics::Args merge = {partials, blocks, static_cast<int>(channels), mean,
                                       variance};
  return Launch<MergeStatistics>(MergeStatistics::GridFor(merge), MergeStatistics::kSharedBytes,
                                 stream, merge);
}

Status FusedBatchNorm(const FusedBatchNormProblem& problem, const FusedBatchNormArgs& args,
                      const DropoutInputs& dropout, Stream stream) {
  return LaunchForward(MapOf(problem), problem.epilogue, ArgsOf(problem, args, dropout), stream);
}

size_t FusedBatchNormGradReduceWorkspaceBytes(const FusedBatchNormProblem& problem) {
  return PartialBytes(Patches(MapOf(problem), problem.epilogue.pool), problem.channels,
                      /*values=*/2);
}

Status FusedBatchNormGradReduce(const FusedBatchNormProblem& problem,
                                const FusedBatchNormArgs& args, const DropoutInputs& dropout,
                                void* workspace, Stream stream) {
  BlockArgs block = ArgsOf(problem, args, dropout);
  block.partials = static_cast<float*>(workspace);
  int blocks = 0;
  FASTCONV_RETURN_IF_ERROR(LaunchBackwardPart<BackwardPart::kNormalizeSums>(
      MapOf(problem), problem.epilogue, block, stream, &blocks));
  const int channels = static_cast<int>(problem.channels);
  return LaunchAddPartials<float>(
      {block.partials, blocks, 2 * problem.channels, channels, channels,
       static_cast<float*>(args.dbeta), static_cast<float*>(args.dgamma)},
      stream);
}

Status FusedBatchNormGradApply(const FusedBatchNormProblem& problem, const FusedBatchNormArgs& args,
                               const DropoutInputs& dropout, Stream stream) {
  return LaunchBackwardPart<BackwardPart::kNormalizeApply>(
      MapOf(problem), problem.epilogue, ArgsOf(problem, args, dropout), stream, nullptr);
}

}  // namespace fastconv::cuda
