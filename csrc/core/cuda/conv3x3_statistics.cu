#include "core/cuda/conv3x3_launch.h"

namespace fastconv::cuda {

Status LaunchConv3x3WithStatistics(DataType dtype, FloatPrecision precision,
                                   const Conv3x3Args& args, Stream stream, int* blocks) {
  return LaunchConv3x3Variant</*kRotated=*/false, Conv3x3Result::kMapAndStatistics>(
      dtype, precision, args, stream, blocks);
}

}  // namespace fastconv::cuda
