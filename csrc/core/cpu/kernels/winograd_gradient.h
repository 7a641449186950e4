// The transform of gradients for Winograd's filter gradient. Its tiles do not overlap: each
// gradient is loaded once, which is where it goes back through the activation and the pooling and
// into the bias' gradient.
#ifndef FASTCONV_CORE_CPU_KERNELS_WINOGRAD_GRADIENT_H_
#define FASTCONV_CORE_CPU_KERNELS_WINOGRAD_GRADIENT_H_

#include "core/cpu/kernels/kernels.h"
#include "core/cpu/kernels/pointwise.h"
#include "core/cpu/kernels/pooling.h"
#include "core/cpu/kernels/simd.h"
#include "core/cpu/kernels/winograd.h"

namespace fastconv::cpu::FASTCONV_ISA {

// Gradients at the points (row, col) of the tile from column first_col on. They ask for those of
// the next tile, of kCols columns: a row of tiles reads many rows in short pieces.
template <class T, class Acc, int kCols, bool kMasked>
class MapGradients {
 public:
  MapGradients(const WinogradGradientArgs& args, int64_t first_col)
      : args_(args),
        dy_(static_cast<const T*>(args.dy) + first_col * args.pixel_stride),
        y_(kMasked ? static_cast<const T*>(args.y) + first_col * args.pixel_stride : nullptr),
        slope_(Broadcast<Acc>(static_cast<Acc>(args.negative_slope))) {}

  FASTCONV_ALWAYS_INLINE Vec<Acc> operator()(int row, int col, int64_t channel,
                                             int64_t count) const {
    const int64_t at = row * args_.row_stride + col * args_.pixel_stride + channel;
    const int64_t next = at + kCols * args_.pixel_stride;
    const Vec<Acc> gradient = LoadFirst(dy_ + at, count);
    __builtin_prefetch(dy_ + next);
    if constexpr (!kMasked) return gradient;
    __builtin_prefetch(y_ + next);
    return Select<Acc>(LoadFirst(y_ + at, count) > 0, gradient, gradient * slope_);
  }

 private:
  const WinogradGradientArgs& args_;
  const T* const dy_;
  const T* const y_;
  const Vec<Acc> slope_;
};

// Those behind a max pooling of 2x2 windows. kOddCol: the tile begins with the second column of a
// window.
template <class T, class Acc, bool kOddCol>
class PoolGradients {
 public:
  PoolGradients(const WinogradGradientArgs& args, int64_t first_col)
      : args_(args),
        first_cell_(first_col / 2 * args.pixel_stride),
        odd_row_(args.first_row % 2),
        scale_(Broadcast<Acc>(static_cast<Acc>(args.scale))),
        slope_(scale_ * static_cast<Acc>(args.negative_slope)) {}

  FASTCONV_ALWAYS_INLINE Vec<Acc> operator()(int row, int col, int64_t channel,
                                             int64_t count) const {
    const int64_t window_row = odd_row_ + row, window_col = kOddCol + col;
    const int64_t cell = first_cell_ + window_row / 2 * args_.row_stride +
                         window_col / 2 * args_.pixel_stride + channel;
    const Mask<Acc> here = Mask<Acc>{} + static_cast<Integer>(window_row % 2 * 2 + window_col % 2);
    const Mask<Acc> code = LoadCodes<Acc>(static_cast<const uint8_t*>(args_.code) + cell, count);
    const Vec<Acc> gradient = UnpooledGradient<Acc, uint8_t>(
        LoadFirst(static_cast<const T*>(args_.dy) + cell, count), code, scale_, slope_);
    return Select<Acc>(PositionOf<Acc, uint8_t>(code) == here, gradient, Vec<Acc>{});
  }

 private:
  using Integer = typename Simd<Acc>::Integer;

  const WinogradGradientArgs& args_;
  const int64_t first_cell_, odd_row_;
  const Vec<Acc> scale_, slope_;
};

// kWhole: the tile lies inside the map.
template <class Acc, class Transform, class Gradients, bool kWhole>
FASTCONV_ALWAYS_INLINE void TransformGradientTile(const WinogradGradientArgs& args, int64_t tile) {
  constexpr int kIn = Transform::kIn, kOut = Transform::kOut;
  const Gradients gradients(args, tile * kIn);
  const int64_t cols = args.cols - tile * kIn;
  const int64_t stride = args.dst_plane_stride;
  Acc* dst = static_cast<Acc*>(args.dst) + tile * args.dst_tile_stride;
  ForEachVector<Acc>(args.channels, [&](int64_t channel, int64_t count) {
    Vec<Acc> even = {}, odd = {};  // sums of columns: shorter chains of additions
    TransformTile<Acc, Transform>(
        [&](int row, int col) {
          if (!kWhole && (row >= args.rows || col >= cols)) return Vec<Acc>{};
          const Vec<Acc> gradient = gradients(row, col, channel, count);
          (col % 2 == 0 ? even : odd) += gradient;
          return gradient;
        },
        [&](int col, const Vec<Acc>(&line)[kOut]) {
          Acc* to = dst + col * stride + channel;
#pragma GCC unroll 8
          for (int row = 0; row < kOut; ++row, to += kOut * stride) {
            StoreFirst(to, line[row], count);
          }
        });
    Acc* sums = static_cast<Acc*>(args.sums) + channel;
    Store(sums, Load(sums) + (even + odd));
  });
}

template <class Acc, class Transform, class Gradients>
void TransformGradientTiles(const WinogradGradientArgs& args, int64_t first, int64_t step) {
  const int64_t whole = args.rows < Transform::kIn ? 0 : args.cols / Transform::kIn;
  for (int64_t tile = first; tile < args.tiles; tile += step) {
    if (tile < whole) {
      TransformGradientTile<Acc, Transform, Gradients, true>(args, tile);
    } else {
      TransformGradientTile<Acc, Transform, Gradients, false>(args, tile);
    }
  }
}

template <class T, class Acc, class Transform>
void WinogradGradientFromTensor(const WinogradGradientArgs& args) {
  if (args.y != nullptr) {
    TransformGradientTiles<Acc, Transform, MapGradients<T, Acc, Transform::kIn, true>>(args, 0, 1);
  } else {
    TransformGradientTiles<Acc, Transform, MapGradients<T, Acc, Transform::kIn, false>>(args, 0, 1);
  }
}

template <class T, class Acc, class Transform>
void WinogradGradientFromPool(const WinogradGradientArgs& args) {
  if constexpr (Transform::kIn % 2 == 0) {
    TransformGradientTiles<Acc, Transform, PoolGradients<T, Acc, false>>(args, 0, 1);
  } else {
    TransformGradientTiles<Acc, Transform, PoolGradients<T, Acc, false>>(args, 0, 2);
    TransformGradientTiles<Acc, Transform, PoolGradients<T, Acc, true>>(args, 1, 2);
  }
}

}  // namespace fastconv::cpu::FASTCONV_ISA

#endif  // FASTCONV_CORE_CPU_KERNELS_WINOGRAD_GRADIENT_H_
