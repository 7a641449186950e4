// Rows of a map in shared memory, as warpgroups multiply by them (warpgroup_conv3x3_args.h). Bulk
// copies bring them there; or bring dy and its signs, of which some warps make dz (folded.h).
#ifndef FASTCONV_CORE_CUDA_KERNELS_FOLDED_ROW_H_
#define FASTCONV_CORE_CUDA_KERNELS_FOLDED_ROW_H_

#include <cstdint>

#include "core/cuda/device/bulk_copy.h"
#include "core/cuda/device/warpgroup.h"
#include "core/cuda/kernels/folded.h"
#include "core/cuda/kernels/tensor_product.h"
#include "core/cuda/kernels/values.h"
#include "core/cuda/kernels/warpgroup_conv3x3_args.h"

namespace fastconv::cuda {

// dy behind an activation comes to where dz is going to be and y beside it; behind a pooling both
// the cells' dy and their codes come beside it. Pooled rows begin with a cell and have whole ones.
// kPerUnit: pixels.
template <class T, int kChannels, Folded kFolded,
          int kPerUnit = kUnitBytes / kChannels / static_cast<int>(sizeof(T))>
class FoldedRow {
 public:
  static constexpr int kVector = kVectorOf<T>;
  static constexpr int kPixelBytes = kChannels * static_cast<int>(sizeof(T));
  static constexpr int kUnit = kPerUnit * kPixelBytes;  // bytes
  // Pixels that rows begin and end with multiples of.
  static constexpr int kGrain = kFolded == Folded::kPooling ? 2 : kPerUnit;
  static_assert(kGrain % kPerUnit == 0, "whole units");

  // Room that a row of so many units takes beside it.
  static constexpr FASTCONV_HOST_DEVICE int BesideBytes(int units) {
    if (kFolded == Folded::kNothing) return 0;
    if (kFolded == Folded::kActivation) return AlignStage(units * kUnit);
    return CodesOffset(units) + AlignStage(Cells(units) * kChannels);
  }

  // Bytes that Fetch brings.
  static constexpr FASTCONV_HOST_DEVICE int CopiedBytes(int units) {
    if (kFolded == Folded::kNothing) return units * kUnit;
    if (kFolded == Folded::kActivation) return 2 * units * kUnit;
    return Cells(units) * (kPixelBytes + kChannels);
  }

  static FASTCONV_DEVICE void Prefetch(const RowMaps& maps) {
    PrefetchMap(maps.map);
    if constexpr (kFolded != Folded::kNothing) PrefetchMap(maps.signs);
  }

  // Starts the copies of a row of `units` units from (row, unit) of an image on. One thread.
  // `channel`: where the plane begins.
  static FASTCONV_DEVICE void Fetch(const RowMaps& maps, int units, int image, int row, int unit,
                                    unsigned char* dz, unsigned char* beside, Barrier* barrier,
                                    int channel = 0) {
    if constexpr (kFolded == Folded::kPooling) {
      // Beyond the map, too: cell -1 has rows -2 and -1.
      const TilePosition cell = {{0, unit * kPerUnit >> 1, row >> 1, image}};
      LoadTile(beside, maps.map, cell, barrier);
      LoadTile(beside + CodesOffset(units), maps.signs, cell, barrier);
    } else {
      const TilePosition at = {{channel, unit, row, image}};
      LoadTile(dz, maps.map, at, barrier);
      if constexpr (kFolded == Folded::kActivation) LoadTile(beside, maps.signs, at, barrier);
    }
  }

  FASTCONV_DEVICE FoldedRow(const FoldedArgs& args, int units)
      : activation_{/*linear=*/false, args.activation.slope}, factors_(args), units_(units) {}

