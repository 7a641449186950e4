// Kernels of the tests of warpgroups: how they start, and what they share.
#ifndef FASTCONV_TESTS_CPP_CUDA_WARPGROUP_KERNELS_H_
#define FASTCONV_TESTS_CPP_CUDA_WARPGROUP_KERNELS_H_

#include <gtest/gtest.h>

#include <cstdint>

#include "core/cuda/device/bulk_copy.h"
#include "core/cuda/device/warpgroup.h"
#include "core/cuda/launch.h"

namespace fastconv::testing {

inline constexpr int kWarpgroup = cuda::kWarpgroupSize;
inline constexpr int kSharedBytes = 64 << 10;

// A kernel of one block or, with both ways of scheduling, of two, from a function of its thread.
template <class Arguments, void (*kBody)(const Arguments&), int kCount>
struct TestKernel {
  using Args = Arguments;
  static constexpr int kThreads = kCount;
  static constexpr int kMinBlocks = 1;
  static void Run(const Args& args) { kBody(args); }
};

template <class Args, void (*kBody)(const Args&), int kThreads = kWarpgroup>
void RunKernel(const Args& args) {
  const Status status =
      cuda::Launch<TestKernel<Args, kBody, kThreads>>({2, 1}, kSharedBytes, nullptr, args);
  ASSERT_TRUE(status.ok());
}

// The parts of the shared memory that the kernels here use.
struct Area {
  unsigned char* data;     // aligned to 1024 bytes of the GPU's address
  cuda::Barrier* barrier;  // a few
};
inline Area SharedArea() {
  unsigned char* const begin = cuda::SharedMemory();
  const uint32_t past = cuda::SharedAddress(begin) % 1024;
  unsigned char* const data = begin + (past == 0 ? 0 : 1024 - past);
  return {data, reinterpret_cast<cuda::Barrier*>(data + kSharedBytes - 2048)};
}

inline void InitializeBarriers(const Area& area, int arrivals) {
  if (cuda::ThreadIndex() == 0) {
    cuda::Initialize(&area.barrier[0], 1);
    cuda::Initialize(&area.barrier[1], arrivals);
    cuda::FenceBarriers();
  }
  cuda::SyncThreads();
}

}  // namespace fastconv::testing

#endif  // FASTCONV_TESTS_CPP_CUDA_WARPGROUP_KERNELS_H_
