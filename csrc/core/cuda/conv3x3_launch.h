// Launches of the kernels for 3x3 convolutions, each variant compiled once.
#ifndef FASTCONV_CORE_CUDA_CONV3X3_LAUNCH_H_
#define FASTCONV_CORE_CUDA_CONV3X3_LAUNCH_H_

#include <algorithm>
#include <string>

#include "core/cuda/conv2d.h"
#include "core/cuda/kernels/conv3x3.h"
#include "core/cuda/kernels/filter_grad3x3.h"
#include "core/cuda/kernels/warp_sums.h"
#include "core/cuda/launch.h"

namespace fastconv::cuda {

// As many blocks as run at the same time, each with its share of the tiles; at least one.
inline int BlocksPerColumn(int tiles, int per_multiprocessor, int columns) {
  return std::min(tiles, std::max(per_multiprocessor * Multiprocessors() / columns, 1));
}

// Output channels of a block: few, or where there are more and shared memory holds their filters.
constexpr int kNarrowOutputs = 32, kWideOutputs = 64;

// Everything but the number of chunks is filled in.
Status LaunchConv3x3(DataType dtype, FloatPrecision precision, const Conv3x3Args& args,
                     Stream stream);
// `blocks`: how many partial statistics there are.
Status LaunchConv3x3WithStatistics(DataType dtype, FloatPrecision precision,
                                   const Conv3x3Args& args, Stream stream, int* blocks);
Status LaunchPooledConv3x3(DataType dtype, FloatPrecision precision, const Conv3x3Args& args,
                           Stream stream);
Status LaunchRotatedConv3x3(DataType dtype, FloatPrecision precision, const Conv3x3Args& args,
                            Stream stream);
Status LaunchRotatedConv3x3OfActivation(DataType dtype, FloatPrecision precision,
                                        const Conv3x3Args& args, Stream stream);
Status LaunchRotatedConv3x3OfPooling(DataType dtype, FloatPrecision precision,
                                     const Conv3x3Args& args, Stream stream);
// Of maps of up to four channels. `blocks`, unless null, as above.
Status LaunchImageConv3x3(DataType dtype, FloatPrecision precision, Conv3x3Result result,
                          const Conv3x3Args& args, Stream stream, int* blocks);

// Calls body(T(), integral constant of the Precision).
template <class Body>
Status WithProduct(DataType dtype, FloatPrecision precision, const Body& body) {
  constexpr std::integral_constant<Precision, Precision::kFast> fast;
  constexpr std::integral_constant<Precision, Precision::kFull> full;
  switch (dtype) {
    case DataType::kFloat32:
      return precision == FloatPrecision::kTf32 ? body(float(), fast) : body(float(), full);
    case DataType::kBFloat16:
      return body(BFloat16(), fast);
    case DataType::kFloat16:
      return body(Float16(), fast);
    default:
      return Unimplemented(std::string("CUDA kernels take float32, bfloat16 and float16. "
                                       "Received: ") +
                           Name(dtype));
  }
}

// Blocks with kOutputs channels each share the tiles; fewer of them, the more columns there are.
inline int Conv3x3Blocks(int tiles, int columns) {
  return BlocksPerColumn(tiles, /*per_multiprocessor=*/3, columns);
}
// Of any kernel.
constexpr int kMaxConv3x3Blocks = 4;  // of a multiprocessor
inline int MaxConv3x3Blocks(int tiles, int outputs) {
  return BlocksPerColumn(tiles, kMaxConv3x3Blocks, (outputs + kWideOutputs - 1) / kWideOutputs);
}

template <class Kernel>
Status LaunchConv3x3Kernel(const Conv3x3Args& args, int outputs, Stream stream, int* blocks) {
  const int columns = (args.outputs + outputs - 1) / outputs;
  const Block grid = {Conv3x3Blocks(args.tiles, columns), columns};
  if (blocks != nullptr) *blocks = grid.x;
  return Launch<Kernel>(grid, Kernel::SharedBytes(args.chunks), stream, args);
}

template <bool kRotated, Conv3x3Result kResult, Folded kFolded = Folded::kNothing>
Status LaunchConv3x3Variant(DataType dtype, FloatPrecision precision, Conv3x3Args args,
                            Stream stream, int* blocks = nullptr) {
  return WithProduct(dtype, precision, [&](auto type, auto product) {
    using T = decltype(type);
    constexpr Precision kPrecision = decltype(product)::value;
    using Narrow = Conv3x3<T, kPrecision, kNarrowOutputs, kRotated, kResult, kFolded>;
    using Wide = Conv3x3<T, kPrecision, kWideOutputs, kRotated, kResult, kFolded>;
    args.chunks = (args.channels + Narrow::kChunk - 1) / Narrow::kChunk;
    if (args.outputs > kNarrowOutputs && Wide::SharedBytes(args.chunks) <= MaxSharedBytes()) {
      return LaunchConv3x3Kernel<Wide>(args, kWideOutputs, stream, blocks);
    }
    return LaunchConv3x3Kernel<Narrow>(args, kNarrowOutputs, stream, blocks);
  });
}

// The filter's gradient. Everything but the number of slots is filled in.
Status LaunchFilterGrad3x3(DataType dtype, FloatPrecision precision, const FilterGrad3x3Args& args,
                           Stream stream);
Status LaunchFilterGrad3x3OfActivation(DataType dtype, FloatPrecision precision,
                                       const FilterGrad3x3Args& args, Stream stream);
Status LaunchFilterGrad3x3OfPooling(DataType dtype, FloatPrecision precision,
                                    const FilterGrad3x3Args& args, Stream stream);
Status LaunchImageFilterGrad3x3(DataType dtype, FloatPrecision precision, Folded folded,
                                const FilterGrad3x3Args& args, Stream stream);
// The last step of all: what the blocks left -> dfilter and, if args.sum_dz, dbias.
Status AddFilterGrads(DataType dtype, const FilterGrad3x3Args& args, void* dfilter, void* dbias,
                      Stream stream);

template <Folded kFolded>
Status LaunchFilterGrad3x3Variant(DataType dtype, FloatPrecision precision, FilterGrad3x3Args args,
                                  Stream stream) {
  return WithProduct(dtype, precision, [&](auto type, auto product) {
    using Kernel = FilterGrad3x3<decltype(type), decltype(product)::value, kFolded>;
    const int most = Kernel::kMaxSlots;
    args.slots = Kernel::SharedBytes(most) <= MaxSharedBytes() ? most : 1;
    const int channel_blocks = (args.channels + kFilterGradSide - 1) / kFilterGradSide;
    const Block grid = {args.blocks, channel_blocks * args.output_blocks};
    return Launch<Kernel>(grid, Kernel::SharedBytes(args.slots), stream, args);
  });
}

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_CONV3X3_LAUNCH_H_
