// How the threads of the pointwise kernels share a tensor [items][channels]: each takes a run of
// kVector channels and, of the items, every so many, so that a block reads memory without gaps and
// what belongs to a channel is loaded once.
#ifndef FASTCONV_CORE_CUDA_KERNELS_TRAVERSAL_H_
#define FASTCONV_CORE_CUDA_KERNELS_TRAVERSAL_H_

#include <cstdint>

#include "core/cuda/device/device.h"

namespace fastconv::cuda {

constexpr int kTraversalThreads = 256;

struct Traversal {
  int channels;
  int64_t items;
  int runs;    // of channels, that a block has side by side
  int lanes;   // items that a block has at a time
  Block grid;  // x: over items, y: over channels
};

// A thread's part.
struct Part {
  int channel;
  int lane;
  bool active;
  int64_t first, step;  // items
};

template <int kVector>
FASTCONV_DEVICE Part MakePart(const Traversal& traversal) {
  const Block block = BlockIndex();
  Part part;
  part.lane = ThreadIndex() / traversal.runs;
  part.channel = (block.y * traversal.runs + ThreadIndex() - part.lane * traversal.runs) * kVector;
  part.active = part.lane < traversal.lanes && part.channel < traversal.channels;
  part.first = static_cast<int64_t>(block.x) * traversal.lanes + part.lane;
  part.step = static_cast<int64_t>(GridSize().x) * traversal.lanes;
  return part;
}

// Calls load(i, item) for up to kAhead items of the thread's and then use(i, item) for each, so
// that as many loads are under way at once. i is a constant of the unrolled code.
template <int kAhead, class Load, class Use>
FASTCONV_DEVICE void ForItems(const Part& part, int64_t items, const Load& load, const Use& use) {
  for (int64_t first = part.first; first < items; first += kAhead * part.step) {
    FASTCONV_UNROLL
    for (int i = 0; i < kAhead; ++i) {
      const int64_t item = first + i * part.step;
      if (item < items) load(i, item);
    }
    FASTCONV_UNROLL
    for (int i = 0; i < kAhead; ++i) {
      const int64_t item = first + i * part.step;
      if (item < items) use(i, item);
    }
  }
}

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_KERNELS_TRAVERSAL_H_
