// The gradient behind a block, dy -> da, and what becomes of it, in one pass over memory.
//
// The map falls into patches, one per pooled cell (without pooling: one per pixel) and more where
// no window reaches; a thread computes da of the pixels of its patch.
#ifndef FASTCONV_CORE_CUDA_KERNELS_BLOCK_BACKWARD_H_
#define FASTCONV_CORE_CUDA_KERNELS_BLOCK_BACKWARD_H_

#include <cstdint>

#include "core/cuda/kernels/block_args.h"
#include "core/cuda/kernels/channel_sums.h"
#include "core/cuda/kernels/codes.h"
#include "core/cuda/kernels/dropout.h"
#include "core/cuda/kernels/stage.h"
#include "core/cuda/kernels/values.h"

namespace fastconv::cuda {

// Patches along an axis, from the padding before the map to its end.
FASTCONV_HOST_DEVICE int PatchesAlong(const PoolAxis& axis) {
  return (axis.in + axis.pad + axis.stride - 1) / axis.stride;
}

// What becomes of da.
enum class BackwardPart {
  kStore,          // dz = da; it is the gradient of z, or of a max pooling's input
  kStoreAndSum,    // and the sums of da over the samples, the gradient of the bias
  kNormalizeSums,  // batch normalisation: sums of da and of da * xhat
  kNormalizeApply  // batch normalisation: dz = scale * (da - dbeta / count - xhat * dgamma / count)
};

template <class T, int kVector, Pooling kPooling, BackwardPart kPart>
struct BlockBackward {
  using Args = BlockArgs;
  static constexpr int kThreads = kTraversalThreads;
  static constexpr int kMinBlocks = 2;
  static constexpr bool kNormalize =
      kPart == BackwardPart::kNormalizeSums || kPart == BackwardPart::kNormalizeApply;
  static constexpr bool kSums =
      kPart == BackwardPart::kStoreAndSum || kPart == BackwardPart::kNormalizeSums;
  static constexpr bool kStores = kPart != BackwardPart::kNormalizeSums;
  static constexpr int kAhead = 2;  // pixels whose loads are under way at once

  static FASTCONV_DEVICE void Run(const Args& args) {
    const Part part = MakePart<kVector>(args.traversal);
    // Idle threads stay for the barriers of the sums.
    if (!kSums && !part.active) return;
    BlockBackward thread(args, part);
    if (part.active) thread.Patches();
    if constexpr (kSums) {
      float* partials =
          args.partials + static_cast<int64_t>(BlockIndex().x) * 2 * args.traversal.channels;
      AddLanes<kVector>(args.traversal, part, thread.sum_da_, partials);
      if constexpr (kNormalize) {
        AddLanes<kVector>(args.traversal, part, thread.sum_da_xhat_,
                          partials + args.traversal.channels);
      }
    }
  }

 private:
  FASTCONV_DEVICE BlockBackward(const Args& args, const Part& part)
      : args_(args),
        part_(part),
        stage_(args.affine, part.active ? part.channel : 0),
        dropout_(args.dropout) {
    FASTCONV_UNROLL
    for (int c = 0; c < kVector; ++c) sum_da_[c] = sum_da_xhat_[c] = 0;
    if constexpr (kPart == BackwardPart::kNormalizeApply) {
      const float count = *args.count;
      LoadValues(args.dbeta + part.channel, mean_da_);
      LoadValues(args.dgamma + part.channel, mean_da_xhat_);
      FASTCONV_UNROLL
      for (int c = 0; c < kVector; ++c) {
        mean_da_[c] /= count;
        mean_da_xhat_[c] /= count;
      }
    }
  }

  FASTCONV_DEVICE void Patches() {
    if constexpr (kPooling == Pooling::kNone) {
      Pixels();
    } else {
      for (int64_t item = part_.first; item < args_.traversal.items; item += part_.step) {
        if constexpr (kPooling == Pooling::kTwoByTwo) {
          TwoByTwo(item);
        } else {
          AnyWindows(item);
        }
      }
    }
  }

