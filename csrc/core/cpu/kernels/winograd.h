// The tile transforms of Winograd's algorithms, in two dimensions: what is read, transformed and
// written per tile and vector of channels. winograd_transforms.h has the matrices.
#ifndef FASTCONV_CORE_CPU_KERNELS_WINOGRAD_H_
#define FASTCONV_CORE_CPU_KERNELS_WINOGRAD_H_

#include "core/cpu/kernels/kernels.h"
#include "core/cpu/kernels/pointwise.h"
#include "core/cpu/kernels/pooling.h"
#include "core/cpu/kernels/simd.h"
#include "core/cpu/kernels/winograd_transforms.h"

namespace fastconv::cpu::FASTCONV_ISA {

// Transforms along both axes: load(a, b) yields point b of line a; emit(i, line) takes the
// transformed points of line i, which run along a.
template <class Acc, class Transform, class Load, class Emit>
FASTCONV_ALWAYS_INLINE void TransformTile(const Load& load, const Emit& emit) {
  constexpr int kIn = Transform::kIn, kOut = Transform::kOut;
  Vec<Acc> half[kOut][kIn];  // more than there are registers: in the first level of cache
#pragma GCC unroll 1
  for (int a = 0; a < kIn; ++a) {
    Vec<Acc> line[kIn], transformed[kOut];
#pragma GCC unroll 8
    for (int b = 0; b < kIn; ++b) line[b] = load(a, b);
    Transform::template Apply<Acc>(line, transformed);
#pragma GCC unroll 8
    for (int i = 0; i < kOut; ++i) half[i][a] = transformed[i];
  }
#pragma GCC unroll 1
  for (int i = 0; i < kOut; ++i) {
    Vec<Acc> transformed[kOut];
    Transform::template Apply<Acc>(half[i], transformed);
    emit(i, transformed);
  }
}

// One tile of the map, all channels. point(row, col) yields the address of a point's channels.
template <class Acc, class Transform, class Point>
FASTCONV_ALWAYS_INLINE void TransformMapTile(const WinogradMapArgs& args, const Point& point,
                                             Acc* dst) {
  constexpr int kOut = Transform::kOut;
  const int64_t stride = args.dst_plane_stride;
  ForEachVector<Acc>(args.channels, [&](int64_t channel, int64_t count) {
    TransformTile<Acc, Transform>(
        [&](int row, int col) { return LoadFirst(point(row, col) + channel, count); },
        [&](int col, const Vec<Acc>(&line)[kOut]) {
          Acc* to = dst + col * stride + channel;
#pragma GCC unroll 8
          for (int row = 0; row < kOut; ++row, to += kOut * stride) {
            StoreFirst(to, line[row], count);
          }
        });
  });
}

template <class T, class Acc, class Transform>
void WinogradMap(const WinogradMapArgs& args) {
  constexpr int kIn = Transform::kIn;
  const T* rows[kIn];
  bool rows_inside = true;
  for (int i = 0; i < kIn; ++i) {
    rows[i] = static_cast<const T*>(args.rows[i]);
    rows_inside = rows_inside && rows[i] != nullptr;
  }
  for (int64_t tile = 0; tile < args.tiles; ++tile) {
    const int64_t first_col = args.first_col + tile * args.tile_step;
    Acc* dst = static_cast<Acc*>(args.dst) + tile * args.dst_tile_stride;
    if (rows_inside && first_col >= 0 && first_col + kIn <= args.cols) {
      const int64_t stride = args.pixel_stride, offset = first_col * stride;
      TransformMapTile<Acc, Transform>(
          args, [&](int row, int col) { return rows[row] + offset + col * stride; }, dst);
      continue;
    }
    const T* points[kIn][kIn];
    for (int i = 0; i < kIn; ++i) {
      for (int j = 0; j < kIn; ++j) {
        const int64_t col = first_col + j;
        const bool inside = rows[i] != nullptr && col >= 0 && col < args.cols;
        points[i][j] =
            inside ? rows[i] + col * args.pixel_stride : static_cast<const T*>(args.zeros);
      }
    }
    TransformMapTile<Acc, Transform>(args, [&](int row, int col) { return points[row][col]; }, dst);
  }
}

// Square matrices of points, each a row of `elements` values `stride` apart.
template <class Acc, class Transform>
void WinogradMatrix(const WinogradMatrixArgs& args) {
  const int64_t src_row = Transform::kIn * args.src_stride;
  for (int64_t element = 0; element < args.elements; element += kLanes<Acc>) {
    const int64_t count = args.elements - element;
    const Acc* src = static_cast<const Acc*>(args.src) + element;
    Acc* dst = static_cast<Acc*>(args.dst) + element;
    TransformTile<Acc, Transform>(
        [&](int row, int col) {
          return LoadFirst(src + row * src_row + col * args.src_stride, count);
        },
        [&](int col, const Vec<Acc>(&line)[Transform::kOut]) {
          Acc* to = dst + col * args.dst_stride;
#pragma GCC unroll 8
          for (int row = 0; row < Transform::kOut; ++row, to += Transform::kOut * args.dst_stride) {
            StoreFirst(to, line[row], count);
          }
        });
  }
}

template <class Acc, int P>
void WinogradAddDataAdjoint(const WinogradAdjointArgs& args) {
  const int64_t stride = args.src_plane_stride;
  for (int64_t tile = 0; tile < args.tiles; ++tile) {
    const Acc* src = static_cast<const Acc*>(args.src) + tile * args.src_tile_stride;
    const int64_t first_col = args.first_col + tile * args.tile_step;
    const int64_t begin = first_col < 0 ? -first_col : 0;
    const int64_t end = args.cols - first_col < P ? args.cols - first_col : P;
    for (int64_t channel = 0; channel < args.channels; channel += kLanes<Acc>) {
      TransformTile<Acc, DataAdjoint<P>>(
          [&](int col, int row) { return Load(src + (row * P + col) * stride + channel); },
          [&](int row, const Vec<Acc>(&line)[P]) {
            const int64_t to_row = args.first_row + row;
            if (to_row < 0 || to_row >= args.rows) return;
            Acc* to = static_cast<Acc*>(args.acc) +
                      (to_row * args.cols + first_col) * args.channels + channel;
            for (int64_t col = begin; col < end; ++col) {
              Acc* at = to + col * args.channels;
              Store(at, Load(at) + line[col]);
            }
          });
    }
  }
}

// Calls consume(tile, channel, count, results) for every tile of a row and vector of channels.
template <class Acc, int P, int M, class Consume>
FASTCONV_ALWAYS_INLINE void ForEachOutputTile(const WinogradOutputArgs& args,
                                              const Consume& consume) {
  const int64_t stride = args.src_plane_stride;
  for (int64_t tile = 0; tile < args.tiles; ++tile) {
    const Acc* src = static_cast<const Acc*>(args.src) + tile * args.src_tile_stride;
    for (int64_t channel = 0; channel < args.channels; channel += kLanes<Acc>) {
      Vec<Acc> results[M][M];
      TransformTile<Acc, OutputTransform<P, M>>(
          [&](int col, int row) { return Load(src + (row * P + col) * stride + channel); },
          [&](int row, const Vec<Acc>(&line)[M]) {
#pragma GCC unroll 8
            for (int col = 0; col < M; ++col) results[row][col] = line[col];
          });
      consume(tile, channel, args.channels - channel, results);
    }
  }
}

// The results that lie inside the map, through the stage.
template <class T, class Acc, int P, int M>
void WinogradOutputMap(const WinogradOutputArgs& args) {
  const int64_t rows = args.valid_rows < M ? args.valid_rows : M;
  const bool around_caches = args.around_caches && MayStoreAroundCaches<T, Acc>(args);
  WithStage<Acc>(args.stage, [&](const auto& stage) {
    ForEachOutputTile<Acc, P, M>(
        args, [&](int64_t tile, int64_t channel, int64_t count, const Vec<Acc>(&results)[M][M]) {
          T* y = static_cast<T*>(args.y) + tile * M * args.y_pixel_stride + channel;
          const int64_t cols_left = args.valid_cols - tile * M;
          const int64_t cols = cols_left < M ? cols_left : M;
          for (int64_t row = 0; row < rows; ++row) {
            T* to = y + row * args.y_row_stride;
            for (int64_t col = 0; col < cols; ++col, to += args.y_pixel_stride) {
              const Vec<Acc> v = stage(results[row][col], channel);
              if constexpr (kCanStoreAroundCaches<T>) {
                if (around_caches) {
                  StoreAroundCaches(to, v);
                  continue;
                }
              }
              StoreFirst(to, v, count);
            }
          }
        });
  });
  if (around_caches) FinishStoresAroundCaches();
}

// The results through the stage and a max pooling of 2x2 windows, which a tile holds whole.
template <class T, class Acc, int P, int M>
void WinogradOutputPool(const WinogradOutputArgs& args) {
  static_assert(M % 2 == 0);
  constexpr int kCells = M / 2;
  const int64_t rows = args.valid_rows / 2 < kCells ? args.valid_rows / 2 : kCells;
  WithStage<Acc>(args.stage, [&](const auto& stage) {
    ForEachOutputTile<Acc, P, M>(
        args, [&](int64_t tile, int64_t channel, int64_t count, const Vec<Acc>(&results)[M][M]) {
          const int64_t first = tile * kCells * args.y_pixel_stride + channel;
          const int64_t cols_left = args.valid_cols / 2 - tile * kCells;
          const int64_t cols = cols_left < kCells ? cols_left : kCells;
          for (int64_t row = 0; row < rows; ++row) {
            for (int64_t col = 0; col < cols; ++col) {
              PoolCell<Acc> cell(0);
#pragma GCC unroll 4
              for (int i = 0; i < 4; ++i) {
                cell.Add(stage(results[2 * row + i / 2][2 * col + i % 2], channel), i);
              }
              const int64_t at = first + row * args.y_row_stride + col * args.y_pixel_stride;
              StoreFirst(static_cast<T*>(args.y) + at, cell.maximum(), count);
              StoreCodes<Acc>(static_cast<uint8_t*>(args.code) + at, cell.template code<uint8_t>(),
                              count);
            }
          }
        });
  });
}

}  // namespace fastconv::cpu::FASTCONV_ISA

#endif  // FASTCONV_CORE_CPU_KERNELS_WINOGRAD_H_
