#include "core/cuda/block_launch.h"

namespace fastconv::cuda {

Status LaunchStore(const MapShape& map, const Epilogue& epilogue, const BlockArgs& args,
                   Stream stream) {
  return LaunchBackwardPart<BackwardPart::kStore>(map, epilogue, args, stream, nullptr);
}

}  // namespace fastconv::cuda
