// Convolutions from so few channels that a filter fits the first level of cache: the whole sum of
// an output is made in registers and leaves them finished.
#ifndef FASTCONV_CORE_CPU_KERNELS_DIRECT_H_
#define FASTCONV_CORE_CPU_KERNELS_DIRECT_H_

#include "core/cpu/kernels/kernels.h"
#include "core/cpu/kernels/matrix_product.h"
#include "core/cpu/kernels/pointwise.h"
#include "core/cpu/kernels/pooling.h"
#include "core/cpu/kernels/simd.h"

namespace fastconv::cpu::FASTCONV_ISA {

// Pixels of a tile through the stage to y, `y_pixel_stride` apart.
template <class T, class Acc, int kPixels, int kVectors>
FASTCONV_ALWAYS_INLINE void StoreMapTile(const DirectRowsArgs& args, bool around_caches,
                                         Vec<Acc> (&sums)[kPixels][kVectors], T* y) {
  constexpr int64_t kWidth = kVectors * kLanes<Acc>;
  WithActivation<Acc, false>(
      args.stage, [&](const auto& stage) __attribute__((always_inline)) {
#pragma GCC unroll 16
        for (int i = 0; i < kPixels; ++i) {
#pragma GCC unroll 2
          for (int v = 0; v < kVectors; ++v) sums[i][v] = stage(sums[i][v], v * kLanes<Acc>);
        }
      });
  if constexpr (kCanStoreAroundCaches<T>) {
    if (around_caches) {
#pragma GCC unroll 16
      for (int i = 0; i < kPixels; ++i, y += args.y_pixel_stride) {
#pragma GCC unroll 2
        for (int v = 0; v < kVectors; ++v) StoreAroundCaches(y + v * kLanes<Acc>, sums[i][v]);
      }
      return;
    }
  }
  if (args.channels == kWidth) {
#pragma GCC unroll 16
    for (int i = 0; i < kPixels; ++i, y += args.y_pixel_stride) {
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) Store(y + v * kLanes<Acc>, sums[i][v]);
    }
    return;
  }
  Acc finished[kPixels * kWidth];
  StoreTile<Acc, kPixels, kVectors>(finished, sums);
  for (int i = 0; i < kPixels; ++i, y += args.y_pixel_stride) {
    ForEachVector<Acc>(args.channels, [&](int64_t channel, int64_t count) {
      StoreFirst(y + channel, Load(finished + i * kWidth + channel), count);
    });
  }
}

// Cells of a tile of two lines, 2 * kCells pixels each, through stage and pooling.
template <class T, class Acc, int kCells, int kVectors>
FASTCONV_ALWAYS_INLINE void StorePooledTile(const DirectRowsArgs& args,
                                            Vec<Acc> (&sums)[4 * kCells][kVectors], int64_t first) {
  WithActivation<Acc, false>(
      args.stage, [&](const auto& stage) __attribute__((always_inline)) {
#pragma GCC unroll 16
        for (int i = 0; i < 4 * kCells; ++i) {
#pragma GCC unroll 2
          for (int v = 0; v < kVectors; ++v) sums[i][v] = stage(sums[i][v], v * kLanes<Acc>);
        }
      });
#pragma GCC unroll 4
  for (int c = 0; c < kCells; ++c, first += args.y_pixel_stride) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) {
      PoolCell<Acc> cell(0);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) cell.Add(sums[i / 2 * 2 * kCells + 2 * c + i % 2][v], i);
      const int64_t channel = v * kLanes<Acc>;
      const int64_t count = args.channels - channel;
      StoreFirst(static_cast<T*>(args.y) + first + channel, cell.maximum(), count);
      StoreCodes<Acc>(static_cast<uint8_t*>(args.code) + first + channel,
                      cell.template code<uint8_t>(), count);
    }
  }
}

