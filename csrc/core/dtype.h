// Element types of tensors.
#ifndef FASTCONV_CORE_DTYPE_H_
#define FASTCONV_CORE_DTYPE_H_

#include <cstddef>
#include <cstdint>

namespace fastconv {

enum class DataType { kFloat32, kBFloat16, kFloat16, kFloat64, kUint8, kInt32 };

constexpr size_t SizeOf(DataType type) {
  switch (type) {
    case DataType::kFloat64:
      return 8;
    case DataType::kFloat32:
    case DataType::kInt32:
      return 4;
    case DataType::kBFloat16:
    case DataType::kFloat16:
      return 2;
    case DataType::kUint8:
      return 1;
  }
  return 0;
}

constexpr const char* Name(DataType type) {
  switch (type) {
    case DataType::kFloat64:
      return "float64";
    case DataType::kFloat32:
      return "float32";
    case DataType::kInt32:
      return "int32";
    case DataType::kBFloat16:
      return "bfloat16";
    case DataType::kFloat16:
      return "float16";
    case DataType::kUint8:
      return "uint8";
  }
  return "unknown";
}

// Type of sums, statistics and per-channel parameters for tensors of `type`.
constexpr DataType AccumulationType(DataType type) {
  return type == DataType::kFloat64 ? DataType::kFloat64 : DataType::kFloat32;
}

// Storage of the two 16-bit types; kernels convert to float on load and round to nearest even on
// store.
struct BFloat16 {
  uint16_t bits;
};
struct Float16 {
  uint16_t bits;
};

}  // namespace fastconv

#endif  // FASTCONV_CORE_DTYPE_H_
