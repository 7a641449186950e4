// What the parts of the emulation know of the block that runs: its warps' order, and what is still
// under way when it ends.
#ifndef FASTCONV_CORE_CUDA_DEVICE_EMULATED_BLOCK_H_
#define FASTCONV_CORE_CUDA_DEVICE_EMULATED_BLOCK_H_

#include <cstdint>

#include "core/cuda/device/emulated_races.h"

namespace fastconv::cuda::emulation {

// Called as a block begins, and when all its threads are done.
void BeginBlock(int threads, int shared_bytes);
void EndBlock();
void BeginProductsOfBlock(int threads);  // the part of emulated_warpgroup.cc
void EndProductsOfBlock();

// Watches from the first barrier in shared memory on.
RaceDetector& Races();
void WatchRaces();
// A barrier of the warps whose bits are set.
void MeetWarps(uint32_t warps);
// From the first byte of the shared memory, which [p, p + bytes) must be part of.
int SharedOffset(const void* p, int bytes);

}  // namespace fastconv::cuda::emulation

#endif  // FASTCONV_CORE_CUDA_DEVICE_EMULATED_BLOCK_H_
