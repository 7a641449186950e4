// Max pooling with one code per pooled cell, and its gradient; see MaxPoolSpec (core/problem.h).
#ifndef FASTCONV_CORE_CPU_KERNELS_POOLING_H_
#define FASTCONV_CORE_CPU_KERNELS_POOLING_H_

#include "core/cpu/kernels/kernels.h"
#include "core/cpu/kernels/pointwise.h"
#include "core/cpu/kernels/simd.h"

namespace fastconv::cpu::FASTCONV_ISA {

template <class Code>
struct CodeBits {
  static constexpr int64_t kPositive = int64_t{1} << (8 * sizeof(Code) - 1);
  static constexpr int64_t kPosition = kPositive - 1;
  static constexpr int64_t kDropped = kPosition;  // the position of no maximum
};

// The part of a window that lies inside the map.
struct WindowSpan {
  int64_t first;       // input position of the window's element 0, may be negative
  int64_t begin, end;  // elements of the window inside [low, high)

  FASTCONV_ALWAYS_INLINE WindowSpan(const WindowAxis& axis, int64_t out, int64_t low, int64_t high)
      : first(out * axis.stride - axis.pad_before) {
    begin = first < low ? low - first : 0;
    end = first + axis.window > high ? high - first : axis.window;
  }
};

// The maximum of a window and where it is: the first element that no other exceeds.
template <class Acc>
class PoolCell {
 public:
  using Integer = typename Simd<Acc>::Integer;

  // Where nothing beats -inf (all NaN, say), `position` counts.
  FASTCONV_ALWAYS_INLINE explicit PoolCell(int64_t position)
      : position_(Mask<Acc>{} + static_cast<Integer>(position)) {}

  FASTCONV_ALWAYS_INLINE void Add(Vec<Acc> v, int64_t position) {
    const Mask<Acc> better = v > maximum_;  // false for NaN, and for a later equal
    maximum_ = Select<Acc>(better, v, maximum_);
    position_ = better ? Mask<Acc>{} + static_cast<Integer>(position) : position_;
  }

  FASTCONV_ALWAYS_INLINE Vec<Acc> maximum() const { return maximum_; }
  template <class Code>
  FASTCONV_ALWAYS_INLINE Mask<Acc> code() const {
    return position_ | ((maximum_ > 0) & static_cast<Integer>(CodeBits<Code>::kPositive));
  }

