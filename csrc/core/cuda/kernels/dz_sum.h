// Sums of dz over all pixels, the gradient of a bias, taken on dz's way into shared memory.
#ifndef FASTCONV_CORE_CUDA_KERNELS_DZ_SUM_H_
#define FASTCONV_CORE_CUDA_KERNELS_DZ_SUM_H_

#include "core/cuda/kernels/column_sums.h"
#include "core/cuda/kernels/tile_load.h"

namespace fastconv::cuda {

// Of a block whose tiles have as many channels as a warp has threads. `Load`: dz's TileLoad.
template <class Load, int kThreads>
class DzSum {
  static constexpr int kWarps = kThreads / kWarpSize;

 public:
  static constexpr int kSharedValues = kWarps * kWarpSize;

  // Finishes a load and adds up what came. Whole warps call it.
  FASTCONV_DEVICE void FinishAndAdd(const Load& load, unsigned char* dz) {
    float sum[Load::kVector] = {};
    load.FinishAndSum(dz, sum);
    sum_ += SumColumns(sum);
  }

  // The block's, the first `count` channels of them. All threads call it; `shared`: kSharedValues.
  FASTCONV_DEVICE void Store(float* shared, int count, float* to) const {
    // The column whose sum SumColumns leaves in this thread.
    constexpr int kSharers = kWarpSize / Load::kVector;
    const int column = LaneIndex() % kSharers * Load::kVector + LaneIndex() / kSharers;
    shared[WarpIndex() * kWarpSize + column] = sum_;
    SyncThreads();
    const int mine = ThreadIndex();
    if (mine >= kWarpSize || mine >= count) return;
    float sum = 0;
    for (int warp = 0; warp < kWarps; ++warp) sum += shared[warp * kWarpSize + mine];
    to[mine] = sum;
  }

 private:
  float sum_ = 0;  // of one channel
};

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_KERNELS_DZ_SUM_H_
