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

FASTCONV_DEVICE Moments MomentsOf(const float (&values)[kStatisticsValues]) {
  const float count = values[0], shift = values[1];
  const double sum = values[2], squares = values[3];
  const double mean = sum / count;
  return {count, shift + mean, squares - sum * mean};
}

struct MergeStatistics {
  struct Args {
    const float* partials;  // [block][kStatisticsValues][channels]
    int blocks, channels;
    float* mean;
    float* variance;
  };
  // Divisions of double take longest: a channel has many threads, a multiprocessor few channels.
  static constexpr int kColumns = 8;
  static constexpr int kSlices = 128;
  static constexpr int kBatch = 4;  // blocks that wait for memory together
  static constexpr int kThreads = kColumns * kSlices;
  static constexpr int kMinBlocks = 1;
  static constexpr int kSharedBytes = kThreads * static_cast<int>(sizeof(Moments));

  static Block GridFor(const Args& args) { return {(args.channels + kColumns - 1) / kColumns, 1}; }

  static FASTCONV_DEVICE void Run(const Args& args) {
    const int channel = BlockIndex().x * kColumns + ThreadIndex() % kColumns;
    const int slice = ThreadIndex() / kColumns;
    const bool active = channel < args.channels;
    Moments mine = {};
    for (int first = slice; active && first < args.blocks; first += kBatch * kSlices) {
      float values[kBatch][kStatisticsValues] = {};  // of blocks that are not there: no samples
      FASTCONV_UNROLL
      for (int i = 0; i < kBatch; ++i) {
        const int64_t block = first + i * kSlices;
        const float* from = args.partials + block * kStatisticsValues * args.channels + channel;
        FASTCONV_UNROLL
        for (int k = 0; k < kStatisticsValues; ++k) {
          if (block < args.blocks) values[i][k] = from[k * args.channels];
        }
      }
      FASTCONV_UNROLL
      for (int i = 0; i < kBatch; ++i) mine.Merge(MomentsOf(values[i]));
    }
    auto* all = reinterpret_cast<Moments*>(SharedMemory());
    for (int half = kSlices / 2; half > 0; half /= 2) {
      all[ThreadIndex()] = mine;
      SyncThreads();
      if (slice < half) mine.Merge(all[ThreadIndex() + half * kColumns]);
      SyncThreads();
    }
    if (!active || slice > 0) return;
    // No samples: 0 / 0, a NaN, as in stock.
    args.mean[channel] = static_cast<float>(mine.count == 0 ? NAN : mine.mean);
    args.variance[channel] = static_cast<float>(mine.squares / mine.count);
  }
};

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_KERNELS_STATISTICS_H_