  // The pixel (image, h, w) as an offset to its channels.
  FASTCONV_DEVICE int64_t Offset(int64_t image, int h, int w) const {
    return ((image * args_.height + h) * args_.width + w) * args_.traversal.channels +
           part_.channel;
  }
  FASTCONV_DEVICE int64_t CellOffset(int64_t image, int i, int j) const {
    return ((image * args_.pool.h.out + i) * args_.pool.w.out + j) * args_.traversal.channels +
           part_.channel;
  }

  // Item -> image, row and column among patches.
  struct Place {
    int64_t image;
    int i, j;
  };
  FASTCONV_DEVICE Place PlaceOf(int64_t item) const {
    const int rows = PatchesAlong(args_.pool.h), columns = PatchesAlong(args_.pool.w);
    const int64_t row = item / columns;
    const int64_t image = row / rows;
    return {image, static_cast<int>(row - image * rows), static_cast<int>(item - row * columns)};
  }

  // What a pixel's gradient is made of: dy, and z or y.
  struct Loaded {
    T dy[kVector], other[kVector];
  };

  FASTCONV_DEVICE void Pixels() {
    Loaded loaded[kAhead];
    ForItems<kAhead>(
        part_, args_.traversal.items,
        [&](int i, int64_t pixel) {
          const int64_t at = pixel * args_.traversal.channels + part_.channel;
          LoadElements(static_cast<const T*>(args_.dy) + at, loaded[i].dy);
          if (kNormalize || !args_.activation.linear) {
            LoadElements(static_cast<const T*>(kNormalize ? args_.z : args_.y) + at,
                         loaded[i].other);
          }
        },
        [&](int i, int64_t pixel) { Pixel(pixel, loaded[i]); });
  }

  FASTCONV_DEVICE void Pixel(int64_t pixel, const Loaded& loaded) {
    const int channels = args_.traversal.channels;
    const int64_t at = pixel * channels + part_.channel;
    float da[kVector], z[kVector];
    FASTCONV_UNROLL
    for (int c = 0; c < kVector; ++c) da[c] = ToFloat(loaded.dy[c]);
    if (dropout_.enabled()) {
      const int64_t image = pixel / (static_cast<int64_t>(args_.height) * args_.width);
      bool keep[kVector];
      dropout_.template Draw<kVector>(at, image, channels, part_.channel, keep);
      FASTCONV_UNROLL
      for (int c = 0; c < kVector; ++c) da[c] = keep[c] ? da[c] * dropout_.scale() : 0;
    }
    if constexpr (kNormalize) {
      FASTCONV_UNROLL
      for (int c = 0; c < kVector; ++c) {
        z[c] = ToFloat(loaded.other[c]);
        da[c] = ActivationGradient(args_.activation, stage_(c, z[c]) > 0, da[c]);
      }
    } else if (!args_.activation.linear) {
      FASTCONV_UNROLL
      for (int c = 0; c < kVector; ++c) {
        da[c] = ActivationGradient(args_.activation, ToFloat(loaded.other[c]) > 0, da[c]);
      }
    }
    Finish(at, da, z);
  }

  // The gradients that a cell passes on, and to which positions.
  struct Cell {
    float gradient[kVector];
    int position[kVector];
  };
  FASTCONV_DEVICE Cell LoadCell(int64_t at) const {
    const bool wide = args_.pool.wide_codes;
    Cell cell;
    int code[kVector];
    LoadCodes(wide, args_.code, at, code);
    LoadValues(static_cast<const T*>(args_.dy) + at, cell.gradient);
    FASTCONV_UNROLL
    for (int c = 0; c < kVector; ++c) {
      cell.position[c] = PositionOf(wide, code[c]);
      cell.gradient[c] =
          dropout_.scale() *
          ActivationGradient(args_.activation, IsPositive(wide, code[c]), cell.gradient[c]);
    }
    return cell;
  }