template <class T, class Acc, int kVectors>
struct DirectTiles {
  template <int kPixels>
  struct Map {
    static void Call(const DirectRowsArgs& args, bool around_caches, int64_t row, const Acc* slab,
                     T* y) {
      Vec<Acc> sums[kPixels][kVectors] = {};
      AddProducts<Acc, 1, kPixels, kVectors>(args.products, row, slab, sums);
      StoreMapTile<T, Acc, kPixels, kVectors>(args, around_caches, sums, y);
    }
  };
  template <int kCells>
  struct Pool {
    static void Call(const DirectRowsArgs& args, int64_t row, const Acc* slab, int64_t first) {
      Vec<Acc> sums[4 * kCells][kVectors] = {};
      AddProducts<Acc, 2, 2 * kCells, kVectors>(args.products, row, slab, sums);
      StorePooledTile<T, Acc, kCells, kVectors>(args, sums, first);
    }
  };
};

template <class T, class Acc, int kVectors>
void DirectMapOfWidth(const DirectRowsArgs& args) {
  const ConvRowsArgs& products = args.products;
  const bool around_caches = args.around_caches && args.channels == kVectors * kLanes<Acc> &&
                             MayStoreAroundCaches<T, Acc>(args);
  for (int64_t row = 0; row < products.rows; ++row) {
    const Acc* slab = static_cast<const Acc*>(products.slab) + row * products.row_stride;
    T* y = static_cast<T*>(args.y) + row * args.y_row_stride;
    ForEachTile(products.cols, [&](int64_t first, int64_t pixels) {
      CallTile<DirectTiles<T, Acc, kVectors>::template Map>(pixels, args, around_caches, row,
                                                            slab + first * products.pixel_stride,
                                                            y + first * args.y_pixel_stride);
    });
  }
  if (around_caches) FinishStoresAroundCaches();
}

template <class T, class Acc>
void DirectMap(const DirectRowsArgs& args) {
  args.products.vectors == 1 ? DirectMapOfWidth<T, Acc, 1>(args)
                             : DirectMapOfWidth<T, Acc, 2>(args);
}

template <class T, class Acc, int kVectors>
void DirectPoolOfWidth(const DirectRowsArgs& args) {
  constexpr int64_t kCells = kTileRows / 4;
  const ConvRowsArgs& products = args.products;
  for (int64_t row = 0; row + 1 < products.rows; row += 2) {
    const Acc* slab = static_cast<const Acc*>(products.slab) + row * products.row_stride;
    ForEachTile<kCells>(products.cols / 2, [&](int64_t first, int64_t cells) {
      CallTile<DirectTiles<T, Acc, kVectors>::template Pool, kCells>(
          cells, args, row, slab + 2 * first * products.pixel_stride,
          row / 2 * args.y_row_stride + first * args.y_pixel_stride);
    });
  }
}

template <class T, class Acc>
void DirectPool(const DirectRowsArgs& args) {
  args.products.vectors == 1 ? DirectPoolOfWidth<T, Acc, 1>(args)
                             : DirectPoolOfWidth<T, Acc, 2>(args);
}

// dz of a row, [pixel][width], and their sum to that of the bias.
template <class T, class Acc, int kVectors, bool kBySign>
FASTCONV_ALWAYS_INLINE void LoadDirectGradients(const DirectFilterGradArgs& args, int64_t row,
                                                Acc* dz, Vec<Acc> (&bias)[kVectors]) {
  const Vec<Acc> slope = Broadcast<Acc>(static_cast<Acc>(args.negative_slope));
  const int64_t cols = args.products.cols, channels = args.channels;
  const int64_t pixel_stride = args.pixel_stride;
  const T* dy = static_cast<const T*>(args.dy) + row * args.row_stride;
  const T* y = static_cast<const T*>(args.y) + row * args.row_stride;
  for (int64_t col = 0; col < cols; ++col) {
    const int64_t pixel = col * pixel_stride;
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v, dz += kLanes<Acc>) {
      const int64_t channel = v * kLanes<Acc>, count = channels - channel;
      Vec<Acc> gradient = LoadFirst(dy + pixel + channel, count);
      if constexpr (kBySign) {
        gradient =
            Select<Acc>(LoadFirst(y + pixel + channel, count) > 0, gradient, gradient * slope);
      }
      Store(dz, gradient);
      bias[v] += gradient;
    }
  }
}

