// The matrix products of Winograd's algorithm: one plane of transformed tiles with one plane of the
// transformed filter.
//
// The inverse transform magnifies rounding errors, so sums are made in two levels: kDepthPerSum
// products in registers, those sums added up. Half a register file of each keeps all in registers.
#ifndef FASTCONV_CORE_CPU_KERNELS_WINOGRAD_PRODUCT_H_
#define FASTCONV_CORE_CPU_KERNELS_WINOGRAD_PRODUCT_H_

#include "core/cpu/kernels/kernels.h"
#include "core/cpu/kernels/matrix_product.h"
#include "core/cpu/kernels/simd.h"

namespace fastconv::cpu::FASTCONV_ISA {

constexpr int64_t kDepthPerSum = 16;

template <class Acc, int kRows, int kVectors>
void WinogradProductTile(const WinogradProductArgs& args, const Acc* data, Acc* products) {
  constexpr int64_t kWidth = kVectors * kLanes<Acc>;
  Vec<Acc> totals[kRows][kVectors] = {};
  const Acc* filter = static_cast<const Acc*>(args.filter);
  const int64_t stride = args.tile_stride;
  // One pointer per three tiles reaches all of them with the addressing modes that there are.
  constexpr int kPointers = (kRows + 2) / 3;
  const Acc* tiles[kPointers];
#pragma GCC unroll 8
  for (int p = 0; p < kPointers; ++p) {
    tiles[p] = data + p * 3 * stride;
    KeepInRegister(tiles[p]);
  }
  for (int64_t remaining = args.depth; remaining > 0;) {
    Vec<Acc> sums[kRows][kVectors] = {};
    const auto step = [&]() __attribute__((always_inline)) {
      Vec<Acc> columns[kVectors];
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) columns[v] = Load(filter + v * kLanes<Acc>);
#pragma GCC unroll 16
      for (int i = 0; i < kRows; ++i) {
        const Vec<Acc> tile = Broadcast(tiles[i / 3][(i % 3) * stride]);
#pragma GCC unroll 2
        for (int v = 0; v < kVectors; ++v) sums[i][v] += tile * columns[v];
      }
      filter += kWidth;
#pragma GCC unroll 8
      for (int p = 0; p < kPointers; ++p) ++tiles[p];
    };
    if (remaining >= kDepthPerSum) {
#pragma GCC unroll 4
      for (int64_t i = 0; i < kDepthPerSum; ++i) step();
      remaining -= kDepthPerSum;
    } else {
      for (; remaining > 0; --remaining) step();
    }
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) totals[i][v] += sums[i][v];
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) Store(products + i * kWidth + v * kLanes<Acc>, totals[i][v]);
  }
}

template <class Acc, int kVectors>
struct WinogradProductTiles {
  template <int kRows>
  struct Tile {
    static void Call(const WinogradProductArgs& args, const Acc* data, Acc* products) {
      WinogradProductTile<Acc, kRows, kVectors>(args, data, products);
    }
  };
};

template <class Acc, int kVectors>
void WinogradProductOfWidth(const WinogradProductArgs& args) {
  constexpr int kRows = FASTCONV_VECTOR_BYTES == 64 ? 7 : 6;
  ForEachTile<kRows>(args.tiles, [&](int64_t first, int64_t rows) {
    CallTile<WinogradProductTiles<Acc, kVectors>::template Tile, kRows>(
        rows, args, static_cast<const Acc*>(args.data) + first * args.tile_stride,
        static_cast<Acc*>(args.products) + first * args.product_stride);
  });
}

template <class Acc>
void WinogradProduct(const WinogradProductArgs& args) {
  args.vectors == 1 ? WinogradProductOfWidth<Acc, 1>(args) : WinogradProductOfWidth<Acc, 2>(args);
}

}  // namespace fastconv::cpu::FASTCONV_ISA

#endif  // FASTCONV_CORE_CPU_KERNELS_WINOGRAD_PRODUCT_H_
