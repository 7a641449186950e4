// Runs tests of CUDA kernels on a GPU: buffers are in its memory. Without one no test runs, and the
// exit code says so.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "buffers.h"
#include "cases.h"

namespace fastconv::testing {
namespace {

constexpr int kSkipped = 77;  // SKIP_RETURN_CODE in CMakeLists.txt

// What a kernel did wrong also shows at the next call: no later result means anything.
void Require(cudaError_t error) {
  if (error == cudaSuccess) return;
  std::fprintf(stderr, "CUDA: %s\n", cudaGetErrorString(error));
  std::abort();
}

void* Allocate(size_t bytes) {
  void* memory = nullptr;
  Require(cudaMalloc(&memory, bytes));
  return memory;
}

void Free(void* memory) { Require(cudaFree(memory)); }

void Copy(void* to, const void* from, size_t bytes) {
  Require(cudaMemcpy(to, from, bytes, cudaMemcpyDefault));
}

}  // namespace

bool UseCapability(int capability) {
  cudaDeviceProp gpu;
  Require(cudaGetDeviceProperties(&gpu, 0));
  const int found = 10 * gpu.major + gpu.minor;
  return capability == 90 ? found == 90 : found >= capability;
}

}  // namespace fastconv::testing

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  int gpus = 0;
  const cudaError_t error = cudaGetDeviceCount(&gpus);
  if (error != cudaSuccess || gpus == 0) {
    std::printf("No test has run: these need a GPU (%s).\n", cudaGetErrorString(error));
    return fastconv::testing::kSkipped;
  }
  fastconv::testing::UseDevice(
      {fastconv::testing::Allocate, fastconv::testing::Free, fastconv::testing::Copy});
  return RUN_ALL_TESTS();
}
