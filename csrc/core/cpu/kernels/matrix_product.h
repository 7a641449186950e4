// The register-blocked matrix products of a convolution: forward (conv_rows) and filter gradient.
//
// Both hold a tile of kTileRows x (1 or 2 vectors) sums in registers; per step they load 1 or 2
// vectors of one operand and broadcast the tile's rows of the other straight from the slab: nothing
// is copied per filter tap.
#ifndef FASTCONV_CORE_CPU_KERNELS_MATRIX_PRODUCT_H_
#define FASTCONV_CORE_CPU_KERNELS_MATRIX_PRODUCT_H_

#include "core/cpu/kernels/kernels.h"
#include "core/cpu/kernels/simd.h"

namespace fastconv::cpu::FASTCONV_ISA {

// Sums plus two operand vectors and a broadcast fill the register file: 14 * 2 + 3 of 32 with
// AVX-512, 6 * 2 + 3 of 16 otherwise.
constexpr int64_t kTileRows = FASTCONV_VECTOR_BYTES == 64 ? 14 : 6;

// Hides a value's origin, so that the compiler keeps it in a register and increments it instead of
// recomputing many addresses from one base.
template <class T>
FASTCONV_ALWAYS_INLINE void KeepInRegister(T& value) {
  asm volatile("" : "+r"(value));
}

template <class Acc, int kRows, int kVectors>
FASTCONV_ALWAYS_INLINE void AddTile(Acc* acc, const Vec<Acc> (&sums)[kRows][kVectors]) {
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) {
      Acc* to = acc + (i * kVectors + v) * kLanes<Acc>;
      Store(to, Load(to) + sums[i][v]);
    }
  }
}

template <class Acc, int kRows, int kVectors>
FASTCONV_ALWAYS_INLINE void StoreTile(Acc* acc, const Vec<Acc> (&sums)[kRows][kVectors]) {
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) Store(acc + (i * kVectors + v) * kLanes<Acc>, sums[i][v]);
  }
}

// A range of memory that is asked for line by line while something else is computed.
class Prefetcher {
 public:
  Prefetcher(const void* begin, int64_t lines)
      : next_(static_cast<const char*>(begin)), end_(next_ + lines * kLine) {}

  FASTCONV_ALWAYS_INLINE void Line() {
    __builtin_prefetch(next_, 0, 2);  // into the second level of cache
    next_ = next_ + kLine < end_ ? next_ + kLine : next_;
  }

 private:
  static constexpr int64_t kLine = 64;
  const char* next_;
  const char* end_;
};

// How the panel of ConvRowsArgs lies in memory, and what is done with each of its rows.
template <class Acc, int kVectors>
class PackedPanel {
 public:
  static constexpr int64_t stride() { return kVectors * kLanes<Acc>; }
  FASTCONV_ALWAYS_INLINE void Row() {}
};

class StridedPanel {
 public:
  explicit StridedPanel(const ConvRowsArgs& args)
      : stride_(args.panel_stride), prefetcher_(args.prefetch, args.prefetch_lines) {}

  int64_t stride() const { return stride_; }
  FASTCONV_ALWAYS_INLINE void Row() { prefetcher_.Line(); }

 private:
  int64_t stride_;
  Prefetcher prefetcher_;
};

// sums[line * kPixels + i] += the products of pixel i of output row `row` + line; slab points at
// pixel 0 of the first line. Returns the panel after its rows.
template <class Acc, int kLines, int kPixels, int kVectors,
          class Panel = PackedPanel<Acc, kVectors>>
