#include "core/cuda/conv3x3_launch.h"

namespace fastconv::cuda {

Status LaunchFilterGrad3x3OfPooling(DataType dtype, FloatPrecision precision,
                                    const FilterGrad3x3Args& args, Stream stream) {
  return LaunchFilterGrad3x3Variant<Folded::kPooling>(dtype, precision, args, stream);
}

}  // namespace fastconv::cuda
