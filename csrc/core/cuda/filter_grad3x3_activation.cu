#include "core/cuda/conv3x3_launch.h"

namespace fastconv::cuda {

Status LaunchFilterGrad3x3OfActivation(DataType dtype, FloatPrecision precision,
                                       const FilterGrad3x3Args& args, Stream stream) {
  return LaunchFilterGrad3x3Variant<Folded::kActivation>(dtype, precision, args, stream);
}

}  // namespace fastconv::cuda
