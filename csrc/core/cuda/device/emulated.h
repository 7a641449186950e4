// The device layer on the CPU, for tests; device.h and matrix.h say what the functions do.
//
// Blocks run one after the other. The threads of a block are fibers, which take turns where they
// wait for each other. A warp runs as far as it comes without the others, every other block in
// reverse order, so that a missing barrier shows. Shared memory begins as NaN and has guards behind
// it. What would be undefined on a GPU ends the program with a message: misaligned accesses,
// barriers or collective calls that not all threads reach and, in kernels with barriers in shared
// memory (bulk_copy.h), accesses to it that nothing orders (emulated_races.h).
#ifndef FASTCONV_CORE_CUDA_DEVICE_EMULATED_H_
#define FASTCONV_CORE_CUDA_DEVICE_EMULATED_H_

#include <cstdint>
#include <cstring>
#include <functional>

#define FASTCONV_DEVICE inline
#define FASTCONV_HOST_DEVICE inline
#define FASTCONV_UNROLL
#define FASTCONV_UNROLL_BY(rounds)

namespace fastconv::cuda {
namespace emulation {

// What a kernel is passed.
struct Parameters {
  const void* begin;
  size_t bytes;
};

// Runs `kernel` in every thread of the grid.
void RunGrid(Block grid, int threads, int shared_bytes, const Parameters& parameters,
             const std::function<void()>& kernel);

struct Thread {
  int index;
  Block block, grid;
};
const Thread& CurrentThread();
unsigned char* SharedMemory();
void SyncThreads();

// Waits until all lanes of the warp have come with the same operation. The last one to come
// performs it on what all of them brought, in the order of lanes. The same with a warpgroup.
using WarpOperation = void (*)(void* const* lanes);
void WithWarp(WarpOperation operation, void* mine);
void WithWarpgroup(WarpOperation operation, void* mine);

// Of every other block the warps and lanes run in reverse order, and copies happen at once.
bool IsOddBlock();
// Lets other threads run until the condition holds.
void WaitUntil(const std::function<bool()>& condition);
// Called after a change that threads may wait for.
void MadeProgress();
// Of what is deferred, the youngest is performed when no thread can go on.
void Defer(std::function<void()> work);

[[noreturn]] void Fail(const char* what);
void RequireAligned(const void* p, int bytes);
void RequireShared(const void* p, int bytes);        // inside the block's shared memory
void RequireParameter(const void* p, size_t bytes);  // part of what the kernel is passed

// Of the GPU's window of shared memory.
uint32_t SharedAddress(const void* p);
unsigned char* FromSharedAddress(uint32_t address, int bytes);

// An access that may be one to watched shared memory.
enum class Access { kRead, kWrite };
extern bool watching_races;
void WatchShared(const void* p, int bytes, Access access);
inline void Watch(const void* p, int bytes, Access access) {
  if (watching_races) WatchShared(p, bytes, access);
}

}  // namespace emulation

inline Block BlockIndex() { return emulation::CurrentThread().block; }
inline Block GridSize() { return emulation::CurrentThread().grid; }
inline int ThreadIndex() { return emulation::CurrentThread().index; }
inline int ThreadIndexAgain() { return ThreadIndex(); }
inline int LaneIndex() { return ThreadIndex() % kWarpSize; }
inline int WarpIndex() { return ThreadIndex() / kWarpSize; }
inline unsigned char* SharedMemory() { return emulation::SharedMemory(); }
inline uint32_t SharedAddress(const void* p) { return emulation::SharedAddress(p); }
inline void SyncThreads() { emulation::SyncThreads(); }
inline void SyncWarp() {
  emulation::WithWarp([](void* const*) {}, nullptr);
}
void SyncGroup(int id, int threads);
inline int UniformWarpIndex() {
  SyncWarp();
  return WarpIndex();
}

template <int kBytes>
Bits<kBytes> Load(const void* p) {
  emulation::RequireAligned(p, kBytes);
  emulation::Watch(p, kBytes, emulation::Access::kRead);
  Bits<kBytes> bits;
  std::memcpy(&bits, p, kBytes);
  return bits;
}

template <int kBytes>
void Store(void* p, const Bits<kBytes>& bits) {
  emulation::RequireAligned(p, kBytes);
  emulation::Watch(p, kBytes, emulation::Access::kWrite);
  std::memcpy(p, &bits, kBytes);
}

float ShuffleXor(float v, int lanes);

// Round to nearest, ties to even, as the GPU's conversions do.
uint16_t RoundToBFloat16(float v);
uint16_t RoundToFloat16(float v);
float FromFloat16(uint16_t bits);

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_DEVICE_EMULATED_H_
