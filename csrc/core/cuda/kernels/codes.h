// The codes of pooled cells (see MaxPoolSpec, core/problem.h), and where windows lie.
#ifndef FASTCONV_CORE_CUDA_KERNELS_CODES_H_
#define FASTCONV_CORE_CUDA_KERNELS_CODES_H_

#include <cstdint>

#include "core/cuda/kernels/block_args.h"
#include "core/cuda/kernels/values.h"

namespace fastconv::cuda {

FASTCONV_DEVICE constexpr int PositiveBit(bool wide) { return wide ? INT32_MIN : 0x80; }
FASTCONV_DEVICE constexpr int DroppedCode(bool wide) { return wide ? INT32_MAX : 0x7F; }
FASTCONV_DEVICE int CodeOf(bool wide, int position, bool positive) {
  return positive ? position | PositiveBit(wide) : position;
}
FASTCONV_DEVICE int PositionOf(bool wide, int code) { return code & DroppedCode(wide); }
FASTCONV_DEVICE bool IsPositive(bool wide, int code) { return (code & PositiveBit(wide)) != 0; }

template <int kCount>
FASTCONV_DEVICE void LoadCodes(bool wide, const void* codes, int64_t at, int (&values)[kCount]) {
  if (wide) {
    int32_t elements[kCount];
    LoadElements(static_cast<const int32_t*>(codes) + at, elements);
    FASTCONV_UNROLL
    for (int i = 0; i < kCount; ++i) values[i] = elements[i];
  } else {
    uint8_t elements[kCount];
    LoadElements(static_cast<const uint8_t*>(codes) + at, elements);
    FASTCONV_UNROLL
    for (int i = 0; i < kCount; ++i) values[i] = elements[i];
  }
}

template <int kCount>
FASTCONV_DEVICE void StoreCodes(bool wide, const int (&values)[kCount], void* codes, int64_t at) {
  if (wide) {
    int32_t elements[kCount];
    FASTCONV_UNROLL
    for (int i = 0; i < kCount; ++i) elements[i] = values[i];
    StoreElements(elements, static_cast<int32_t*>(codes) + at);
  } else {
    uint8_t elements[kCount];
    FASTCONV_UNROLL
    for (int i = 0; i < kCount; ++i) elements[i] = static_cast<uint8_t>(values[i]);
    StoreElements(elements, static_cast<uint8_t*>(codes) + at);
  }
}

// The part of a window that lies inside the map.
struct WindowSpan {
  int first;       // position of the window's element 0, may be negative
  int begin, end;  // elements of the window inside the map

  FASTCONV_DEVICE WindowSpan(const PoolAxis& axis, int out)
      : first(out * axis.stride - axis.pad),
        begin(first < 0 ? -first : 0),
        end(first + axis.window > axis.in ? axis.in - first : axis.window) {}
};

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_KERNELS_CODES_H_
