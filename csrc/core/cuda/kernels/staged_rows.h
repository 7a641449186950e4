// Rows of results on their way to memory through shared memory, in bulk copies:
// warpgroup_conv3x3.h.
#ifndef FASTCONV_CORE_CUDA_KERNELS_STAGED_ROWS_H_
#define FASTCONV_CORE_CUDA_KERNELS_STAGED_ROWS_H_

#include <cstdint>

#include "core/cuda/device/bulk_copy.h"
#include "core/cuda/device/warpgroup.h"

namespace fastconv::cuda {

// Of one warpgroup, with two buffers: while one is written the other is copied. A row is made of
// units of 128 bytes, of which a lane puts two parts of 16, 64 apart; four lanes put a unit.
template <int kUnits>
class StagedRows {
 public:
  static constexpr int kUnitBytes = 128;
  static constexpr int kBytes = 2 * kUnits * kUnitBytes;

  // `barrier`: the warpgroup's own, for SyncGroup.
  FASTCONV_DEVICE StagedRows(unsigned char* buffers, int barrier)
      : buffers_(buffers), barrier_(barrier) {}

  // Lanes of odd units put the upper part first: a quarter of a warp then fills whole lines.
  FASTCONV_DEVICE void Put(int unit, const Bits<16>& lower, const Bits<16>& upper) {
    const bool odd = unit % 2 != 0;
    Bits<16> first, second;
    FASTCONV_UNROLL
    for (int i = 0; i < 4; ++i) {
      first.word[i] = odd ? upper.word[i] : lower.word[i];
      second.word[i] = odd ? lower.word[i] : upper.word[i];
    }
    unsigned char* const to = Buffer() + unit * kUnitBytes + LaneIndex() % 4 * 16;
    Store(to + (odd ? 64 : 0), first);
    Store(to + (odd ? 0 : 64), second);
  }

  // All threads, when the row is put: its part from first_unit on goes `to` where the lane of the
  // first warp has `bytes` > 0.
  FASTCONV_DEVICE void Send(int first_unit, unsigned char* to, int bytes) {
    const bool copies = UniformWarpIndex() % 4 == 0;
    FenceBulkCopies();
    if (copies) WaitForStoreReads();  // of the other buffer, which everybody may put into now
    SyncGroup(barrier_, kWarpgroupSize);
    if (copies && bytes > 0) {
      StoreBulk(to, Buffer() + first_unit * kUnitBytes, bytes);
      CommitStores();
    }
    odd_ = !odd_;
  }

  FASTCONV_DEVICE void Finish() const { WaitForStores(); }

 private:
  FASTCONV_DEVICE unsigned char* Buffer() const {
    return buffers_ + (odd_ ? kUnits * kUnitBytes : 0);
  }

  unsigned char* const buffers_;
  const int barrier_;
  bool odd_ = false;
};

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_KERNELS_STAGED_ROWS_H_
