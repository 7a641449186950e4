// Tensor-core products of warpgroups (four warps, the first one's number a multiple of 4), of
// compute capability 9.0a. Part of the device layer (device.h), with its two implementations.
//
// A warpgroup multiplies A [64][kDepth] by B [kDepth][kColumns] and adds to D [64][kColumns]; depth
// is 32 bytes: 16 elements of 16-bit types, 8 of float, of which the tensor cores see 11 bits of
// significand (TF32). A and B are read from shared memory while the threads go on. Thread t of the
// group holds of D (PTX ISA, "Register Fragments for wgmma"), with group = t / 4 % 8:
//
//   value[4 * j + 2 * i + e]     row t / 32 * 16 + group + 8 * i, column 8 * j + 2 * (t % 4) + e
//
//   Operand RowsOperand<kRowBytes>(start)   rows of A, or columns of B, of kRowBytes = 64 or 128
//                                           each, one behind the other; the product takes 32 bytes
//                                           of each from `start` on. Parts of 16 bytes are
//                                           exchanged as bulk copies of boxes with such rows do it:
//                                           bits 4 to 6 (of 64 bytes: 4 and 5) of an address are
//                                           xored with bits 7 to 9 (7 and 8). Row 0 may be any row
//   Operand ColumnsOperand(start, distance) the same of 16-bit types, transposed, as they lie in a
//                                           map: rows of 128 bytes, one behind the other, of which
//                                           the product takes 16; row d has depth d of 64 rows of A
//                                           or columns of B; the next 64, if there are more, begin
//                                           `distance` bytes on, a multiple of 1024
//   uint32_t SwizzledOffset<kRowBytes>(offset)      where that puts a byte of an area aligned to
//                                                   1024 bytes
//   void BeginProducts(all)                 before the first product, when all d = all[tile] are
//                                           complete
//   void MultiplyAddAsync<kColumns>(T(), a, b, d)
//   void MultiplyAddTransposedAsync<kColumns>(T(), a, b, d)   of ColumnsOperands
//   void CommitProducts()                   makes a group of the products since the last one
//   void WaitForProducts<kLeft>(all)        until at most kLeft groups are under way
//   float Hidden(value)                     the value, which the compiler then does not know: sums
//                                           that begin with a constant would make it copy sums
//   void LowerRegisters<n>()                of each thread; what the warpgroups of a block release
//   void RaiseRegisters<n>()                is what others can get
//
// All threads of the warpgroup call these functions together; until the products are done nobody
// touches d or writes to the operands.
#ifndef FASTCONV_CORE_CUDA_DEVICE_WARPGROUP_H_
#define FASTCONV_CORE_CUDA_DEVICE_WARPGROUP_H_

#include <cstdint>

#include "core/cuda/device/device.h"
#include "core/dtype.h"

namespace fastconv::cuda {

constexpr int kWarpgroupSize = 4 * kWarpSize;

// Whether the code is compiled for a GPU that has all this.
#if defined(__CUDA_ARCH__) && !defined(__CUDA_ARCH_FEAT_SM90_ALL)
constexpr bool kHasWarpgroups = false;
#else
constexpr bool kHasWarpgroups = true;
#endif

// A matrix descriptor of the PTX ISA.
struct Operand {
  uint64_t bits;

  // `bytes` further on in the rows, or whole rows further on.
  FASTCONV_DEVICE Operand operator+(int bytes) const {
    return {bits + static_cast<uint64_t>(bytes >> 4)};
  }
};

namespace operand {

constexpr int kAddressBits = 14;
constexpr int kNextShift = 16;       // of transposed operands: distance of the next 64
constexpr int kGroupShift = 32;      // distance of groups of 8 rows
constexpr int kSwizzleShift = 62;    // 1: rows of 128 bytes, 2: of 64
constexpr int kUnusedDistance = 16;  // where there is no next part; 1 in the descriptor, not 0

template <int kRowBytes>
FASTCONV_DEVICE Operand Rows(uint32_t shared_address) {
  static_assert(kRowBytes == 64 || kRowBytes == 128, "one of the two layouts");
  constexpr uint64_t kLayout = uint64_t{kRowBytes == 128 ? 1 : 2} << kSwizzleShift |
                               uint64_t{8 * kRowBytes >> 4} << kGroupShift |
                               uint64_t{kUnusedDistance >> 4} << kNextShift;
  return {kLayout | (shared_address >> 4 & ((1u << kAddressBits) - 1))};
}

FASTCONV_DEVICE Operand Columns(uint32_t shared_address, int distance) {
  constexpr int kRowBytes = 128;
  constexpr uint64_t kLayout = uint64_t{1} << kSwizzleShift | uint64_t{8 * kRowBytes >> 4}
                                                                  << kGroupShift;
  return {kLayout | static_cast<uint64_t>(distance >> 4) << kNextShift |
          (shared_address >> 4 & ((1u << kAddressBits) - 1))};
}

}  // namespace operand

template <int kRowBytes>
FASTCONV_HOST_DEVICE uint32_t SwizzledOffset(uint32_t offset) {
  static_assert(kRowBytes == 32 || kRowBytes == 64 || kRowBytes == 128, "of boxes");
  return offset ^ (offset >> 7 & (kRowBytes / 16 - 1)) << 4;
}

}  // namespace fastconv::cuda

