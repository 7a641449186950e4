#include "core/cuda/conv3x3_launch.h"
#include "core/cuda/kernels/image_filter_grad3x3.h"

namespace fastconv::cuda {

Status LaunchImageFilterGrad3x3(DataType dtype, FloatPrecision precision,
                                const FilterGrad3x3Args& args, Stream stream) {
  const int blocks = FilterGradBlocks(args.tiles, args.channels, args.outputs);
  return WithProduct(dtype, precision, [&](auto type, auto product) {
    using Kernel = ImageFilterGrad3x3<decltype(type), decltype(product)::value>;
    return Launch<Kernel>({blocks, args.output_blocks}, Kernel::kSharedBytes, stream, args);
  });
}

}  // namespace fastconv::cuda