 private:
  Vec<Acc> maximum_ = Broadcast<Acc>(-__builtin_inf());
  Mask<Acc> position_;
};

template <class Src, class T, class Acc, class Code>
void PoolRowsCoded(const PoolRowsArgs& args) {
  const WindowAxis& h = args.pool->window.h;
  const WindowAxis& w = args.pool->window.w;
  WithStage<Acc>(args.stage, [&](const auto& stage) {
    for (int64_t row = 0; row < args.rows; ++row) {
      const WindowSpan vertical(h, args.first_row + row, 0, h.in);
      for (int64_t col = 0; col < w.out; ++col) {
        const WindowSpan horizontal(w, col, 0, w.in);
        const Src* window = static_cast<const Src*>(args.src) +
                            (vertical.first - args.src_first_row) * args.src_row_stride +
                            horizontal.first * args.src_pixel_stride;
        const int64_t cell = row * args.y_row_stride + col * args.y_pixel_stride;
        ForEachVector<Acc>(args.channels, [&](int64_t channel, int64_t count) {
          PoolCell<Acc> pooled(vertical.begin * w.window + horizontal.begin);
          for (int64_t i = vertical.begin; i < vertical.end; ++i) {
            const Src* src = window + i * args.src_row_stride + channel;
            for (int64_t j = horizontal.begin; j < horizontal.end; ++j) {
              pooled.Add(stage(LoadFirst(src + j * args.src_pixel_stride, count), channel),
                         i * w.window + j);
            }
          }
          StoreFirst(static_cast<T*>(args.y) + cell + channel, pooled.maximum(), count);
          StoreCodes<Acc>(static_cast<Code*>(args.code) + cell + channel,
                          pooled.template code<Code>(), count);
        });
      }
    }
  });
}

template <class Src, class T, class Acc>
void PoolRows(const PoolRowsArgs& args) {
  if (args.pool->code_type == DataType::kUint8) {
    PoolRowsCoded<Src, T, Acc, uint8_t>(args);
  } else {
    PoolRowsCoded<Src, T, Acc, int32_t>(args);
  }
}

// What a code says of its cell: which element of the window is the maximum, and its gradient, dy
// times `scale` or, where the maximum is not positive, times `slope`.
template <class Acc, class Code>
FASTCONV_ALWAYS_INLINE Mask<Acc> PositionOf(Mask<Acc> code) {
  return code & static_cast<typename Simd<Acc>::Integer>(CodeBits<Code>::kPosition);
}
template <class Acc, class Code>
FASTCONV_ALWAYS_INLINE Vec<Acc> UnpooledGradient(Vec<Acc> dy, Mask<Acc> code, Vec<Acc> scale,
                                                 Vec<Acc> slope) {
  const auto positive = static_cast<typename Simd<Acc>::Integer>(CodeBits<Code>::kPositive);
  return dy * Select<Acc>((code & positive) != 0, scale, slope);
}

template <class Acc>
void ZeroRows(const GradRowsArgs& args) {
  for (int64_t row = 0; row < args.rows; ++row) {
    Acc* dz = static_cast<Acc*>(args.dz) + row * args.dz_row_stride;
    for (int64_t col = 0; col < args.cols; ++col, dz += args.dz_pixel_stride) {
      ForEachVector<Acc>(args.width, [&](int64_t channel, int64_t count) {
        StoreFirst(dz + channel, Vec<Acc>{}, count);
      });
    }
  }
}

// Spreads each pooled gradient over its window. kOverlap: windows share cells, so add.
template <class T, class Acc, class Code, bool kOverlap>
void UnpoolRows(const GradRowsArgs& args) {
  using Integer = typename Simd<Acc>::Integer;
  const WindowAxis& h = args.pool->window.h;
  const WindowAxis& w = args.pool->window.w;
  const int64_t end_row = args.first_row + args.rows;
  const Vec<Acc> scale = Broadcast<Acc>(static_cast<Acc>(args.scale));
  const Vec<Acc> slope = scale * static_cast<Acc>(args.negative_slope);
  // Pooled rows whose window meets [first_row, end_row).
  const int64_t above = args.first_row + h.pad_before - h.window;
  const int64_t first = above < 0 ? 0 : above / h.stride + 1;
  const int64_t last = (end_row - 1 + h.pad_before) / h.stride;
  for (int64_t row = first; row <= last && row < h.out; ++row) {
    const WindowSpan vertical(h, row, args.first_row, end_row);
    for (int64_t col = 0; col < w.out; ++col) {
      const WindowSpan horizontal(w, col, 0, w.in);
      const int64_t cell = (row * w.out + col) * args.pixel_stride;
      Acc* window = static_cast<Acc*>(args.dz) +
                    (vertical.first - args.first_row) * args.dz_row_stride +
                    horizontal.first * args.dz_pixel_stride;
      ForEachVector<Acc>(args.channels, [&](int64_t channel, int64_t count) {
        const Mask<Acc> code =
            LoadCodes<Acc>(static_cast<const Code*>(args.code) + cell + channel, count);
        const Vec<Acc> dy = LoadFirst(static_cast<const T*>(args.dy) + cell + channel, count);
        const Vec<Acc> gradient = UnpooledGradient<Acc, Code>(dy, code, scale, slope);
        const Mask<Acc> position = PositionOf<Acc, Code>(code);
        for (int64_t i = vertical.begin; i < vertical.end; ++i) {
          Acc* dz = window + i * args.dz_row_stride + channel;
          for (int64_t j = horizontal.begin; j < horizontal.end; ++j) {
            const Mask<Acc> here = position == static_cast<Integer>(i * w.window + j);
            Vec<Acc> value = Select<Acc>(here, gradient, Vec<Acc>{});
            Acc* to = dz + j * args.dz_pixel_stride;
            if constexpr (kOverlap) value += LoadFirst(to, count);
            StoreFirst(to, value, count);
          }
        }
      });
    }
  }
}

template <class T, class Acc, class Code>
void UnpoolRowsCoded(const GradRowsArgs& args) {
  const WindowAxis& h = args.pool->window.h;
  const WindowAxis& w = args.pool->window.w;
  const auto overlaps = [](const WindowAxis& axis) { return axis.window > axis.stride; };
  const auto covers = [](const WindowAxis& axis) {
    return axis.window >= axis.stride &&
           (axis.out - 1) * axis.stride + axis.window - axis.pad_before >= axis.in;
  };
  const bool overlap = overlaps(h) || overlaps(w);
  if (overlap || !covers(h) || !covers(w) || args.channels < args.width) ZeroRows<Acc>(args);
  if (overlap) {
    UnpoolRows<T, Acc, Code, true>(args);
  } else {
    UnpoolRows<T, Acc, Code, false>(args);
  }
}

template <class T, class Acc>
void GradRows(const GradRowsArgs& args) {
  if (args.pool->enabled) {
    if (args.pool->code_type == DataType::kUint8) return UnpoolRowsCoded<T, Acc, uint8_t>(args);
    return UnpoolRowsCoded<T, Acc, int32_t>(args);
  }
  const Vec<Acc> slope = Broadcast<Acc>(static_cast<Acc>(args.negative_slope));
  for (int64_t row = 0; row < args.rows; ++row) {
    Acc* dz = static_cast<Acc*>(args.dz) + row * args.dz_row_stride;
    for (int64_t col = 0; col < args.cols; ++col, dz += args.dz_pixel_stride) {
      const int64_t pixel = ((args.first_row + row) * args.cols + col) * args.pixel_stride;
      const T* dy = static_cast<const T*>(args.dy) + pixel;
      const T* y = static_cast<const T*>(args.y) + pixel;
      ForEachVector<Acc>(args.channels, [&](int64_t channel, int64_t count) {
        Vec<Acc> gradient = LoadFirst(dy + channel, count);
        if (args.y != nullptr) {
          gradient = Select<Acc>(LoadFirst(y + channel, count) > 0, gradient, gradient * slope);
        }
        // Lanes past `channels` are zero, so the whole width of the vector may be written.
        StoreFirst(dz + channel, gradient, args.width - channel);
      });
      for (int64_t i = (args.channels + kLanes<Acc> - 1) / kLanes<Acc> * kLanes<Acc>;
           i < args.width; i += kLanes<Acc>) {
        StoreFirst(dz + i, Vec<Acc>{}, args.width - i);
      }
    }
  }
}

}  // namespace fastconv::cpu::FASTCONV_ISA

#endif  // FASTCONV_CORE_CPU_KERNELS_POOLING_H_
