#include <string>

#include "core/cuda/device/tensor_map.h"

#if defined(__CUDACC__)
#include <cuda_runtime.h>
#endif

namespace fastconv::cuda {
namespace {

constexpr int kAlignment = 16;
constexpr int kMaxBox = 256;

Status CheckDescription(const TileDescription& tile) {
  bool valid = reinterpret_cast<uintptr_t>(tile.tensor) % kAlignment == 0;
  for (const int64_t stride : tile.stride_bytes) valid = valid && stride % kAlignment == 0;
  for (const int64_t extent : tile.extent) valid = valid && extent > 0;
  for (const int box : tile.box) valid = valid && box > 0 && box <= kMaxBox;
  const auto row_bytes = tile.box[0] * SizeOf(tile.dtype);
  if (valid && (row_bytes == 32 || row_bytes == 64 || row_bytes == 128)) return Status();
  return Status(StatusCode::kInternal, "A tensor cannot be copied in boxes: it is not aligned to " +
                                           std::to_string(kAlignment) + " bytes.");
}

}  // namespace

#if defined(__CUDACC__)

namespace {

using EncodeTiled = decltype(&cuTensorMapEncodeTiled);

// The driver's function, found without linking to the driver.
Status FindEncodeTiled(EncodeTiled* encode) {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult result;
#if CUDART_VERSION >= 12050
  const cudaError_t error = cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function,
                                                             12000, cudaEnableDefault, &result);
#else
  const cudaError_t error =
      cudaGetDriverEntryPoint("cuTensorMapEncodeTiled", &function, cudaEnableDefault, &result);
#endif
  if (error != cudaSuccess || function == nullptr) {
    return Status(StatusCode::kInternal, "The GPU's driver has no cuTensorMapEncodeTiled.");
  }
  *encode = reinterpret_cast<EncodeTiled>(function);
  return Status();
}

CUtensorMapDataType TypeOf(DataType dtype) {
  switch (dtype) {
    case DataType::kBFloat16:
      return CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;
    case DataType::kFloat16:
      return CU_TENSOR_MAP_DATA_TYPE_FLOAT16;
    case DataType::kUint8:
      return CU_TENSOR_MAP_DATA_TYPE_UINT8;
    default:
      return CU_TENSOR_MAP_DATA_TYPE_FLOAT32;
  }
}

CUtensorMapSwizzle SwizzleOf(size_t row_bytes) {
  switch (row_bytes) {
    case 32:
      return CU_TENSOR_MAP_SWIZZLE_32B;
    case 64:
      return CU_TENSOR_MAP_SWIZZLE_64B;
    default:
      return CU_TENSOR_MAP_SWIZZLE_128B;
  }
}

}  // namespace

Status Encode(const TileDescription& tile, TensorMap* map) {
  FASTCONV_RETURN_IF_ERROR(CheckDescription(tile));
  EncodeTiled encode = nullptr;
  FASTCONV_RETURN_IF_ERROR(FindEncodeTiled(&encode));
  cuuint64_t extent[kTileRank], stride[kTileRank - 1];
  cuuint32_t box[kTileRank], step[kTileRank];
  for (int i = 0; i < kTileRank; ++i) {
    extent[i] = static_cast<cuuint64_t>(tile.extent[i]);
    box[i] = static_cast<cuuint32_t>(tile.box[i]);
    step[i] = 1;
  }
  for (int i = 0; i < kTileRank - 1; ++i) {
    stride[i] = static_cast<cuuint64_t>(tile.stride_bytes[i]);
  }
  const CUresult result =
      encode(map, TypeOf(tile.dtype), kTileRank, const_cast<void*>(tile.tensor), extent, stride,
             box, step, CU_TENSOR_MAP_INTERLEAVE_NONE, SwizzleOf(tile.box[0] * SizeOf(tile.dtype)),
             CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result == CUDA_SUCCESS) return Status();
  return Status(StatusCode::kInternal, "cuTensorMapEncodeTiled refuses a tensor: error " +
                                           std::to_string(static_cast<int>(result)));
}

#else

Status Encode(const TileDescription& tile, TensorMap* map) {
  FASTCONV_RETURN_IF_ERROR(CheckDescription(tile));
  map->tile = tile;
  return Status();
}

#endif

}  // namespace fastconv::cuda
