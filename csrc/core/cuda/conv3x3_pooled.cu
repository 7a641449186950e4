#include "core/cuda/conv3x3_launch.h"

namespace fastconv::cuda {

Status LaunchPooledConv3x3(DataType dtype, FloatPrecision precision, const Conv3x3Args& args,
                           Stream stream) {
  return LaunchConv3x3Variant</*kRotated=*/false, Conv3x3Result::kPooledMap>(dtype, precision, args,
                                                                             stream);
}

}  // namespace fastconv::cuda
