#include "core/cuda/block_launch.h"
#include "core/cuda/max_pool.h"

namespace fastconv::cuda {
namespace {

MapShape MapOf(const MaxPoolProblem& problem) {
  return {problem.dtype, problem.batch, problem.pool.window.h.in, problem.pool.window.w.in,
          problem.channels};
}

// A block of nothing but the pooling.
Epilogue EpilogueOf(const MaxPoolProblem& problem) {
  Epilogue epilogue;
  epilogue.pool = problem.pool;
  return epilogue;
}

}  // namespace

Status MaxPool(const MaxPoolProblem& problem, const void* x, void* y, void* code, Stream stream) {
  const MapShape map = MapOf(problem);
  const Epilogue epilogue = EpilogueOf(problem);
  BlockArgs args = MakeBlockArgs(map, epilogue, {});
  args.z = x;
  args.y = y;
  args.code = code;
  return LaunchForward(map, epilogue, args, stream);
}

Status MaxPoolGrad(const MaxPoolProblem& problem, const void* dy, const void* code, void* dx,
                   Stream stream) {
  const MapShape map = MapOf(problem);
  const Epilogue epilogue = EpilogueOf(problem);
  BlockArgs args = MakeBlockArgs(map, epilogue, {});
  args.dy = dy;
  args.code = const_cast<void*>(code);
  args.dz = dx;
  return LaunchStore(map, epilogue, args, stream);
}

}  // namespace fastconv::cuda
