// Convolutions of narrow groups, depthwise ones above all: a vector's lanes are output channels of
// several groups, and each lane has its own input, so no lane is idle and groups never mix.
#ifndef FASTCONV_CORE_CPU_KERNELS_GROUPED_H_
#define FASTCONV_CORE_CPU_KERNELS_GROUPED_H_

#include "core/cpu/kernels/kernels.h"
#include "core/cpu/kernels/matrix_product.h"
#include "core/cpu/kernels/simd.h"

namespace fastconv::cpu::FASTCONV_ISA {

// Output channels [first, first + kLanes) take input `index[lane]` + i of the pixel. `window`: two
// vectors at `base` hold them all.
template <class Acc>
struct GroupLanes {
  int64_t base;
  Mask<Acc> index;  // from base
  bool window;

  GroupLanes(const SpreadGroupsArgs& args, int64_t first) {
    using Integer = typename Simd<Acc>::Integer;
    const int64_t first_group = first / args.out_per_group;
    base = (first_group - args.first_out / args.out_per_group) * args.in_per_group;
    int64_t last = 0;
    for (int64_t lane = 0; lane < kLanes<Acc>; ++lane) {
      const int64_t out = first + lane;
      const bool used = out < args.first_out + args.channels;
      const int64_t in = (out / args.out_per_group - first_group) * args.in_per_group;
      index[lane] = static_cast<Integer>(used ? in : 0);
      if (used) last = in;
    }
    window = last + args.in_per_group <= 2 * kLanes<Acc>;
  }
};

template <class Acc>
void SpreadGroups(const SpreadGroupsArgs& args) {
  using Integer = typename Simd<Acc>::Integer;
  for (int64_t lane = 0; lane < args.width; lane += kLanes<Acc>) {
    const GroupLanes<Acc> lanes(args, args.first_out + lane);
    const Acc* src = static_cast<const Acc*>(args.src) + lanes.base;
    Acc* dst = static_cast<Acc*>(args.dst) + lane;
    for (int64_t pixel = 0; pixel < args.pixels; ++pixel, src += args.src_stride) {
      if (lanes.window) {
        const Vec<Acc> low = Load(src), high = Load(src + kLanes<Acc>);
        for (int64_t i = 0; i < args.in_per_group; ++i, dst += args.width) {
          Store(dst, Vec<Acc>(__builtin_shuffle(low, high, lanes.index + static_cast<Integer>(i))));
        }
      } else {
        for (int64_t i = 0; i < args.in_per_group; ++i, dst += args.width) {
          for (int64_t l = 0; l < kLanes<Acc>; ++l) dst[l] = src[lanes.index[l] + i];
        }
      }
    }
  }
}

// kRows pixels of output row `row`; slab and acc point at the first of them.
template <class Acc, int kRows, int kVectors>
void GroupedTile(const GroupedRowsArgs& args, int64_t row, const Acc* slab, Acc* acc) {
  Vec<Acc> sums[kRows][kVectors] = {};
  const Acc* b = static_cast<const Acc*>(args.panel);
  const int64_t stride = args.pixel_stride;
  for (int64_t e = 0; e < args.num_elements; ++e, b += args.panel_stride) {
    const Run& element = args.elements[e];
    const int64_t slab_row = row * args.filled.step + element.row;
    if (slab_row < args.filled.begin || slab_row >= args.filled.end) continue;
    constexpr int kPointers = (kRows + 2) / 3;  // as in ConvTile
    const Acc* a[kPointers];
#pragma GCC unroll 16
    for (int p = 0; p < kPointers; ++p) {
      a[p] = slab + element.offset + p * 3 * stride;
      KeepInRegister(a[p]);
    }
    Vec<Acc> weights[kVectors];
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) weights[v] = Load(b + v * kLanes<Acc>);
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) {
        sums[i][v] += Load(a[i / 3] + (i % 3) * stride + v * kLanes<Acc>) * weights[v];
      }
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) Store(acc + (i * kVectors + v) * kLanes<Acc>, sums[i][v]);
  }
}

// kRows elements, over all pixels.
template <class Acc, int kRows, int kVectors>
void GroupedFilterGradTile(const GroupedFilterGradArgs& args, const Run* elements, Acc* acc) {
  Vec<Acc> sums[kRows][kVectors] = {};
  const Acc* b = static_cast<const Acc*>(args.dz);
  for (int64_t row = 0; row < args.rows; ++row) {
    const Acc* a = static_cast<const Acc*>(args.slab) + row * args.row_stride;
    for (int64_t col = 0; col < args.cols; ++col) {
      Vec<Acc> gradients[kVectors];
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) gradients[v] = Load(b + v * kLanes<Acc>);
#pragma GCC unroll 16
      for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 2
        for (int v = 0; v < kVectors; ++v) {
          sums[i][v] += Load(a + elements[i].offset + v * kLanes<Acc>) * gradients[v];
        }
      }
      a += args.pixel_stride;
      b += kVectors * kLanes<Acc>;
    }
  }
  AddTile<Acc, kRows, kVectors>(acc, sums);
}

template <class Acc, int kVectors>
struct GroupedTiles {
  template <int kRows>
  struct Conv {
    static void Call(const GroupedRowsArgs& args, int64_t row, const Acc* slab, Acc* acc) {
      GroupedTile<Acc, kRows, kVectors>(args, row, slab, acc);
    }
  };
  template <int kRows>
  struct FilterGrad {
    static void Call(const GroupedFilterGradArgs& args, const Run* elements, Acc* acc) {
      GroupedFilterGradTile<Acc, kRows, kVectors>(args, elements, acc);
    }
  };
};

template <class Acc, int kVectors>
void GroupedRowsOfWidth(const GroupedRowsArgs& args) {
  constexpr int64_t width = kVectors * kLanes<Acc>;
  for (int64_t row = 0; row < args.rows; ++row) {
    const Acc* slab = static_cast<const Acc*>(args.slab) + row * args.row_stride;
    Acc* acc = static_cast<Acc*>(args.acc) + row * args.cols * width;
    ForEachTile(args.cols, [&](int64_t first, int64_t rows) {
      CallTile<GroupedTiles<Acc, kVectors>::template Conv>(
          rows, args, row, slab + first * args.pixel_stride, acc + first * width);
    });
  }
}

template <class Acc>
void GroupedRows(const GroupedRowsArgs& args) {
  args.vectors == 1 ? GroupedRowsOfWidth<Acc, 1>(args) : GroupedRowsOfWidth<Acc, 2>(args);
}

template <class Acc, int kVectors>
void GroupedFilterGradOfWidth(const GroupedFilterGradArgs& args) {
  constexpr int64_t width = kVectors * kLanes<Acc>;
  ForEachTile(args.num_elements, [&](int64_t first, int64_t rows) {
    CallTile<GroupedTiles<Acc, kVectors>::template FilterGrad>(
        rows, args, args.elements + first, static_cast<Acc*>(args.acc) + first * width);
  });
}

template <class Acc>
void GroupedFilterGrad(const GroupedFilterGradArgs& args) {
  args.vectors == 1 ? GroupedFilterGradOfWidth<Acc, 1>(args)
                    : GroupedFilterGradOfWidth<Acc, 2>(args);
}

}  // namespace fastconv::cpu::FASTCONV_ISA

#endif  // FASTCONV_CORE_CPU_KERNELS_GROUPED_H_
