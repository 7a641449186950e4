// A block behind its convolution: z -> y, code. The maximum of a window is taken of what the
// activation yields.
#ifndef FASTCONV_CORE_CUDA_KERNELS_BLOCK_FORWARD_H_
#define FASTCONV_CORE_CUDA_KERNELS_BLOCK_FORWARD_H_

#include <cstdint>

#include "core/cuda/kernels/block_args.h"
#include "core/cuda/kernels/codes.h"
#include "core/cuda/kernels/dropout.h"
#include "core/cuda/kernels/pooled_cell.h"
#include "core/cuda/kernels/stage.h"
#include "core/cuda/kernels/store_cell.h"
#include "core/cuda/kernels/values.h"

namespace fastconv::cuda {

template <class T, int kVector, Pooling kPooling>
struct BlockForward {
  using Args = BlockArgs;
  static constexpr int kThreads = kTraversalThreads;
  static constexpr int kMinBlocks = 2;

  static FASTCONV_DEVICE void Run(const Args& args) {
    const Part part = MakePart<kVector>(args.traversal);
    if (!part.active) return;
    const Stage<T, kVector> stage(args.affine, part.channel);
    const DropoutMask<T> dropout(args.dropout);
    if constexpr (kPooling == Pooling::kNone) {
      T z[kAhead][kVector];
      ForItems<kAhead>(
          part, args.traversal.items,
          [&](int i, int64_t pixel) {
            LoadElements(
                static_cast<const T*>(args.z) + pixel * args.traversal.channels + part.channel,
                z[i]);
          },
          [&](int i, int64_t pixel) { Map(args, part, stage, dropout, pixel, z[i]); });
    } else {
      for (int64_t cell = part.first; cell < args.traversal.items; cell += part.step) {
        PoolCell(args, part, stage, dropout, cell);
      }
    }
  }

 private:
  static constexpr int kAhead = 4;  // pixels, as many as the loads of a cell

  static FASTCONV_DEVICE void Map(const Args& args, const Part& part,
                                  const Stage<T, kVector>& stage, const DropoutMask<T>& dropout,
                                  int64_t pixel, const T (&z)[kVector]) {
    const int channels = args.traversal.channels;
    const int64_t at = pixel * channels + part.channel;
    float v[kVector];
    FASTCONV_UNROLL
    for (int i = 0; i < kVector; ++i) v[i] = stage(i, ToFloat(z[i]));
    Activate(args.activation, v);
    if (dropout.enabled()) {
      const int64_t image = pixel / (static_cast<int64_t>(args.height) * args.width);
      bool keep[kVector];
      dropout.template Draw<kVector>(at, image, channels, part.channel, keep);
      dropout.Drop(keep, v);
    }
    StoreValues(v, static_cast<T*>(args.y) + at);
  }

  static FASTCONV_DEVICE void PoolCell(const Args& args, const Part& part,
                                       const Stage<T, kVector>& stage,
                                       const DropoutMask<T>& dropout, int64_t cell) {
    const Pool& pool = args.pool;
    const int channels = args.traversal.channels;
    const int64_t row = cell / pool.w.out;
    const int j = static_cast<int>(cell - row * pool.w.out);
    const int64_t image = row / pool.h.out;
    const int i = static_cast<int>(row - image * pool.h.out);
    PooledCell<kVector> pooled(0);
    const auto add = [&](int h, int w, int position) {
      const int64_t pixel = (image * args.height + h) * args.width + w;
      float v[kVector];
      LoadValues(static_cast<const T*>(args.z) + pixel * channels + part.channel, v);
      FASTCONV_UNROLL
      for (int c = 0; c < kVector; ++c) v[c] = stage(c, v[c]);
      Activate(args.activation, v);
      FASTCONV_UNROLL
      for (int c = 0; c < kVector; ++c) pooled.Add(c, v[c], position);
    };
    if constexpr (kPooling == Pooling::kTwoByTwo) {
      FASTCONV_UNROLL
      for (int position = 0; position < 4; ++position) {
        add(2 * i + position / 2, 2 * j + position % 2, position);
      }
    } else {
      const WindowSpan h(pool.h, i), w(pool.w, j);
      pooled = PooledCell<kVector>(h.begin * pool.w.window + w.begin);
      for (int r = h.begin; r < h.end; ++r) {
        for (int s = w.begin; s < w.end; ++s) {
          add(h.first + r, w.first + s, r * pool.w.window + s);
        }
      }
    }
    StoreCell(pooled, dropout, {cell * channels + part.channel, image, channels, part.channel},
              pool.wide_codes, static_cast<T*>(args.y), args.code);
  }
};

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_KERNELS_BLOCK_FORWARD_H_
