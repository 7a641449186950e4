#include "core/cuda/conv3x3_launch.h"

namespace fastconv::cuda {

Status LaunchRotatedConv3x3OfPooling(DataType dtype, FloatPrecision precision,
                                     const Conv3x3Args& args, Stream stream) {
  return LaunchConv3x3Variant</*kRotated=*/true, Conv3x3Result::kMap, Folded::kPooling>(
      dtype, precision, args, stream);
}

}  // namespace fastconv::cuda
