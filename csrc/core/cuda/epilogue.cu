#include "core/cuda/block_launch.h"
#include "core/cuda/epilogue.h"

namespace fastconv::cuda {
namespace {

MapShape MapOf(const FusedEpilogueProblem& problem) {
  return {problem.dtype, problem.batch, problem.height, problem.width, problem.channels};
}

}  // namespace

Status FusedEpilogue(const FusedEpilogueProblem& problem, const void* z, const void* bias, void* y,
                     void* code, const DropoutInputs& dropout, Stream stream) {
  BlockArgs args = MakeBlockArgs(MapOf(problem), problem.epilogue, dropout);
  args.affine.bias = bias;
  args.z = z;
  args.y = y;
  args.code = code;
  return LaunchForward(MapOf(problem), problem.epilogue, args, stream);
}

size_t FusedEpilogueGradWorkspaceBytes(const FusedEpilogueProblem& problem) {
  return PartialBytes(Patches(MapOf(problem), problem.epilogue.pool), problem.channels,
                      /*values=*/2);
}

Status FusedEpilogueGrad(const FusedEpilogueProblem& problem, const void* y, const void* code,
                         const void* dy, void* dz, void* dbias, const DropoutInputs& dropout,
                         void* workspace, Stream stream) {
  BlockArgs args = MakeBlockArgs(MapOf(problem), problem.epilogue, dropout);
  args.y = const_cast<void*>(y);
  args.code = const_cast<void*>(code);
  args.dy = dy;
  args.dz = dz;
  if (dbias == nullptr) return LaunchStore(MapOf(problem), problem.epilogue, args, stream);
  args.partials = static_cast<float*>(workspace);
  int blocks = 0;
  FASTCONV_RETURN_IF_ERROR(LaunchBackwardPart<BackwardPart::kStoreAndSum>(
      MapOf(problem), problem.epilogue, args, stream, &blocks));
  return WithType(problem.dtype, args, problem.channels, [&](auto type, auto) {
    using T = decltype(type);
    const int channels = static_cast<int>(problem.channels);
    return LaunchAddPartials<T>(
        {args.partials, blocks, 2 * problem.channels, channels, 0, static_cast<T*>(dbias), nullptr},
        stream);
  });
}

}  // namespace fastconv::cuda
