// The one shape rule: how a window slides along an axis. The ops' shape functions, the XLA glue,
// the kernels and the Python module all call it.
#ifndef FASTCONV_CORE_SHAPE_H_
#define FASTCONV_CORE_SHAPE_H_

#include <cstdint>

#include "core/status.h"

namespace fastconv {

// A size that is not known yet (graph construction). It stays unknown through the shape rule.
constexpr int64_t kUnknown = -1;

enum class Padding { kValid, kSame, kExplicit };

// A window sliding along one axis: output i covers the inputs
//   i * stride - pad_before + j * dilation   for j in [0, window),
// where an input outside [0, in) is padding.
struct WindowAxis {
  int64_t in = 0;
  int64_t window = 1;
  int64_t stride = 1;
  int64_t dilation = 1;
  int64_t pad_before = 0;
  int64_t pad_after = 0;
  int64_t out = 0;

  int64_t extent() const { return (window - 1) * dilation + 1; }
};

// Computes `out` (and for kSame the paddings, TensorFlow's rule: the odd one goes after) of an
// axis whose in, window, stride and dilation are set; kExplicit takes pad_before and pad_after as
// they are. `in` or `window` may be kUnknown, then so is `out`. Refuses windows, strides and
// dilations below 1, negative paddings, and an output size below 1. `name` ("height") is for the
// messages.
Status ResolveAxis(const char* name, Padding padding, WindowAxis* axis);

struct Window2D {
  WindowAxis h;
  WindowAxis w;
};

}  // namespace fastconv

#endif  // FASTCONV_CORE_SHAPE_H_
