// What kernels are told of an epilogue.
#ifndef FASTCONV_CORE_CUDA_EPILOGUE_ARGS_H_
#define FASTCONV_CORE_CUDA_EPILOGUE_ARGS_H_

#include "core/cuda/dropout_inputs.h"
#include "core/cuda/kernels/block_args.h"
#include "core/problem.h"

namespace fastconv::cuda {

// 2x2 pixels, two apart, from the map's corner on.
inline bool PoolsTwoByTwo(const Window2D& window) {
  const auto halves = [](const WindowAxis& axis) {
    return axis.window == 2 && axis.stride == 2 && axis.pad_before == 0 && 2 * axis.out <= axis.in;
  };
  return halves(window.h) && halves(window.w);
}

inline ActivationArgs ActivationOf(const Epilogue& epilogue) {
  return {epilogue.activation == Activation::kLinear,
          epilogue.activation == Activation::kLeakyRelu ? epilogue.negative_slope : 0};
}

inline DropoutArgs DropoutOf(const Epilogue& epilogue, const DropoutInputs& inputs) {
  return {epilogue.dropout.kind != DropoutKind::kNone,
          epilogue.dropout.kind == DropoutKind::kChannels, inputs.rate, inputs.seed};
}

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_EPILOGUE_ARGS_H_