FASTCONV_ALWAYS_INLINE Panel AddProducts(const ConvRowsArgs& args, int64_t row, const Acc* slab,
                                         Vec<Acc> (&sums)[kLines * kPixels][kVectors],
                                         Panel panel = Panel()) {
  const Acc* b = static_cast<const Acc*>(args.panel);
  const int64_t stride = args.pixel_stride;
  for (int64_t r = 0; r < args.num_runs; ++r) {
    const Run& run = args.runs[r];
    const int64_t slab_row = row * args.filled.step + run.row;
    if (slab_row + (kLines - 1) * args.filled.step < args.filled.begin ||
        slab_row >= args.filled.end) {
      b += run.length * panel.stride();
      continue;
    }
    // One pointer per three pixels reaches all of them with the addressing modes that there are.
    constexpr int kPointers = (kPixels + 2) / 3;
    const Acc* a[kLines * kPointers];
#pragma GCC unroll 16
    for (int p = 0; p < kLines * kPointers; ++p) {
      a[p] = slab + run.offset + p / kPointers * args.row_stride + p % kPointers * 3 * stride;
      KeepInRegister(a[p]);
    }
    for (int64_t e = 0; e < run.length; ++e) {
      panel.Row();
      Vec<Acc> columns[kVectors];
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) columns[v] = Load(b + v * kLanes<Acc>);
#pragma GCC unroll 16
      for (int i = 0; i < kLines * kPixels; ++i) {
        const Acc* line = a[i / kPixels * kPointers + i % kPixels / 3];
        const Vec<Acc> pixel = Broadcast(line[i % kPixels % 3 * stride]);
#pragma GCC unroll 2
        for (int v = 0; v < kVectors; ++v) sums[i][v] += pixel * columns[v];
      }
      b += panel.stride();
#pragma GCC unroll 16
      for (int p = 0; p < kLines * kPointers; ++p) {
        ++a[p];
        KeepInRegister(a[p]);
      }
    }
  }
  return panel;
}

// kRows pixels of output row `row`; slab and acc point at the first of them.
template <class Acc, int kRows, int kVectors, class Panel>
void ConvTile(const ConvRowsArgs& args, int64_t row, const Acc* slab, Acc* acc, Panel* panel) {
  Vec<Acc> sums[kRows][kVectors] = {};
  *panel = AddProducts<Acc, 1, kRows, kVectors>(args, row, slab, sums, *panel);
  if (args.accumulate) return AddTile<Acc, kRows, kVectors>(acc, sums);
  StoreTile<Acc, kRows, kVectors>(acc, sums);
}

// Output rows [begin, end).
struct RowRange {
  int64_t begin, end;
};

// kRows consecutive elements of a run, over the pixels of `rows`; calls per_pixel() for each.
template <class Acc, int kRows, int kVectors, class PerPixel>
FASTCONV_ALWAYS_INLINE void SumFilterGradTile(const FilterGradArgs& args, const RowRange& rows,
                                              const Acc* slab, Acc* acc,
                                              const PerPixel& per_pixel) {
  Vec<Acc> sums[kRows][kVectors] = {};
  for (int64_t image = 0; image < args.images; ++image) {
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      const Acc* a = slab + image * args.image_stride + row * args.row_stride;
      const Acc* b =
          static_cast<const Acc*>(args.dz) + (image * args.rows + row) * args.dz_row_stride;
      for (int64_t col = 0; col < args.cols; ++col) {
        per_pixel();
        Vec<Acc> columns[kVectors];
#pragma GCC unroll 2
        for (int v = 0; v < kVectors; ++v) columns[v] = Load(b + v * kLanes<Acc>);
#pragma GCC unroll 16
        for (int i = 0; i < kRows; ++i) {
          const Vec<Acc> element = Broadcast(a[i]);
#pragma GCC unroll 2
          for (int v = 0; v < kVectors; ++v) sums[i][v] += element * columns[v];
        }
        a += args.pixel_stride;
        b += args.dz_pixel_stride;
      }
    }
  }
  AddTile<Acc, kRows, kVectors>(acc, sums);
}

template <class Acc, int kRows, int kVectors>
void FilterGradTile(const FilterGradArgs& args, const RowRange& rows, const Acc* slab, Acc* acc) {
  SumFilterGradTile<Acc, kRows, kVectors>(args, rows, slab, acc, [] {});
}

// Tiles that are summed in registers at a time: with a level of sums for these and one for all
// tiles of a call, rounding errors hardly grow with their number.
constexpr int64_t kTilesPerSum = 32;