#if !defined(__CUDACC__)
#include "core/cuda/device/emulated_warpgroup.h"
#else

#include "core/cuda/device/matrix.h"

namespace fastconv::cuda {

template <int kRowBytes>
FASTCONV_DEVICE Operand RowsOperand(const void* start) {
  return operand::Rows<kRowBytes>(SharedAddress(start));
}
FASTCONV_DEVICE Operand ColumnsOperand(const void* start, int distance = operand::kUnusedDistance) {
  return operand::Columns(SharedAddress(start), distance);
}

FASTCONV_DEVICE float Hidden(float value) {
  asm volatile("" : "+f"(value));
  return value;
}

// Keeps reads and writes of the sums on their side of what comes before and after.
template <int kTiles, int kSums>
FASTCONV_DEVICE void FenceSums(float (&d)[kTiles][kSums]) {
  FASTCONV_UNROLL
  for (int tile = 0; tile < kTiles; ++tile) {
    FASTCONV_UNROLL
    for (int i = 0; i < kSums; ++i) asm volatile("" : "+f"(d[tile][i])::"memory");
  }
}

template <int kTiles, int kSums>
FASTCONV_DEVICE void BeginProducts(float (&d)[kTiles][kSums]) {
  FenceSums(d);
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
FASTCONV_DEVICE void CommitProducts() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
template <int kLeft, int kTiles, int kSums>
FASTCONV_DEVICE void WaitForProducts(float (&d)[kTiles][kSums]) {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kLeft) : "memory");
  FenceSums(d);
}

// Names of 8 registers, and the sums that they hold.
#define FASTCONV_REGISTERS_0 "%0, %1, %2, %3, %4, %5, %6, %7"
#define FASTCONV_REGISTERS_1 "%8, %9, %10, %11, %12, %13, %14, %15"
#define FASTCONV_REGISTERS_2 "%16, %17, %18, %19, %20, %21, %22, %23"
#define FASTCONV_REGISTERS_3 "%24, %25, %26, %27, %28, %29, %30, %31"
#define FASTCONV_REGISTERS_4 "%32, %33, %34, %35, %36, %37, %38, %39"
#define FASTCONV_REGISTERS_5 "%40, %41, %42, %43, %44, %45, %46, %47"
#define FASTCONV_REGISTERS_6 "%48, %49, %50, %51, %52, %53, %54, %55"
#define FASTCONV_REGISTERS_7 "%56, %57, %58, %59, %60, %61, %62, %63"
#define FASTCONV_REGISTERS_8 "%64, %65, %66, %67, %68, %69, %70, %71"
#define FASTCONV_REGISTERS_9 "%72, %73, %74, %75, %76, %77, %78, %79"
#define FASTCONV_REGISTERS_10 "%80, %81, %82, %83, %84, %85, %86, %87"
#define FASTCONV_REGISTERS_11 "%88, %89, %90, %91, %92, %93, %94, %95"
#define FASTCONV_REGISTERS_TO_47                                           \
  FASTCONV_REGISTERS_0 ", " FASTCONV_REGISTERS_1 ", " FASTCONV_REGISTERS_2 \
                       ", " FASTCONV_REGISTERS_3 ", " FASTCONV_REGISTERS_4 \
                       ", " FASTCONV_REGISTERS_5