  // Makes dz of what Fetch has brought, and calls body(dz) for each run of 16 bytes; of the threads
  // [0, kThreads), which are whole warps, each always has the same channels: from
  // thread % (kPixelBytes / 16) * kVector on. `copy`, unless null: dz is stored there, too.
  template <int kThreads, class Body>
  FASTCONV_DEVICE void Make(int thread, int row, unsigned char* dz, unsigned char* copy,
                            const unsigned char* beside, const Body& body) const {
    static_assert(kThreads % kWarpSize == 0, "whole warps");
    const uint32_t runs = kFolded == Folded::kPooling ? Cells(units_) * kRuns : units_ * kUnitRuns;
    for (uint32_t i = thread; i < (runs + kWarpSize - 1) / kWarpSize * kWarpSize; i += kThreads) {
      if constexpr (kFolded == Folded::kPooling) {
        const CellRun run = CellRunAt(i);
        if (run.cell < Cells(units_)) MakeCell(run, row & 1, dz, copy, beside, body);
      } else {
        if (i < runs) MakePixel(SwizzledOffset<kUnit>(i * 16), dz, copy, beside, body);
      }
    }
  }

 private:
  static constexpr uint32_t kRuns = kPixelBytes / 16, kUnitRuns = kUnit / 16;

  static constexpr FASTCONV_HOST_DEVICE uint32_t Cells(int units) { return units * kPerUnit / 2; }
  static constexpr FASTCONV_HOST_DEVICE int CodesOffset(int units) {
    return AlignStage(Cells(units) * kPixelBytes);
  }

  template <class Body>
  FASTCONV_DEVICE void MakePixel(uint32_t offset, unsigned char* dz, unsigned char* copy,
                                 const unsigned char* beside, const Body& body) const {
    float v[kVector];
    LoadValues(reinterpret_cast<const T*>(dz + offset), v);
    if constexpr (kFolded == Folded::kActivation) {
      FoldActivation<T>(activation_, Load<16>(beside + offset), v);
      StoreRun(v, offset, dz, copy);
    }
    body(v);
  }

  struct CellRun {
    uint32_t cell, run;
  };

  // Of two pixels per unit, a quarter of a warp takes two half units. For these to lie in different
  // banks, both where they come from and where they go, one cell is odd and the other even, and
  // they are four cells apart.
  static FASTCONV_DEVICE CellRun CellRunAt(uint32_t i) {
    if constexpr (kPerUnit == 1) {
      return {i / kRuns, i % kRuns};
    } else {
      const uint32_t pair = i % kWarpSize / 8, second = i / 4 % 2;
      return {i / kWarpSize * 8 + (pair ^ 5 * second), i % kRuns};
    }
  }
  static_assert(kFolded != Folded::kPooling || kPerUnit == 1 || kRuns == 4, "half units");

  // The cell's two pixels in this row, its upper or its lower one.
  template <class Body>
  FASTCONV_DEVICE void MakeCell(const CellRun& run, int lower, unsigned char* dz,
                                unsigned char* copy, const unsigned char* beside,
                                const Body& body) const {
    const uint32_t at = run.cell * kRuns + run.run;
    const auto dy = Load<16>(beside + SwizzledOffset<kPixelBytes>(at * 16));
    const auto codes =
        Load<kVector>(beside + CodesOffset(units_) + SwizzledOffset<kChannels>(at * kVector));
    const FoldedCell<T> cell(factors_, dy, codes);
    FASTCONV_UNROLL
    for (uint32_t right = 0; right < 2; ++right) {
      float v[kVector];
      cell.AtPixel(2 * lower + right, v);
      const uint32_t pixel = 2 * run.cell + right;
      StoreRun(v, SwizzledOffset<kUnit>(pixel * kPixelBytes + run.run * 16), dz, copy);
      body(v);
    }
  }

  // Floats are rounded to TF32: tensor cores would cut them off.
  static FASTCONV_DEVICE void StoreRun(const float (&v)[kVector], uint32_t offset,
                                       unsigned char* dz, unsigned char* copy) {
    float rounded[kVector];
    FASTCONV_UNROLL
    for (int c = 0; c < kVector; ++c) rounded[c] = sizeof(T) == 4 ? RoundToTf32(v[c]) : v[c];
    StoreValues(rounded, reinterpret_cast<T*>(dz + offset));
    if (copy != nullptr) StoreValues(rounded, reinterpret_cast<T*>(copy + offset));
  }

  const ActivationArgs activation_;  // kActivation
  const FoldedFactors<T> factors_;   // kPooling
  const int units_;
};

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_KERNELS_FOLDED_ROW_H_
