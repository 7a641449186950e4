#include "core/cuda/block_launch.h"
#include "core/cuda/dropout.h"

namespace fastconv::cuda {

Status Dropout(DataType dtype, int64_t elements, const void* x, void* y,
               const DropoutInputs& inputs, Stream stream) {
  // A map of eight channels, where the elements are as many, for whole vectors.
  const int64_t channels = elements % 8 == 0 ? 8 : 1;
  const MapShape map = {dtype, 1, 1, elements / channels, channels};
  Epilogue epilogue;
  epilogue.dropout.kind = DropoutKind::kElements;
  BlockArgs args = MakeBlockArgs(map, epilogue, inputs);
  args.z = x;
  args.y = y;
  return LaunchForward(map, epilogue, args, stream);
}

}  // namespace fastconv::cuda
