// The device layer on an NVIDIA GPU; device.h and matrix.h say what the functions do.
#ifndef FASTCONV_CORE_CUDA_DEVICE_NVIDIA_H_
#define FASTCONV_CORE_CUDA_DEVICE_NVIDIA_H_

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

#define FASTCONV_DEVICE __device__ __forceinline__
#define FASTCONV_HOST_DEVICE __host__ __device__ __forceinline__
#define FASTCONV_UNROLL _Pragma("unroll")
#define FASTCONV_PRAGMA(text) _Pragma(#text)
#define FASTCONV_UNROLL_BY(rounds) FASTCONV_PRAGMA(unroll(rounds))

namespace fastconv::cuda {

FASTCONV_DEVICE Block BlockIndex() {
  return {static_cast<int>(blockIdx.x), static_cast<int>(blockIdx.y)};
}
FASTCONV_DEVICE Block GridSize() {
  return {static_cast<int>(gridDim.x), static_cast<int>(gridDim.y)};
}
FASTCONV_DEVICE int ThreadIndex() { return static_cast<int>(threadIdx.x); }
FASTCONV_DEVICE int ThreadIndexAgain() {
  int index = ThreadIndex();
  asm volatile("" : "+r"(index));
  return index;
}
FASTCONV_DEVICE int LaneIndex() { return ThreadIndex() % kWarpSize; }
FASTCONV_DEVICE int WarpIndex() { return ThreadIndex() / kWarpSize; }
FASTCONV_DEVICE int UniformWarpIndex() { return __shfl_sync(0xFFFFFFFFu, WarpIndex(), 0); }

FASTCONV_DEVICE unsigned char* SharedMemory() {
  extern __shared__ __align__(128) unsigned char shared_memory[];
  return shared_memory;
}

FASTCONV_DEVICE uint32_t SharedAddress(const void* p) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}

FASTCONV_DEVICE void SyncThreads() { __syncthreads(); }
FASTCONV_DEVICE void SyncWarp() { __syncwarp(); }
FASTCONV_DEVICE void SyncGroup(int id, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

template <int kBytes>
FASTCONV_DEVICE Bits<kBytes> Load(const void* p) {
  if constexpr (kBytes == 16) {
    const uint4 v = *static_cast<const uint4*>(p);
    return {{v.x, v.y, v.z, v.w}};
  } else if constexpr (kBytes == 8) {
    const uint2 v = *static_cast<const uint2*>(p);
    return {{v.x, v.y}};
  } else {
    return *static_cast<const Bits<kBytes>*>(p);
  }
}

template <int kBytes>
FASTCONV_DEVICE void Store(void* p, const Bits<kBytes>& bits) {
  if constexpr (kBytes == 16) {
    *static_cast<uint4*>(p) = make_uint4(bits.word[0], bits.word[1], bits.word[2], bits.word[3]);
  } else if constexpr (kBytes == 8) {
    *static_cast<uint2*>(p) = make_uint2(bits.word[0], bits.word[1]);
  } else {
    *static_cast<Bits<kBytes>*>(p) = bits;
  }
}

FASTCONV_DEVICE float ShuffleXor(float v, int lanes) {
  return __shfl_xor_sync(0xFFFFFFFFu, v, lanes);
}

FASTCONV_DEVICE uint16_t RoundToBFloat16(float v) {
  return __bfloat16_as_ushort(__float2bfloat16_rn(v));
}
FASTCONV_DEVICE uint16_t RoundToFloat16(float v) { return __half_as_ushort(__float2half_rn(v)); }
FASTCONV_DEVICE float FromFloat16(uint16_t bits) { return __half2float(__ushort_as_half(bits)); }

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_DEVICE_NVIDIA_H_
