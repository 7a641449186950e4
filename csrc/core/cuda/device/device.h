// What kernels see of the machine. They are written once, against these functions, and run in two
// ways: compiled by nvcc on a GPU (nvidia.h), or by a C++ compiler on the CPU (emulated.h), where
// tests check their index arithmetic, barriers and memory accesses without a GPU.
//
//   FASTCONV_DEVICE, FASTCONV_HOST_DEVICE   before functions of kernels
//   FASTCONV_UNROLL                         before a loop with a constant number of rounds
//   FASTCONV_UNROLL_BY(rounds)              the same, but so many at a time; 1: not at all
//   Block BlockIndex(), GridSize()          x and y
//   int ThreadIndex(), LaneIndex(), WarpIndex()
//   int ThreadIndexAgain()                  the same, but what is computed from it is not kept in
//                                           registers over the rounds of a loop
//   int UniformWarpIndex()                  WarpIndex(), of which the compiler knows that the
//                                           warp's threads agree: they branch together, and what
//                                           they compute from it takes uniform registers
//   unsigned char* SharedMemory()           of the launch's size, aligned to 128 bytes
//   uint32_t SharedAddress(p)               of p inside it, in the GPU's window of shared memory
//   void SyncThreads(), SyncWarp()
//   void SyncGroup(id, threads)             SyncThreads of some warps; id in 1 to 15
//   Bits<n> Load<n>(p), void Store(p, Bits<n>)     n in {1, 2, 4, 8, 16} bytes, p aligned to n
//   float ShuffleXor(v, lanes)              v of the lane whose number differs by `lanes`
//   uint16_t RoundToBFloat16(v), RoundToFloat16(v), float FromFloat16(bits)
//   Tensor cores and asynchronous copies: see matrix.h.
//
// Calls of UniformWarpIndex, SyncWarp, SyncGroup, ShuffleXor and those of matrix.h are for all
// lanes of a warp together.
#ifndef FASTCONV_CORE_CUDA_DEVICE_DEVICE_H_
#define FASTCONV_CORE_CUDA_DEVICE_DEVICE_H_

#include <cstdint>

namespace fastconv::cuda {

constexpr int kWarpSize = 32;

struct Block {
  int x, y;
};

// Registers of `kBytes` bytes that move as one.
template <int kBytes>
struct Bits {
  static_assert(kBytes == 8 || kBytes == 16, "a power of 2, up to 16");
  uint32_t word[kBytes / 4];
};
template <>
struct Bits<4> {
  uint32_t word[1];
};
template <>
struct Bits<2> {
  uint16_t word[1];
};
template <>
struct Bits<1> {
  uint8_t word[1];
};

}  // namespace fastconv::cuda

#if defined(__CUDACC__)
#include "core/cuda/device/nvidia.h"
#else
#include "core/cuda/device/emulated.h"
#endif

#endif  // FASTCONV_CORE_CUDA_DEVICE_DEVICE_H_
