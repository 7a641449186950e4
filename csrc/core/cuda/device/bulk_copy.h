// Bulk asynchronous copies and the barriers in shared memory that count their bytes, of compute
// capability 9.0. Part of the device layer (device.h), with its two implementations.
//
//   struct Barrier                           8 bytes of shared memory ("mbarrier"). Its phases are
//                                            numbered 0, 1, ...; a phase ends when as many threads
//                                            have arrived as Initialize said and the bytes expected
//                                            in it have come
//   void Initialize(barrier, arrivals)       by one thread, before FenceBarriers and SyncThreads
//   void FenceBarriers()                     makes initialised barriers known to bulk copies
//   void Arrive(barrier)
//   void ArriveExpecting(barrier, bytes)     the same, and that many bytes are to come
//   void WaitPhase(barrier, parity)          until the phase with this parity (number % 2) is over
//
// Copies are started by one thread. Loads arrive at a barrier; stores are in groups of the thread.
//
//   void LoadBulk(to, from, bytes, barrier)  a run of bytes; addresses and size multiples of 16
//   void LoadTile(to, map, at, barrier)      a box of the tensor (tensor_map.h), zero where outside
//   void PrefetchMap(map)                    hint: LoadTile is going to use it
//   void StoreBulk(to, from, bytes)          from shared memory
//   void CommitStores()                      makes a group of the stores since the last one
//   void WaitForStoreReads()                 until the thread's stores have read shared memory
//   void WaitForStores()                     until they have been written
//   void FenceBulkCopies()                   for all lanes of a warp: makes their writes to shared
//                                            memory known to bulk copies and warpgroup.h's products
#ifndef FASTCONV_CORE_CUDA_DEVICE_BULK_COPY_H_
#define FASTCONV_CORE_CUDA_DEVICE_BULK_COPY_H_

#include <cstdint>

#include "core/cuda/device/device.h"
#include "core/cuda/device/tensor_map.h"

namespace fastconv::cuda {

struct alignas(8) Barrier {
  uint32_t word[2];
};

}  // namespace fastconv::cuda

#if !defined(__CUDACC__)
#include "core/cuda/device/emulated_bulk_copy.h"
#else

#include "core/cuda/device/matrix.h"

namespace fastconv::cuda {

FASTCONV_DEVICE void Initialize(Barrier* barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(SharedAddress(barrier)),
               "r"(arrivals)
               : "memory");
}
FASTCONV_DEVICE void FenceBarriers() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
FASTCONV_DEVICE void Arrive(Barrier* barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(SharedAddress(barrier)) : "memory");
}
FASTCONV_DEVICE void ArriveExpecting(Barrier* barrier, int bytes) {
  asm volatile(
      "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(SharedAddress(barrier)),
      "r"(bytes)
      : "memory");
}
FASTCONV_DEVICE void WaitPhase(Barrier* barrier, int parity) {
  asm volatile(
      "{\n"
      ".reg .pred over;\n"
      "again_%=:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 over, [%0], %1;\n"
      "@!over bra again_%=;\n"
      "}" ::"r"(SharedAddress(barrier)),
      "r"(parity)
      : "memory");
}

FASTCONV_DEVICE void LoadBulk(void* to, const void* from, int bytes, Barrier* barrier) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::
          "r"(SharedAddress(to)),
      "l"(from), "r"(bytes), "r"(SharedAddress(barrier))
      : "memory");
}
FASTCONV_DEVICE void LoadTile(void* to, const TensorMap& map, const TilePosition& at,
                              Barrier* barrier) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%2, %3, %4, %5}], [%6];" ::"r"(SharedAddress(to)),
      "l"(&map), "r"(at.index[0]), "r"(at.index[1]), "r"(at.index[2]), "r"(at.index[3]),
      "r"(SharedAddress(barrier))
      : "memory");
}
FASTCONV_DEVICE void PrefetchMap(const TensorMap& map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
}

FASTCONV_DEVICE void StoreBulk(void* to, const void* from, int bytes) {
  asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(to),
               "r"(SharedAddress(from)), "r"(bytes)
               : "memory");
}
FASTCONV_DEVICE void CommitStores() { asm volatile("cp.async.bulk.commit_group;" ::: "memory"); }
FASTCONV_DEVICE void WaitForStoreReads() {
  asm volatile("cp.async.bulk.wait_group.read 0;" ::: "memory");
}
FASTCONV_DEVICE void WaitForStores() { asm volatile("cp.async.bulk.wait_group 0;" ::: "memory"); }
FASTCONV_DEVICE void FenceBulkCopies() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

}  // namespace fastconv::cuda

#endif

#endif  // FASTCONV_CORE_CUDA_DEVICE_BULK_COPY_H_
