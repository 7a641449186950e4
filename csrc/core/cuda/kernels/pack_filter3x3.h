// The filter of a 3x3 convolution as warpgroup_conv3x3.h multiplies by it: byte for byte what is
// going to lie in shared memory, so that one bulk copy brings it there.
#ifndef FASTCONV_CORE_CUDA_KERNELS_PACK_FILTER3X3_H_
#define FASTCONV_CORE_CUDA_KERNELS_PACK_FILTER3X3_H_

#include <cstdint>

#include "core/cuda/device/warpgroup.h"
#include "core/cuda/kernels/tensor_product.h"
#include "core/cuda/kernels/values.h"
#include "core/cuda/kernels/warpgroup_conv3x3_args.h"

namespace fastconv::cuda {

// [filter column][plane][slot][output in the order of columns of D][channel]. An input row lies
// under filter row r of the output r rows above; the sums of three output rows are the columns of
// one product. As the oldest row is complete with every input row, the filter rows belong to the
// three in turn: the product that begins at slot 0, 2 or 1 has them in the orders 0 2 1, 1 0 2 and
// 2 1 0.
template <class T, int kChannels, int kOutputs>
struct PackedFilter3x3 {
  using Planes = PixelPlanes<T, kChannels>;
  static constexpr int kSlots = 5;
  static constexpr int kRowBytes = Planes::kBytes;
  static constexpr int kSlotBytes = kOutputs * kRowBytes;
  static constexpr int kPlaneBytes = kSlots * kSlotBytes;
  static constexpr int kColumnBytes = Planes::kCount * kPlaneBytes;
  static constexpr int kBytes = 3 * kColumnBytes;

  static FASTCONV_DEVICE int FilterRow(int slot) { return slot % 3 == 0 ? 0 : 3 - slot % 3; }

  // A thread holds columns 8 * j + 2 * member + {0, 1} of D. They are the output channels of which
  // as many as 16 bytes take follow each other, four threads one behind the other.
  static constexpr int kVector = kVectorOf<T>;
  static FASTCONV_DEVICE int Output(int column) {
    const int member = column % 8 / 2, value = column / 8 * 2 + column % 2;
    return (value / kVector * 4 + member) * kVector + value % kVector;
  }
};

struct PackFilter3x3Args {
  const void* filter;  // [9][channels][outputs]; rotated: [9][outputs][channels]
  int outputs;         // a multiple of kOutputs
  void* packed;        // for each kOutputs of them a PackedFilter3x3
  bool rotated;
};

// A thread packs 16 bytes, row y of blocks the y-th kOutputs.
template <class T, int kChannels, int kOutputs>
struct PackFilter3x3 {
  using Args = PackFilter3x3Args;
  using Packed = PackedFilter3x3<T, kChannels, kOutputs>;
  static constexpr int kThreads = 128;
  static constexpr int kMinBlocks = 1;
  static constexpr int kPart = kVectorOf<T>;
  static constexpr int kBlocks = Packed::kBytes / 16 / kThreads;
  static_assert(kBlocks * kThreads * 16 == Packed::kBytes, "whole blocks");

  static FASTCONV_DEVICE void Run(const Args& args) {
    using Planes = typename Packed::Planes;
    const int offset = (BlockIndex().x * kThreads + ThreadIndex()) * 16;
    const int row = offset / Packed::kRowBytes;
    const int output = BlockIndex().y * kOutputs + Packed::Output(row % kOutputs);
    const int slot = row / kOutputs, plane = slot / Packed::kSlots;
    const int r = Packed::FilterRow(slot % Packed::kSlots), s = plane / Planes::kCount;
    const int first_channel = plane % Planes::kCount * Planes::kChannels +
                              offset % Packed::kRowBytes / static_cast<int>(sizeof(T));
    T elements[kPart];
    FASTCONV_UNROLL
    for (int i = 0; i < kPart; ++i) {
      elements[i] = Element(args, 3 * r + s, first_channel + i, output);
    }
    unsigned char* const packed =
        static_cast<unsigned char*>(args.packed) + BlockIndex().y * Packed::kBytes;
    StoreElements(elements,
                  reinterpret_cast<T*>(packed + SwizzledOffset<Packed::kRowBytes>(offset)));
  }

 private:
  static FASTCONV_DEVICE T Element(const Args& args, int tap, int channel, int output) {
    const T* filter = static_cast<const T*>(args.filter);
    const T element = args.rotated
                          ? filter[((8 - tap) * args.outputs + output) * kChannels + channel]
                          : filter[(tap * kChannels + channel) * args.outputs + output];
    if constexpr (sizeof(T) == 2) {
      return element;
    } else {
      return RoundToTf32(element);
    }
  }
};

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_KERNELS_PACK_FILTER3X3_H_
