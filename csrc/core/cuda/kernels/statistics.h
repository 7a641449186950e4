// Mean and population variance per channel, in one pass over memory.
//
// A thread sums deviations from its first value, which lies among the others, so that nothing
// cancels; means and sums of squared deviations then merge pairwise (Chan, Golub, LeVeque 1983),
// within a block as a tree, over the blocks in double.
#ifndef FASTCONV_CORE_CUDA_KERNELS_STATISTICS_H_
#define FASTCONV_CORE_CUDA_KERNELS_STATISTICS_H_

#include <cmath>
#include <cstdint>

#include "core/cuda/kernels/channel_sums.h"
#include "core/cuda/kernels/traversal.h"
#include "core/cuda/kernels/values.h"

namespace fastconv::cuda {

// Of some samples: their number, mean, and sum of squared deviations from it.
template <class Number>
struct Moments {
  Number count, mean, squares;

  FASTCONV_DEVICE void Merge(const Moments& other) {
    if (other.count == 0) return;
    const Number total = count + other.count;
    const Number distance = other.mean - mean;
    const Number share = other.count / total;
    mean += distance * share;
    squares += other.squares + distance * distance * count * share;
    count = total;
  }
};

// What a block leaves of its samples: their number, a value among them, and the sums of deviations
// from that and of their squares.
constexpr int kStatisticsValues = 4;

template <class T, int kVector>
struct BlockStatistics {
  struct Args {
    Traversal traversal;
    const T* z;
    float* partials;  // as of MergeStatistics
  };
  static constexpr int kThreads = kTraversalThreads;
  static constexpr int kMinBlocks = 2;
  struct Vector {
    Moments<float> channel[kVector];
  };
  static constexpr int kSharedBytes = kThreads * static_cast<int>(sizeof(Vector));

  static FASTCONV_DEVICE void Run(const Args& args) {
    const Part part = MakePart<kVector>(args.traversal);
    const int channels = args.traversal.channels;
    Vector mine = {};
    if (part.active && part.first < args.traversal.items) {
      float shift[kVector], sum[kVector], squares[kVector];
      LoadValues(args.z + part.first * channels + part.channel, shift);
      FASTCONV_UNROLL
      for (int c = 0; c < kVector; ++c) sum[c] = squares[c] = 0;
      int count = 0;
      for (int64_t item = part.first; item < args.traversal.items; item += part.step, ++count) {
        float z[kVector];
        LoadValues(args.z + item * channels + part.channel, z);
        FASTCONV_UNROLL
        for (int c = 0; c < kVector; ++c) {
          const float deviation = z[c] - shift[c];
          sum[c] += deviation;
          squares[c] += deviation * deviation;
        }
      }
      const float samples = static_cast<float>(count);
      FASTCONV_UNROLL
      for (int c = 0; c < kVector; ++c) {
        const float mean = sum[c] / samples;
        mine.channel[c] = {samples, shift[c] + mean, squares[c] - sum[c] * mean};
      }
    }
    CombineLanes(args.traversal, part, &mine, [](Vector* to, const Vector& other) {
      FASTCONV_UNROLL
      for (int c = 0; c < kVector; ++c) to->channel[c].Merge(other.channel[c]);
    });
    if (!part.active || part.lane > 0) return;
    float* to = args.partials +
                static_cast<int64_t>(BlockIndex().x) * kStatisticsValues * channels + part.channel;
    FASTCONV_UNROLL
    for (int c = 0; c < kVector; ++c) {
      to[c] = mine.channel[c].count;
      to[channels + c] = mine.channel[c].mean;
      to[2 * channels + c] = 0;
      to[3 * channels + c] = mine.channel[c].squares;
    }
  }
};

struct MergeStatistics {
  struct Args {
    const float* partials;  // [block][kStatisticsValues][channels]
    int blocks, channels;
    float* mean;
    float* variance;
  };
  static constexpr int kColumns = kWarpSize;
  static constexpr int kSlices = 8;
  static constexpr int kThreads = kColumns * kSlices;
  static constexpr int kMinBlocks = 1;
  static constexpr int kSharedBytes = kThreads * static_cast<int>(sizeof(Moments<double>));

  static Block GridFor(const Args& args) { return {(args.channels + kColumns - 1) / kColumns, 1}; }

  static FASTCONV_DEVICE void Run(const Args& args) {
    const int channel = BlockIndex().x * kColumns + ThreadIndex() % kColumns;
    const int slice = ThreadIndex() / kColumns;
    const bool active = channel < args.channels;
    Moments<double> mine = {};
    for (int block = slice; active && block < args.blocks; block += kSlices) {
      const float* from =
          args.partials + static_cast<int64_t>(block) * kStatisticsValues * args.channels + channel;
      const float count = from[0], shift = from[args.channels];
      const double sum = from[2 * args.channels], squares = from[3 * args.channels];
      const double mean = sum / count;
      mine.Merge({count, shift + mean, squares - sum * mean});
    }
    auto* all = reinterpret_cast<Moments<double>*>(SharedMemory());
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