template <class Acc, int kVectors>
void SumGradients(const FilterGradArgs& products, Vec<Acc> (&bias)[kVectors]) {
  for (int64_t row = 0; row < products.rows; ++row) {
    const Acc* dz = static_cast<const Acc*>(products.dz) + row * products.dz_row_stride;
    for (int64_t col = 0; col < products.cols; ++col, dz += products.dz_pixel_stride) {
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) bias[v] += Load(dz + v * kLanes<Acc>);
    }
  }
}

// Asks for memory at a steady rate: a burst would keep the loads behind it waiting.
struct SteadyPrefetch {
  const char* next;
  int64_t step;
  int64_t twin;

  FASTCONV_ALWAYS_INLINE void operator()() {
    __builtin_prefetch(next, 0, 3);
    __builtin_prefetch(next + twin, 0, 3);
    next += step;
  }
};

inline SteadyPrefetch PrefetchOf(const DirectFilterGradArgs& args) {
  int64_t tiles = 0;
  for (int64_t r = 0; r < args.products.num_runs; ++r) {
    tiles += (args.products.runs[r].length + kTileRows - 1) / kTileRows;
  }
  const int64_t steps = tiles * args.products.rows * args.products.cols;
  return {static_cast<const char*>(args.prefetch), args.prefetch_bytes / steps, args.prefetch_twin};
}

template <class Acc, int kVectors>
struct DirectFilterGradTiles {
  template <int kRows>
  struct Tile {
    static void Call(const FilterGradArgs& args, const RowRange& rows, const Acc* slab, Acc* acc,
                     SteadyPrefetch* prefetch) {
      SteadyPrefetch ahead = *prefetch;
      SumFilterGradTile<Acc, kRows, kVectors>(args, rows, slab, acc, [&] { ahead(); });
      *prefetch = ahead;
    }
  };
};

template <class T, class Acc, int kVectors>
void DirectFilterGradOfWidth(const DirectFilterGradArgs& args) {
  constexpr int64_t kWidth = kVectors * kLanes<Acc>;
  FilterGradArgs products = args.products;
  Vec<Acc> sums[1][kVectors] = {};
  Vec<Acc>(&bias)[kVectors] = sums[0];
  if (sizeof(T) == sizeof(Acc) && args.y == nullptr && args.channels == kWidth) {
    products.dz = args.dy;
    products.dz_row_stride = args.row_stride;
    products.dz_pixel_stride = args.pixel_stride;
    if (args.bias_sums != nullptr) SumGradients<Acc, kVectors>(products, bias);
  } else {
    for (int64_t row = 0; row < products.rows; ++row) {
      Acc* dz = static_cast<Acc*>(args.dz) + row * products.cols * kWidth;
      if (args.y != nullptr) {
        LoadDirectGradients<T, Acc, kVectors, true>(args, row, dz, bias);
      } else {
        LoadDirectGradients<T, Acc, kVectors, false>(args, row, dz, bias);
      }
    }
    products.dz = args.dz;
    products.dz_row_stride = products.cols * kWidth;
    products.dz_pixel_stride = kWidth;
  }
  if (args.bias_sums != nullptr) {
    AddTile<Acc, 1, kVectors>(static_cast<Acc*>(args.bias_sums), sums);
  }
  SteadyPrefetch prefetch = PrefetchOf(args);
  ForEachFilterGradTile<Acc, kVectors>(
      products, [&](const RowRange& rows, const Acc* slab, Acc* acc, int64_t elements) {
        CallTile<DirectFilterGradTiles<Acc, kVectors>::template Tile>(elements, products, rows,
                                                                      slab, acc, &prefetch);
      });
}

template <class T, class Acc>
void DirectFilterGrad(const DirectFilterGradArgs& args) {
  args.products.vectors == 1 ? DirectFilterGradOfWidth<T, Acc, 1>(args)
                             : DirectFilterGradOfWidth<T, Acc, 2>(args);
}

}  // namespace fastconv::cpu::FASTCONV_ISA

#endif  // FASTCONV_CORE_CPU_KERNELS_DIRECT_H_
