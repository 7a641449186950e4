// Dropout as a stage of the passes: over rows that were just written, still in the cache.
#ifndef FASTCONV_CORE_CPU_DROPOUT_H_
#define FASTCONV_CORE_CPU_DROPOUT_H_

#include <cstdint>

#include "core/cpu/epilogue.h"
#include "core/cpu/kernels/kernels.h"
#include "core/cpu/workspace.h"

namespace fastconv::cpu {

class DropoutStage {
 public:
  // Of a block whose convolution puts out a map of `height` x `width`.
  DropoutStage(const Kernels& kernels, const Epilogue& epilogue, int64_t height, int64_t width,
               int64_t channels)
      : kernels_(kernels),
        kind_(epilogue.dropout.kind),
        pooled_(epilogue.pool.enabled),
        code_type_(epilogue.pool.code_type),
        height_(pooled_ ? epilogue.pool.window.h.out : height),
        width_(pooled_ ? epilogue.pool.window.w.out : width),
        channels_(channels),
        stream_(enabled() ? kernels.dropout_stream(epilogue.dropout) : DropoutStream{}) {}

  // Rows of an image of the block's output, channels [first_channel, first_channel + channels).
  struct Part {
    int64_t image;
    Band band;
    int64_t first_channel, channels;
  };

  // Drops values of the tensor y, and marks the codes of those that are pooled.
  void Forward(void* y, void* code, const Part& part) const {
    if (!enabled()) return;
    const int64_t first =
        ((part.image * height_ + part.band.first_row) * width_) * channels_ + part.first_channel;
    DropRowsArgs args = ArgsOf(part);
    args.values = At(y, first, SizeOf(kernels_.dtype));
    if (pooled_) args.code = At(code, first, SizeOf(code_type_));
    args.row_stride = width_ * channels_;
    args.pixel_stride = channels_;
    kernels_.drop_rows_of_tensor(args);
  }

  // The gradient behind dropout, of one before it, in place: dy [row][col][...] in the accumulation
  // type. Not for pooled blocks, whose codes do it with the scale below.
  void Backward(void* dy, int64_t row_stride, int64_t pixel_stride, const Part& part) const {
    if (!enabled() || pooled_) return;
    DropRowsArgs args = ArgsOf(part);
    args.values = dy;
    args.row_stride = row_stride;
    args.pixel_stride = pixel_stride;
    kernels_.drop_rows_of_acc(args);
  }

  // What pooled gradients are multiplied with.
  double pooled_gradient_scale() const { return enabled() && pooled_ ? stream_.scale : 1.0; }

 private:
  bool enabled() const { return kind_ != DropoutKind::kNone; }

  DropRowsArgs ArgsOf(const Part& part) const {
    DropRowsArgs args{};
    args.code_type = code_type_;
    args.rows = part.band.rows;
    args.cols = width_;
    args.channels = part.channels;
    args.stream = &stream_;
    if (kind_ == DropoutKind::kChannels) {
      args.first_number = part.image * channels_ + part.first_channel;
    } else {
      args.first_number =
          ((part.image * height_ + part.band.first_row) * width_) * channels_ + part.first_channel;
      args.number_row_stride = width_ * channels_;
      args.number_pixel_stride = channels_;
    }
    return args;
  }

  const Kernels& kernels_;
  const DropoutKind kind_;
  const bool pooled_;
  const DataType code_type_;
  const int64_t height_, width_, channels_;
  const DropoutStream stream_;
};

}  // namespace fastconv::cpu

#endif  // FASTCONV_CORE_CPU_DROPOUT_H_
