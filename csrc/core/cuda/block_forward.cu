#include "core/cuda/block_launch.h"

namespace fastconv::cuda {

Status LaunchForward(const MapShape& map, const Epilogue& epilogue, BlockArgs args, Stream stream) {
  FASTCONV_RETURN_IF_ERROR(CheckMap(map));
  const MaxPoolSpec& pool = epilogue.pool;
  const int64_t cells = pool.enabled ? map.batch * pool.window.h.out * pool.window.w.out
                                     : map.batch * map.height * map.width;
  return WithType(map.dtype, args, map.channels, [&](auto type, auto vector) {
    using T = decltype(type);
    constexpr int kVector = decltype(vector)::value;
    args.traversal = MakeTraversal(cells, map.channels, kVector);
    return WithPooling<kVector>(PoolingOf(pool), [&](auto pooling) {
      using Kernel = BlockForward<T, kVector, decltype(pooling)::value>;
      return Launch<Kernel>(args.traversal.grid, /*shared_bytes=*/0, stream, args);
    });
  });
}

}  // namespace fastconv::cuda
