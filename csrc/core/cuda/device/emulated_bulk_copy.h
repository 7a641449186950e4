// Barriers and bulk copies on the CPU; bulk_copy.h says what the functions do. Loads happen when no
// thread can go on without them, the youngest first, and stores when their thread waits for them;
// in every other block all of them happen at once.
#ifndef FASTCONV_CORE_CUDA_DEVICE_EMULATED_BULK_COPY_H_
#define FASTCONV_CORE_CUDA_DEVICE_EMULATED_BULK_COPY_H_

#include "core/cuda/device/device.h"
#include "core/cuda/device/tensor_map.h"

namespace fastconv::cuda {

void Initialize(Barrier* barrier, int arrivals);
void FenceBarriers();
void Arrive(Barrier* barrier);
void ArriveExpecting(Barrier* barrier, int bytes);
void WaitPhase(Barrier* barrier, int parity);

void LoadBulk(void* to, const void* from, int bytes, Barrier* barrier);
void LoadTile(void* to, const TensorMap& map, const TilePosition& at, Barrier* barrier);
void PrefetchMap(const TensorMap& map);
void StoreBulk(void* to, const void* from, int bytes);
void CommitStores();
void WaitForStoreReads();
void WaitForStores();
void FenceBulkCopies();

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_DEVICE_EMULATED_BULK_COPY_H_
