// Descriptions of tensors in a GPU's memory for bulk copies of boxes (LoadTile, bulk_copy.h).
#ifndef FASTCONV_CORE_CUDA_DEVICE_TENSOR_MAP_H_
#define FASTCONV_CORE_CUDA_DEVICE_TENSOR_MAP_H_

#include <cstdint>

#include "core/dtype.h"
#include "core/status.h"

#if defined(__CUDACC__)
#include <cuda.h>
#endif

namespace fastconv::cuda {

constexpr int kTileRank = 4;

// The first dimension is the one whose elements follow each other in memory. The box's rows of it,
// of at most 128 bytes, lie in shared memory one behind the other, parts of 16 bytes exchanged as
// warpgroup.h's operands with rows of that size need it.
struct TileDescription {
  DataType dtype;
  const void* tensor;                   // aligned to 16 bytes
  int64_t extent[kTileRank];            // elements
  int64_t stride_bytes[kTileRank - 1];  // of dimensions 1 to 3, multiples of 16
  int box[kTileRank];                   // elements, up to 256 each
};

struct TilePosition {
  int index[kTileRank];  // of the box's first element; may lie outside the tensor
};

#if defined(__CUDACC__)
using TensorMap = CUtensorMap;
#else
struct alignas(64) TensorMap {
  TileDescription tile;
};
#endif

// On the host. An error where the description breaks one of the rules above.
Status Encode(const TileDescription& description, TensorMap* map);

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_DEVICE_TENSOR_MAP_H_
