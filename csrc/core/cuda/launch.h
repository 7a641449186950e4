// Starts a kernel: a struct with
//   struct Args                             plain data, passed by value
//   static constexpr int kThreads           of a block
//   static constexpr int kMinBlocks         that should fit onto a multiprocessor together
//   static FASTCONV_DEVICE void Run(args)   the work of one thread
#ifndef FASTCONV_CORE_CUDA_LAUNCH_H_
#define FASTCONV_CORE_CUDA_LAUNCH_H_

#include <cstdint>
#include <initializer_list>
#include <string>

#include "core/cuda/device/device.h"
#include "core/cuda/stream.h"
#include "core/status.h"

#if defined(__CUDACC__)
#include <cuda_runtime.h>
#endif

namespace fastconv::cuda {

// To the 16 bytes that kernels move at once; null is.
inline bool AllAligned(std::initializer_list<const void*> pointers) {
  for (const void* p : pointers) {
    if (reinterpret_cast<uintptr_t>(p) % 16 != 0) return false;
  }
  return true;
}

#if defined(__CUDACC__)

template <class Kernel>
__global__ void __launch_bounds__(Kernel::kThreads, Kernel::kMinBlocks)
    Entry(const __grid_constant__ typename Kernel::Args args) {
  Kernel::Run(args);
}

inline Status FromCuda(cudaError_t error) {
  if (error == cudaSuccess) return Status();
  return Status(StatusCode::kInternal,
                std::string("A CUDA kernel cannot be started: ") + cudaGetErrorString(error));
}

// Of the current device; 0 where there is none.
inline int DeviceAttribute(cudaDeviceAttr attribute) {
  int device = 0, value = 0;
  if (cudaGetDevice(&device) != cudaSuccess ||
      cudaDeviceGetAttribute(&value, attribute, device) != cudaSuccess) {
    return 0;
  }
  return value;
}
// Shared memory that a block may ask for.
inline int MaxSharedBytes() { return DeviceAttribute(cudaDevAttrMaxSharedMemoryPerBlockOptin); }
inline int Multiprocessors() { return DeviceAttribute(cudaDevAttrMultiProcessorCount); }
// 90 for 9.0.
inline int ComputeCapability() {
  return 10 * DeviceAttribute(cudaDevAttrComputeCapabilityMajor) +
         DeviceAttribute(cudaDevAttrComputeCapabilityMinor);
}

// An empty grid is no error: there is nothing to do.
template <class Kernel>
Status Launch(Block grid, int shared_bytes, Stream stream, const typename Kernel::Args& args) {
  if (grid.x == 0 || grid.y == 0) return Status();
  constexpr int kWithoutAsking = 48 << 10;
  if (shared_bytes > kWithoutAsking) {
    FASTCONV_RETURN_IF_ERROR(FromCuda(cudaFuncSetAttribute(
        Entry<Kernel>, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes)));
  }
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(grid.x, grid.y);
  config.blockDim = dim3(Kernel::kThreads);
  config.dynamicSmemBytes = shared_bytes;
  config.stream = stream;
  return FromCuda(cudaLaunchKernelEx(&config, Entry<Kernel>, args));
}

#else

// So few that blocks take several tiles each.
inline int Multiprocessors() { return 2; }
// Tests set it to choose kernels.
inline int emulated_capability = 80;
inline int ComputeCapability() { return emulated_capability; }
// CUDA C++ Programming Guide, "Compute Capabilities": what a multiprocessor has, less 1 KB that the
// system takes of each block.
inline int MaxSharedBytes() {
  switch (emulated_capability) {
    case 80:
      return 163 << 10;
    case 90:
      return 227 << 10;
    default:
      return 99 << 10;
  }
}

template <class Kernel>
Status Launch(Block grid, int shared_bytes, Stream, const typename Kernel::Args& args) {
  static_assert(Kernel::kThreads <= 1024, "a block of that size");
  constexpr int kMaxGridY = 0xFFFF;
  if (shared_bytes > MaxSharedBytes() || grid.y > kMaxGridY) {
    return Status(StatusCode::kInternal, "A CUDA kernel cannot be started: invalid argument");
  }
  emulation::RunGrid(grid, Kernel::kThreads, shared_bytes, {&args, sizeof(args)},
                     [&args] { Kernel::Run(args); });
  return Status();
}

#endif

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_LAUNCH_H_
