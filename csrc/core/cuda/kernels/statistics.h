// Mean and population variance per channel of what blocks left of their samples, in double: means
// and sums of squared deviations merge pairwise (Chan, Golub, LeVeque 1983).
#ifndef FASTCONV_CORE_CUDA_KERNELS_STATISTICS_H_
#define FASTCONV_CORE_CUDA_KERNELS_STATISTICS_H_

#include <cmath>
#include <cstdint>

#include "core/cuda/device/device.h"

namespace fastconv::cuda {

// Of some samples: their number, mean, and sum of squared deviations from it.
struct Moments {
  double count, mean, squares;

  FASTCONV_DEVICE void Merge(const Moments& other) {
    if (other.count == 0) return;
    const double total = count + other.count;
    const double distance = other.mean - mean;
    const double share = other.count / total;
    mean += distance * share;
    squares += other.squares + distance * distance * count * share;
    count = total;
  }
};

// What a block leaves of its samples: their number, a value among them, and the sums of deviations
// from that and of their squares.
constexpr int kStatisticsValues = 4;

struct MergeStatistics {
  struct Args {
    const float* partials;  // [block][kStatisticsValues][channels]
    int blocks, channels;
    float* mean;
    float* variance;
  };
  static constexpr int kColumns = kWarpSize;
  static constexpr int kSlices = 32;
  static constexpr int kThreads = kColumns * kSlices;
  static constexpr int kMinBlocks = 1;
  static constexpr int kSharedBytes = kThreads * static_cast<int>(sizeof(Moments));

  static Block GridFor(const Args& args) { return {(args.channels + kColumns - 1) / kColumns, 1}; }

  static FASTCONV_DEVICE void Run(const Args& args) {
    const int channel = BlockIndex().x * kColumns + ThreadIndex() % kColumns;
    const int slice = ThreadIndex() / kColumns;
    const bool active = channel < args.channels;
    Moments mine = {};
    for (int block = slice; active && block < args.blocks; block += kSlices) {
      const float* from =
          args.partials + static_cast<int64_t>(block) * kStatisticsValues * args.channels + channel;
      const float count = from[0], shift = from[args.channels];
      const double sum = from[2 * args.channels], squares = from[3 * args.channels];
      const double mean = sum / count;
      mine.Merge({count, shift + mean, squares - sum * mean});
    }
    auto* all = reinterpret_cast<Moments*>(SharedMemory());
    all[ThreadIndex()] = mine;
    SyncThreads();
    if (!active || slice > 0) return;
    for (int i = 1; i < kSlices; ++i) mine.Merge(all[ThreadIndex() + i * kColumns]);
    // No samples: 0 / 0, a NaN, as in stock.
    args.mean[channel] = static_cast<float>(mine.count == 0 ? NAN : mine.mean);
    args.variance[channel] = static_cast<float>(mine.squares / mine.count);
  }
};

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_KERNELS_STATISTICS_H_