#define FASTCONV_REGISTERS_TO_95                                               \
  FASTCONV_REGISTERS_TO_47 ", " FASTCONV_REGISTERS_6 ", " FASTCONV_REGISTERS_7 \
                           ", " FASTCONV_REGISTERS_8 ", " FASTCONV_REGISTERS_9 \
                           ", " FASTCONV_REGISTERS_10 ", " FASTCONV_REGISTERS_11
#define FASTCONV_SUMS(i)                                                                      \
  "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]), \
      "+f"(d[i + 6]), "+f"(d[i + 7])
#define FASTCONV_SUMS_TO_47                                                                    \
  FASTCONV_SUMS(0), FASTCONV_SUMS(8), FASTCONV_SUMS(16), FASTCONV_SUMS(24), FASTCONV_SUMS(32), \
      FASTCONV_SUMS(40)
#define FASTCONV_SUMS_TO_95                                                                        \
  FASTCONV_SUMS_TO_47, FASTCONV_SUMS(48), FASTCONV_SUMS(56), FASTCONV_SUMS(64), FASTCONV_SUMS(72), \
      FASTCONV_SUMS(80), FASTCONV_SUMS(88)

// `end`: what follows the factors of A and B, both 1: whether these are transposed.
#define FASTCONV_MULTIPLY_ADD(registers, sums, a_register, b_register, columns, kind, end)      \
  asm volatile("wgmma.mma_async.sync.aligned.m64n" columns kind " {" registers "}, " a_register \
               ", " b_register ", 1, 1, 1" end ";"                                              \
               : sums                                                                           \
               : "l"(a.bits), "l"(b.bits))
#define FASTCONV_MULTIPLY_ADD_ASYNC(name, T, kind, end)                                         \
  template <int kColumns>                                                                       \
  FASTCONV_DEVICE void name(T, Operand a, Operand b, float(&d)[kColumns / 2]) {                 \
    static_assert(kColumns == 96 || kColumns == 192, "widths in use");                          \
    if constexpr (kColumns == 96) {                                                             \
      FASTCONV_MULTIPLY_ADD(FASTCONV_REGISTERS_TO_47, FASTCONV_SUMS_TO_47, "%48", "%49", "96",  \
                            kind, end);                                                         \
    } else {                                                                                    \
      FASTCONV_MULTIPLY_ADD(FASTCONV_REGISTERS_TO_95, FASTCONV_SUMS_TO_95, "%96", "%97", "192", \
                            kind, end);                                                         \
    }                                                                                           \
  }

FASTCONV_MULTIPLY_ADD_ASYNC(MultiplyAddAsync, BFloat16, "k16.f32.bf16.bf16", ", 0, 0")
FASTCONV_MULTIPLY_ADD_ASYNC(MultiplyAddAsync, Float16, "k16.f32.f16.f16", ", 0, 0")
FASTCONV_MULTIPLY_ADD_ASYNC(MultiplyAddAsync, float, "k8.f32.tf32.tf32", "")
FASTCONV_MULTIPLY_ADD_ASYNC(MultiplyAddTransposedAsync, BFloat16, "k16.f32.bf16.bf16", ", 1, 1")
FASTCONV_MULTIPLY_ADD_ASYNC(MultiplyAddTransposedAsync, Float16, "k16.f32.f16.f16", ", 1, 1")

#undef FASTCONV_MULTIPLY_ADD_ASYNC
#undef FASTCONV_MULTIPLY_ADD
#undef FASTCONV_SUMS_TO_95
#undef FASTCONV_SUMS_TO_47
#undef FASTCONV_SUMS
#undef FASTCONV_REGISTERS_TO_95
#undef FASTCONV_REGISTERS_TO_47
#undef FASTCONV_REGISTERS_11
#undef FASTCONV_REGISTERS_10
#undef FASTCONV_REGISTERS_9
#undef FASTCONV_REGISTERS_8
#undef FASTCONV_REGISTERS_7
#undef FASTCONV_REGISTERS_6
#undef FASTCONV_REGISTERS_5
#undef FASTCONV_REGISTERS_4
#undef FASTCONV_REGISTERS_3
#undef FASTCONV_REGISTERS_2
#undef FASTCONV_REGISTERS_1
#undef FASTCONV_REGISTERS_0

template <int kRegisters>
FASTCONV_DEVICE void LowerRegisters() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters>
FASTCONV_DEVICE void RaiseRegisters() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

}  // namespace fastconv::cuda

#endif

#endif  // FASTCONV_CORE_CUDA_DEVICE_WARPGROUP_H_
