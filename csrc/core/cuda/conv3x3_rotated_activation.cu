#include "core/cuda/conv3x3_launch.h"

namespace fastconv::cuda {

Status LaunchRotatedConv3x3OfActivation(DataType dtype, FloatPrecision precision,
                                        const Conv3x3Args& args, Stream stream) {
  return LaunchConv3x3Variant</*kRotated=*/true, Conv3x3Result::kMap, Folded::kActivation>(
      dtype, precision, args, stream);
}

}  // namespace fastconv::cuda
