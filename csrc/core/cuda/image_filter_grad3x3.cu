#include "core/cuda/conv3x3_launch.h"
#include "core/cuda/kernels/image_filter_grad3x3.h"

namespace fastconv::cuda {

Status LaunchImageFilterGrad3x3(DataType dtype, FloatPrecision precision,
                                const FilterGrad3x3Args& args, void* dfilter, Stream stream) {
  const int blocks = FilterGradBlocks(args.tiles, args.channels, args.outputs);
  return WithProduct(dtype, precision, [&](auto type, auto product) {
    using T = decltype(type);
    using Kernel = ImageFilterGrad3x3<T, decltype(product)::value>;
    FASTCONV_RETURN_IF_ERROR(
        Launch<Kernel>({blocks, args.output_blocks}, Kernel::kSharedBytes, stream, args));
    return LaunchAddFilterPartials<T>(args, blocks, dfilter, stream);
  });
}

}  // namespace fastconv::cuda
