#include "core/cuda/conv3x3_launch.h"
#include "core/cuda/kernels/image_conv3x3.h"

namespace fastconv::cuda {
namespace {

template <Conv3x3Result kResult>
Status LaunchVariant(DataType dtype, FloatPrecision precision, const Conv3x3Args& args,
                     Stream stream, int* blocks) {
  return WithProduct(dtype, precision, [&](auto type, auto product) {
    using Kernel = ImageConv3x3<decltype(type), decltype(product)::value, kResult>;
    static_assert(Kernel::kMinBlocks <= kMaxConv3x3Blocks, "room for the blocks' statistics");
    const int columns = (args.outputs + Kernel::kOutputs - 1) / Kernel::kOutputs;
    const Block grid = {BlocksPerColumn(args.tiles, Kernel::kMinBlocks, columns), columns};
    if (blocks != nullptr) *blocks = grid.x;
    return Launch<Kernel>(grid, Kernel::kSharedBytes, stream, args);
  });
}

}  // namespace

Status LaunchImageConv3x3(DataType dtype, FloatPrecision precision, Conv3x3Result result,
                          const Conv3x3Args& args, Stream stream, int* blocks) {
  switch (result) {
    case Conv3x3Result::kMap:
      return LaunchVariant<Conv3x3Result::kMap>(dtype, precision, args, stream, blocks);
    case Conv3x3Result::kPooledMap:
      return LaunchVariant<Conv3x3Result::kPooledMap>(dtype, precision, args, stream, blocks);
    case Conv3x3Result::kMapAndStatistics:
      return LaunchVariant<Conv3x3Result::kMapAndStatistics>(dtype, precision, args, stream,
                                                             blocks);
  }
  return Status(StatusCode::kInternal, "No such result");
}

}  // namespace fastconv::cuda