// kRows consecutive channels of the data; data and sums point at the first of them.
template <class Acc, int kRows, int kVectors>
void ProductsTile(const TileProductsArgs& args, const Acc* data, Acc* sums,
                  Prefetcher* prefetcher) {
#pragma GCC unroll 32
  for (int i = 0; i < kRows * kVectors; ++i) __builtin_prefetch(sums + i * kLanes<Acc>, 1);
  const Acc* gradients = static_cast<const Acc*>(args.gradients);
  Prefetcher ahead = *prefetcher;
  Acc earlier[kRows * kVectors * kLanes<Acc>];
  const int64_t parts = (args.tiles + kTilesPerSum - 1) / kTilesPerSum;
  for (int64_t part = 0; part < parts; ++part) {
    Vec<Acc> tile_sums[kRows][kVectors] = {};
    const int64_t tiles = args.tiles * (part + 1) / parts - args.tiles * part / parts;
    for (int64_t tile = 0; tile < tiles; ++tile) {
      ahead.Line();
      Vec<Acc> columns[kVectors];
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) columns[v] = Load(gradients + v * kLanes<Acc>);
#pragma GCC unroll 16
      for (int i = 0; i < kRows; ++i) {
        const Vec<Acc> element = Broadcast(data[i]);
#pragma GCC unroll 2
        for (int v = 0; v < kVectors; ++v) tile_sums[i][v] += element * columns[v];
      }
      data += args.data_stride;
      gradients += args.gradient_stride;
    }
    if (part > 0) {
      AddTile<Acc, kRows, kVectors>(earlier, tile_sums);
    } else if (parts > 1) {
      StoreTile<Acc, kRows, kVectors>(earlier, tile_sums);
    } else if (args.accumulate) {
      AddTile<Acc, kRows, kVectors>(sums, tile_sums);
    } else {
      StoreTile<Acc, kRows, kVectors>(sums, tile_sums);
    }
  }
  *prefetcher = ahead;
  if (parts == 1) return;
#pragma GCC unroll 32
  for (int i = 0; i < kRows * kVectors; ++i) {
    Acc* to = sums + i * kLanes<Acc>;
    const Vec<Acc> sum = Load(earlier + i * kLanes<Acc>);
    Store(to, args.accumulate ? Load(to) + sum : sum);
  }
}

// Calls Tile<rows> for a row count known only at run time.
template <template <int> class Tile, int kRows = kTileRows, class... Args>
FASTCONV_ALWAYS_INLINE void CallTile(int64_t rows, Args&&... args) {
  if (rows == kRows) {
    Tile<kRows>::Call(args...);
  } else if constexpr (kRows > 1) {
    CallTile<Tile, kRows - 1>(rows, args...);
  }
}

// Cuts `count` rows into tiles of nearly equal height: equal ones keep the multipliers busier than
// full ones and a small rest. body(first, rows).
template <int64_t kRows = kTileRows, class Body>
FASTCONV_ALWAYS_INLINE void ForEachTile(int64_t count, const Body& body) {
  const int64_t tiles = (count + kRows - 1) / kRows;
  int64_t first = 0;
  for (int64_t t = 1; t <= tiles; ++t) {
    const int64_t end = count * t / tiles;
    body(first, end - first);
    first = end;
  }
}

template <class Acc, int kVectors>
struct Tiles {
  template <int kRows>
  struct Conv {
    template <class Panel>
    static void Call(const ConvRowsArgs& args, int64_t row, const Acc* slab, Acc* acc,
                     Panel* panel) {
      ConvTile<Acc, kRows, kVectors>(args, row, slab, acc, panel);
    }
  };
  template <int kRows>
  struct FilterGrad {
    static void Call(const FilterGradArgs& args, const RowRange& rows, const Acc* slab, Acc* acc) {
      FilterGradTile<Acc, kRows, kVectors>(args, rows, slab, acc);
    }
  };
  template <int kRows>
  struct Products {
    static void Call(const TileProductsArgs& args, const Acc* data, Acc* to,
                     Prefetcher* prefetcher) {
      ProductsTile<Acc, kRows, kVectors>(args, data, to, prefetcher);
    }
  };
};

