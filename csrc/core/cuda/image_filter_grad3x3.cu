#include "core/cuda/conv3x3_launch.h"
#include "core/cuda/kernels/image_filter_grad3x3.h"

namespace fastconv::cuda {
namespace {

template <Folded kFolded>
Status LaunchVariant(DataType dtype, FloatPrecision precision, const FilterGrad3x3Args& args,
                     Stream stream) {
  return WithProduct(dtype, precision, [&](auto type, auto product) {
    using Kernel = ImageFilterGrad3x3<decltype(type), decltype(product)::value, kFolded>;
    return Launch<Kernel>({args.blocks, args.output_blocks}, Kernel::kSharedBytes, stream, args);
  });
}

}  // namespace

Status LaunchImageFilterGrad3x3(DataType dtype, FloatPrecision precision, Folded folded,
                                const FilterGrad3x3Args& args, Stream stream) {
  switch (folded) {
    case Folded::kNothing:
      return LaunchVariant<Folded::kNothing>(dtype, precision, args, stream);
    case Folded::kActivation:
      return LaunchVariant<Folded::kActivation>(dtype, precision, args, stream);
    case Folded::kPooling:
      return LaunchVariant<Folded::kPooling>(dtype, precision, args, stream);
  }
  return Status(StatusCode::kInternal, "No such gradient");
}

}  // namespace fastconv::cuda
