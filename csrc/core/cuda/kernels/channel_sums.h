// Sums per channel over all samples, in two steps whose order is fixed, so that results repeat:
// each block adds up its own, then one kernel those of the blocks.
#ifndef FASTCONV_CORE_CUDA_KERNELS_CHANNEL_SUMS_H_
#define FASTCONV_CORE_CUDA_KERNELS_CHANNEL_SUMS_H_

#include <cstdint>

#include "core/cuda/kernels/traversal.h"
#include "core/cuda/kernels/values.h"

namespace fastconv::cuda {

// Bytes of shared memory for a block's sums.
template <int kVector>
constexpr int kLaneSumBytes = kTraversalThreads * kVector * static_cast<int>(sizeof(float));

// Combines the values of a block's lanes as a tree: combine(mine, other) for each of them, `others`
// being the values of a thread, in shared memory. All threads call it.
template <class Value, class Combine>
FASTCONV_DEVICE void CombineLanes(const Traversal& traversal, const Part& part, Value* mine,
                                  const Combine& combine) {
  Value* all = reinterpret_cast<Value*>(SharedMemory());
  SyncThreads();  // whoever used the memory before is done
  all[ThreadIndex()] = *mine;
  for (int lanes = traversal.lanes; lanes > 1;) {
    const int half = (lanes + 1) / 2;
    SyncThreads();
    if (part.lane < lanes - half) {
      combine(mine, all[ThreadIndex() + half * traversal.runs]);
      all[ThreadIndex()] = *mine;
    }
    lanes = half;
  }
}

template <int kVector>
FASTCONV_DEVICE void AddLanes(const Traversal& traversal, const Part& part,
                              const float (&values)[kVector], float* sums) {
  struct Values {
    float value[kVector];
  } mine;
  FASTCONV_UNROLL
  for (int i = 0; i < kVector; ++i) mine.value[i] = values[i];
  CombineLanes(traversal, part, &mine, [](Values* to, const Values& other) {
    FASTCONV_UNROLL
    for (int i = 0; i < kVector; ++i) to->value[i] += other.value[i];
  });
  if (part.active && part.lane == 0) StoreValues(mine.value, sums + part.channel);
}

// Partials [blocks][stride] -> the first columns to `first`, those behind them to `second`.
template <class T>
struct AddPartials {
  struct Args {
    const float* partials;
    int blocks;
    int64_t stride;
    int first_columns, second_columns;
    T* first;
    T* second;
  };
  static constexpr int kColumns = kWarpSize;  // of a block, each added up by kSlices threads
  static constexpr int kSlices = 8;
  static constexpr int kBatch = 16;  // loads that wait for memory together
  static constexpr int kThreads = kColumns * kSlices;
  static constexpr int kMinBlocks = 1;
  static constexpr int kSharedBytes = kThreads * static_cast<int>(sizeof(double));

  static Block GridFor(const Args& args) {
    const int columns = args.first_columns + args.second_columns;
    return {(columns + kColumns - 1) / kColumns, 1};
  }

  static FASTCONV_DEVICE void Run(const Args& args) {
    const int column = BlockIndex().x * kColumns + ThreadIndex() % kColumns;
    const int slice = ThreadIndex() / kColumns;
    const bool second = column >= args.first_columns;
    const bool active = column < args.first_columns + args.second_columns;
    const int64_t step = kSlices * args.stride;
    const float* from = args.partials + slice * args.stride + column;
    double sum = 0;
    for (int block = slice; active && block < args.blocks; block += kBatch * kSlices) {
      float batch[kBatch];
      FASTCONV_UNROLL
      for (int i = 0; i < kBatch; ++i, from += step) {
        batch[i] = block + i * kSlices < args.blocks ? *from : 0;
      }
      FASTCONV_UNROLL
      for (int i = 0; i < kBatch; ++i) sum += batch[i];
    }
    double* sums = reinterpret_cast<double*>(SharedMemory());
    sums[ThreadIndex()] = sum;
    SyncThreads();
    if (!active || slice > 0) return;
    for (int i = 1; i < kSlices; ++i) sum += sums[ThreadIndex() + i * kColumns];
    T* to = second ? args.second + column - args.first_columns : args.first + column;
    *to = FromFloat<T>(static_cast<float>(sum));
  }
};

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_KERNELS_CHANNEL_SUMS_H_
