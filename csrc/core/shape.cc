#include "core/shape.h"

#include <algorithm>
#include <string>

namespace fastconv {

Status ResolveAxis(const char* name, Padding padding, WindowAxis* axis) {
  const auto require_positive = [name](const char* what, int64_t value) {
    if (value >= 1) return Status();
    return InvalidArgument(std::string("The ") + what + " along the " + name +
                           " must be at least 1. Received: " + std::to_string(value));
  };
  if (axis->window != kUnknown) FASTCONV_RETURN_IF_ERROR(require_positive("window", axis->window));
  FASTCONV_RETURN_IF_ERROR(require_positive("stride", axis->stride));
  FASTCONV_RETURN_IF_ERROR(require_positive("dilation", axis->dilation));
  if (padding == Padding::kExplicit && (axis->pad_before < 0 || axis->pad_after < 0)) {
    return InvalidArgument(std::string("Paddings along the ") + name +
                           " must not be negative. Received: (" + std::to_string(axis->pad_before) +
                           ", " + std::to_string(axis->pad_after) + ")");
  }
  if (padding != Padding::kExplicit) axis->pad_before = axis->pad_after = 0;
  if (axis->in == kUnknown || axis->window == kUnknown) {
    axis->out = kUnknown;
    return Status();
  }
  if (padding == Padding::kSame) {
    axis->out = (axis->in + axis->stride - 1) / axis->stride;
    const int64_t total =
        std::max<int64_t>((axis->out - 1) * axis->stride + axis->extent() - axis->in, 0);
    axis->pad_before = total / 2;
    axis->pad_after = total - axis->pad_before;
  } else {
    const int64_t room = axis->in + axis->pad_before + axis->pad_after - axis->extent();
    axis->out = room < 0 ? 0 : room / axis->stride + 1;
  }
  if (axis->out < 1) {
    return InvalidArgument(std::string("Computed output size along the ") + name +
                           " would be below 1: the window, dilated, covers " +
                           std::to_string(axis->extent()) + " and the padded input only " +
                           std::to_string(axis->in + axis->pad_before + axis->pad_after) +
                           ". Received: input size " + std::to_string(axis->in) + ", window " +
                           std::to_string(axis->window) + ", dilation " +
                           std::to_string(axis->dilation));
  }
  return Status();
}

}  // namespace fastconv