  FASTCONV_DEVICE void TwoByTwo(int64_t item) {
    const Pool& pool = args_.pool;
    const Place place = PlaceOf(item);
    const bool pooled = place.i < pool.h.out && place.j < pool.w.out;
    Cell cell = {};
    if (pooled) cell = LoadCell(CellOffset(place.image, place.i, place.j));
    FASTCONV_UNROLL
    for (int position = 0; position < 4; ++position) {
      const int h = 2 * place.i + position / 2, w = 2 * place.j + position % 2;
      if (h >= args_.height || w >= args_.width) continue;
      float da[kVector];
      FASTCONV_UNROLL
      for (int c = 0; c < kVector; ++c) {
        da[c] = pooled && cell.position[c] == position ? cell.gradient[c] : 0;
      }
      PooledPixel(Offset(place.image, h, w), da);
    }
  }

  // Of the windows along an axis, those [first, last] that cover a position.
  struct Covering {
    int first, last;
    FASTCONV_DEVICE Covering(const PoolAxis& axis, int position) {
      const int above = position + axis.pad - axis.window;
      first = above < 0 ? 0 : above / axis.stride + 1;
      last = (position + axis.pad) / axis.stride;
      if (last >= axis.out) last = axis.out - 1;
    }
  };

  FASTCONV_DEVICE void AnyWindows(int64_t item) {
    const Pool& pool = args_.pool;
    const Place place = PlaceOf(item);
    const int top = place.i * pool.h.stride - pool.h.pad;
    const int left = place.j * pool.w.stride - pool.w.pad;
    for (int h = top; h < top + pool.h.stride; ++h) {
      for (int w = left; w < left + pool.w.stride; ++w) {
        if (h < 0 || h >= args_.height || w < 0 || w >= args_.width) continue;
        float da[kVector];
        FASTCONV_UNROLL
        for (int c = 0; c < kVector; ++c) da[c] = 0;
        const Covering vertical(pool.h, h), horizontal(pool.w, w);
        for (int i = vertical.first; i <= vertical.last; ++i) {
          for (int j = horizontal.first; j <= horizontal.last; ++j) {
            const Cell cell = LoadCell(CellOffset(place.image, i, j));
            const int position = (h - i * pool.h.stride + pool.h.pad) * pool.w.window + w -
                                 j * pool.w.stride + pool.w.pad;
            FASTCONV_UNROLL
            for (int c = 0; c < kVector; ++c) {
              if (cell.position[c] == position) da[c] += cell.gradient[c];
            }
          }
        }
        PooledPixel(Offset(place.image, h, w), da);
      }
    }
  }

  FASTCONV_DEVICE void PooledPixel(int64_t at, float (&da)[kVector]) {
    float z[kVector];
    if constexpr (kNormalize) LoadValues(static_cast<const T*>(args_.z) + at, z);
    Finish(at, da, z);
  }

  FASTCONV_DEVICE void Finish(int64_t at, float (&da)[kVector], const float (&z)[kVector]) {
    FASTCONV_UNROLL
    for (int c = 0; c < kVector; ++c) {
      float xhat = 0;
      if constexpr (kNormalize) xhat = (z[c] - stage_.mean[c]) * stage_.inverse_deviation[c];
      if constexpr (kSums) sum_da_[c] += da[c];
      if constexpr (kPart == BackwardPart::kNormalizeSums) sum_da_xhat_[c] += da[c] * xhat;
      if constexpr (kPart == BackwardPart::kNormalizeApply) {
        da[c] = stage_.scale[c] * (da[c] - (mean_da_[c] + xhat * mean_da_xhat_[c]));
      }
    }
    if constexpr (kStores) StoreValues(da, static_cast<T*>(args_.dz) + at);
  }

  const Args& args_;
  const Part part_;
  const Stage<T, kVector> stage_;
  const DropoutMask<T> dropout_;
  float sum_da_[kVector], sum_da_xhat_[kVector];
  float mean_da_[kVector], mean_da_xhat_[kVector];
};

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_KERNELS_BLOCK_BACKWARD_H_