template <class Acc, int kVectors, class Panel>
void ConvRowsOfPanel(const ConvRowsArgs& args, Panel panel) {
  constexpr int64_t width = kVectors * kLanes<Acc>;
  for (int64_t row = 0; row < args.rows; ++row) {
    const Acc* slab = static_cast<const Acc*>(args.slab) + row * args.row_stride;
    Acc* acc = static_cast<Acc*>(args.acc) + row * args.cols * width;
    ForEachTile(args.cols, [&](int64_t first, int64_t rows) {
      CallTile<Tiles<Acc, kVectors>::template Conv>(
          rows, args, row, slab + first * args.pixel_stride, acc + first * width, &panel);
    });
  }
}

template <class Acc, int kVectors>
void ConvRowsOfWidth(const ConvRowsArgs& args) {
  args.panel_stride == 0 ? ConvRowsOfPanel<Acc, kVectors>(args, PackedPanel<Acc, kVectors>())
                         : ConvRowsOfPanel<Acc, kVectors>(args, StridedPanel(args));
}

template <class Acc>
void ConvRows(const ConvRowsArgs& args) {
  args.vectors == 1 ? ConvRowsOfWidth<Acc, 1>(args) : ConvRowsOfWidth<Acc, 2>(args);
}

// Calls body(rows, slab, acc, elements) for tiles of a filter's elements: where they meet the
// image.
template <class Acc, int kVectors, class Body>
FASTCONV_ALWAYS_INLINE void ForEachFilterGradTile(const FilterGradArgs& args, const Body& body) {
  constexpr int64_t width = kVectors * kLanes<Acc>;
  Acc* acc = static_cast<Acc*>(args.acc);
  for (int64_t r = 0; r < args.num_runs; ++r) {
    const Run& run = args.runs[r];
    const Acc* slab = static_cast<const Acc*>(args.slab) + run.offset;
    RowRange filled{0, args.rows};
    const auto slab_row = [&](int64_t row) { return row * args.filled.step + run.row; };
    while (filled.begin < filled.end && slab_row(filled.begin) < args.filled.begin) ++filled.begin;
    while (filled.begin < filled.end && slab_row(filled.end - 1) >= args.filled.end) --filled.end;
    ForEachTile(run.length, [&](int64_t first, int64_t elements) {
      body(filled, slab + first, acc + first * width, elements);
    });
    acc += run.length * width;
  }
}

template <class Acc, int kVectors>
void FilterGradOfWidth(const FilterGradArgs& args) {
  ForEachFilterGradTile<Acc, kVectors>(
      args, [&](const RowRange& rows, const Acc* slab, Acc* acc, int64_t elements) {
        CallTile<Tiles<Acc, kVectors>::template FilterGrad>(elements, args, rows, slab, acc);
      });
}

template <class Acc>
void FilterGrad(const FilterGradArgs& args) {
  args.vectors == 1 ? FilterGradOfWidth<Acc, 1>(args) : FilterGradOfWidth<Acc, 2>(args);
}

template <class Acc, int kVectors>
void TileProductsOfWidth(const TileProductsArgs& args) {
  const Acc* data = static_cast<const Acc*>(args.data);
  Acc* sums = static_cast<Acc*>(args.sums);
  Prefetcher prefetcher(args.prefetch, args.prefetch_lines);
  ForEachTile(args.channels, [&](int64_t first, int64_t rows) {
    CallTile<Tiles<Acc, kVectors>::template Products>(
        rows, args, data + first, sums + first * kVectors * kLanes<Acc>, &prefetcher);
  });
}

template <class Acc>
void TileProducts(const TileProductsArgs& args) {
  args.vectors == 1 ? TileProductsOfWidth<Acc, 1>(args) : TileProductsOfWidth<Acc, 2>(args);
}

}  // namespace fastconv::cpu::FASTCONV_ISA

#endif  // FASTCONV_CORE_CPU_KERNELS_MATRIX_PRODUCT_H_
