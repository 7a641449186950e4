// How the pointwise passes are launched: which variant of a kernel, over how many blocks.
#ifndef FASTCONV_CORE_CUDA_BLOCK_LAUNCH_H_
#define FASTCONV_CORE_CUDA_BLOCK_LAUNCH_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

#include "core/cuda/epilogue_args.h"
#include "core/cuda/kernels/block_args.h"
#include "core/cuda/kernels/block_backward.h"
#include "core/cuda/kernels/block_forward.h"
#include "core/cuda/kernels/values.h"
#include "core/cuda/launch.h"
#include "core/dtype.h"
#include "core/problem.h"
#include "core/status.h"

namespace fastconv::cuda {

// Enough blocks to fill the GPU, and more only where a thread had over kItemsPerThread items: what
// a block loads for all of them, keeps, or writes at its end is paid for once.
inline Traversal MakeTraversal(int64_t items, int64_t channels, int vector) {
  constexpr int64_t kItemsPerThread = 64, kBlocksPerMultiprocessor = 4;
  Traversal traversal;
  traversal.channels = static_cast<int>(channels);
  traversal.items = items;
  const int64_t runs = (channels + vector - 1) / vector;
  traversal.runs = static_cast<int>(std::min<int64_t>(runs, kTraversalThreads));
  traversal.lanes = kTraversalThreads / traversal.runs;
  const int64_t columns = (runs + traversal.runs - 1) / traversal.runs;
  const auto blocks = [&](int64_t per_thread) {
    const int64_t per_block = traversal.lanes * per_thread;
    return (items + per_block - 1) / per_block;
  };
  const int64_t filling = (kBlocksPerMultiprocessor * Multiprocessors() + columns - 1) / columns;
  const int64_t rows = std::max(std::min(blocks(1), filling), blocks(kItemsPerThread));
  traversal.grid = {static_cast<int>(rows), static_cast<int>(columns)};
  return traversal;
}

// The map behind a convolution, or of a max pooling, and what is done with it.
struct MapShape {
  DataType dtype;
  int64_t batch, height, width, channels;
};

// Refuses what the kernels' 32-bit sizes do not hold.
inline Status CheckMap(const MapShape& map) {
  constexpr int64_t kMax = INT32_MAX;
  if (map.batch * map.height * map.width <= kMax && map.channels <= kMax) return Status();
  return Unimplemented(
      "CUDA kernels take at most 2147483647 pixels. Received: " + std::to_string(map.batch) +
      " images of " + std::to_string(map.height) + "x" + std::to_string(map.width));
}

inline PoolAxis MakePoolAxis(const WindowAxis& axis) {
  return {static_cast<int>(axis.in), static_cast<int>(axis.out), static_cast<int>(axis.window),
          static_cast<int>(axis.stride), static_cast<int>(axis.pad_before)};
}

inline Pooling PoolingOf(const MaxPoolSpec& pool) {
  if (!pool.enabled) return Pooling::kNone;
  return PoolsTwoByTwo(pool.window) ? Pooling::kTwoByTwo : Pooling::kAny;
}

// Everything but pointers and the traversal.
inline BlockArgs MakeBlockArgs(const MapShape& map, const Epilogue& epilogue,
                               const DropoutInputs& dropout) {
  BlockArgs args = {};
  args.height = static_cast<int>(map.height);
  args.width = static_cast<int>(map.width);
  args.activation = ActivationOf(epilogue);
  if (epilogue.pool.enabled) {
    args.pool.h = MakePoolAxis(epilogue.pool.window.h);
    args.pool.w = MakePoolAxis(epilogue.pool.window.w);
    args.pool.wide_codes = epilogue.pool.code_type == DataType::kInt32;
  }
  args.dropout = DropoutOf(epilogue, dropout);
  return args;
}

// Calls body(T(), integral constant of the vector) for a tensor's type; the widest vector where
// channels come in whole ones and every tensor begins at one.
template <class T, class Body>
Status WithVector(const BlockArgs& args, int64_t channels, const Body& body) {
  const Affine& affine = args.affine;
  const bool whole =
      channels % kVectorOf<T> == 0 &&
      AllAligned({args.z, args.y, args.code, args.dy, args.dz, affine.mean, affine.variance,
                  affine.gamma, affine.beta, affine.bias, args.dgamma, args.dbeta});
  if (whole) return body(T(), std::integral_constant<int, kVectorOf<T>>());
  return body(T(), std::integral_constant<int, 1>());
}

template <class Body>
Status WithType(DataType dtype, const BlockArgs& args, int64_t channels, const Body& body) {
  switch (dtype) {
    case DataType::kFloat32:
      return WithVector<float>(args, channels, body);
    case DataType::kBFloat16:
      return WithVector<BFloat16>(args, channels, body);
    case DataType::kFloat16:
      return WithVector<Float16>(args, channels, body);
    default:
      return Unimplemented(std::string("CUDA kernels take float32, bfloat16 and float16. "
                                       "Received: ") +
                           Name(dtype));
  }
}

// Calls body(integral constant of the pooling); single channels have no kernel of their own for
// 2x2.
template <int kVector, class Body>
Status WithPooling(Pooling pooling, const Body& body) {
  if (pooling == Pooling::kNone) {
    return body(std::integral_constant<Pooling, Pooling::kNone>());
  }
  if constexpr (kVector > 1) {
    if (pooling == Pooling::kTwoByTwo) {
      return body(std::integral_constant<Pooling, Pooling::kTwoByTwo>());
    }
  }
  return body(std::integral_constant<Pooling, Pooling::kAny>());
}

// Patches of a map (kernels/block_backward.h).
inline int64_t Patches(const MapShape& map, const MaxPoolSpec& pool) {
  if (!pool.enabled) return map.batch * map.height * map.width;
  return map.batch * PatchesAlong(MakePoolAxis(pool.window.h)) *
         PatchesAlong(MakePoolAxis(pool.window.w));
}

// Scratch for the sums of blocks that share `items` of so many channels, whatever the vector.
inline size_t PartialBytes(int64_t items, int64_t channels, int values) {
  int64_t blocks = 0;
  for (int vector : {1, 4, 8}) {
    blocks = std::max<int64_t>(blocks, MakeTraversal(items, channels, vector).grid.x);
  }
  return static_cast<size_t>(blocks * values * channels) * sizeof(float);
}

// Kernels that several passes share, each compiled once.
Status LaunchForward(const MapShape& map, const Epilogue& epilogue, BlockArgs args, Stream stream);
Status LaunchStore(const MapShape& map, const Epilogue& epilogue, const BlockArgs& args,
                   Stream stream);

template <class T>
Status LaunchAddPartials(const typename AddPartials<T>::Args& args, Stream stream) {
  return Launch<AddPartials<T>>(AddPartials<T>::GridFor(args), AddPartials<T>::kSharedBytes, stream,
                                args);
}

// The pass that `kPart` names. `blocks`, where it makes sums: how many partial ones there are.
template <BackwardPart kPart>
Status LaunchBackwardPart(const MapShape& map, const Epilogue& epilogue, BlockArgs args,
                          Stream stream, int* blocks) {
  FASTCONV_RETURN_IF_ERROR(CheckMap(map));
  return WithType(map.dtype, args, map.channels, [&](auto type, auto vector) {
    using T = decltype(type);
    constexpr int kVector = decltype(vector)::value;
    args.traversal = MakeTraversal(Patches(map, epilogue.pool), map.channels, kVector);
    if (blocks != nullptr) *blocks = args.traversal.grid.x;
    return WithPooling<kVector>(PoolingOf(epilogue.pool), [&](auto pooling) {
      using Kernel = BlockBackward<T, kVector, decltype(pooling)::value, kPart>;
      return Launch<Kernel>(args.traversal.grid, Kernel::kSums ? kLaneSumBytes<kVector> : 0, stream,
                            args);
    });
  });
}

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_BLOCK_LAUNCH_H_
