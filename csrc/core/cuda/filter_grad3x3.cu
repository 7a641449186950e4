#include "core/cuda/conv3x3_launch.h"

namespace fastconv::cuda {

Status LaunchFilterGrad3x3(DataType dtype, FloatPrecision precision, const FilterGrad3x3Args& args,
                           void* dfilter, Stream stream) {
  const int blocks = FilterGradBlocks(args.tiles, args.channels, args.outputs);
  return WithProduct(dtype, precision, [&](auto type, auto product) {
    using T = decltype(type);
    using Kernel = FilterGrad3x3<T, decltype(product)::value>;
    const int pairs = (args.channels + 31) / 32 * args.output_blocks;
    FASTCONV_RETURN_IF_ERROR(Launch<Kernel>({blocks, pairs}, Kernel::kSharedBytes, stream, args));
    return LaunchAddFilterPartials<T>(args, blocks, dfilter, stream);
  });
}

}  // namespace fastconv::cuda
