// Tensor cores, and what feeds them: asynchronous copies into shared memory and loads of matrix
// fragments from there. Part of the device layer (device.h), with its two implementations.
//
// A warp multiplies A [16][kDepth] by B [kDepth][8] and adds to D [16][8]; kDepth is 16 for 16-bit
// types and 8 for float, of which the tensor cores see 11 bits of significand (TF32). Who holds
// what, with group = lane / 4 and member = lane % 4 (PTX ISA, "Matrix Fragments for mma"):
//
//   D   value[2 * i + j]     row group + 8 * i, column 2 * member + j
//   A   word[2 * j + i]      row group + 8 * i; 16-bit: columns 8 * j + 2 * member + {0, 1}
//                            float: column 4 * j + member
//   B   word[j]              column group;      16-bit: rows 8 * j + 2 * member + {0, 1}
//                            float: row 4 * j + member
//
//   void LoadMatrices(row, words)            four 8x8 matrices of 16-bit values, each row 16 bytes
//   at
//                                            the address that lane 8 * matrix + row gives; word i
//                                            of a lane: matrix i, row group, columns 2 * member +
//                                            {0, 1}
//   void LoadMatricesTransposed(row, words)  the same of the transposed matrices
//   void MultiplyAdd(T(), a, b, d)
//   void CopyAsync(to, from, present)        16 bytes into shared memory; zeros where not present
//   void CommitCopies()                      makes a group of the copies since the last one
//   void WaitForCopies<kLeft>()              until at most kLeft groups of this thread are under
//   way
#ifndef FASTCONV_CORE_CUDA_DEVICE_MATRIX_H_
#define FASTCONV_CORE_CUDA_DEVICE_MATRIX_H_

#include <cstdint>

#include "core/cuda/device/device.h"
#include "core/dtype.h"

#if !defined(__CUDACC__)
#include "core/cuda/device/emulated_matrix.h"
#else

namespace fastconv::cuda {

FASTCONV_DEVICE void LoadMatrices(const void* row, uint32_t (&words)[4]) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
               : "r"(SharedAddress(row))
               : "memory");
}
FASTCONV_DEVICE void LoadMatricesTransposed(const void* row, uint32_t (&words)[4]) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
               : "r"(SharedAddress(row))
               : "memory");
}

#define FASTCONV_MULTIPLY_ADD(shape_and_types)                                    \
  asm volatile("mma.sync.aligned." shape_and_types                                \
               " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};" \
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])                   \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]))

FASTCONV_DEVICE void MultiplyAdd(BFloat16, const uint32_t (&a)[4], const uint32_t (&b)[2],
                                 float (&d)[4]) {
  FASTCONV_MULTIPLY_ADD("m16n8k16.row.col.f32.bf16.bf16.f32");
}
FASTCONV_DEVICE void MultiplyAdd(Float16, const uint32_t (&a)[4], const uint32_t (&b)[2],
                                 float (&d)[4]) {
  FASTCONV_MULTIPLY_ADD("m16n8k16.row.col.f32.f16.f16.f32");
}
FASTCONV_DEVICE void MultiplyAdd(float, const uint32_t (&a)[4], const uint32_t (&b)[2],
                                 float (&d)[4]) {
  FASTCONV_MULTIPLY_ADD("m16n8k8.row.col.f32.tf32.tf32.f32");
}

#undef FASTCONV_MULTIPLY_ADD

FASTCONV_DEVICE void CopyAsync(void* to, const void* from, bool present) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(SharedAddress(to)), "l"(from),
               "r"(present ? 16 : 0)
               : "memory");
}
FASTCONV_DEVICE void CommitCopies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int kLeft>
FASTCONV_DEVICE void WaitForCopies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kLeft) : "memory");
}

}  // namespace fastconv::cuda

#endif

#endif  // FASTCONV_CORE_CUDA_DEVICE_MATRIX_H_
