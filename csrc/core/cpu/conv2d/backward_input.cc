#include <cstring>

#include "core/cpu/conv2d/operands.h"
#include "core/cpu/conv2d/passes.h"
#include "core/cpu/conv2d/tap_algorithm.h"
#include "core/cpu/epilogue.h"

namespace fastconv::cpu {
namespace {

// The gradient at the convolution's output, dz, is the algorithm's input; its rows are computed
// from dy on the way into the slab.
class BackwardInput final : public Conv2DPlan {
 public:
  BackwardInput(const char* name, const Kernels& kernels, const FusedConv2DProblem& problem,
                int num_threads, MakeTapAlgorithm make_algorithm)
      : name_(name),
        kernels_(kernels),
        conv_(problem.conv),
        epilogue_(problem.epilogue),
        dropout_(kernels, epilogue_, conv_.window.h.out, conv_.window.w.out, conv_.out_channels),
        element_bytes_(SizeOf(conv_.dtype)),
        acc_bytes_(SizeOf(AccumulationType(conv_.dtype))),
        around_caches_(LargerThanCaches(conv_.batch * conv_.window.h.in * conv_.window.w.in *
                                        conv_.in_channels * element_bytes_)),
        algorithm_(make_algorithm(
            {kernels, BackwardInputTaps(conv_.window), conv_.batch, conv_.groups,
             conv_.out_channels_per_group(), conv_.in_channels_per_group(), num_threads,
             [](const Phase& phase, int64_t rows) { return SplitRows(phase.rows, rows); }})) {
    algorithm_offset_ = layout_.Add(algorithm_->workspace_bytes());
    zeros_offset_ = layout_.Add(zeros_bytes());
  }

  const char* implementation() const override { return name_; }
  size_t workspace_bytes() const override { return layout_.bytes(); }

  Status Execute(const Conv2DArgs& args, void* workspace, ThreadPool* pool) const override {
    std::memset(At(workspace, zeros_offset_), 0, zeros_bytes());
    TapAlgorithm::Callbacks callbacks;
    callbacks.load_panel = [&](const TapAlgorithm::PanelRequest& r) { LoadPanel(args, r); };
    callbacks.load_row =
        [&](const TapAlgorithm::RowRequest& r) {  // of the whole row, see whole_rows
          LoadGradientRows(kernels_, conv_, epilogue_, dropout_, args, r.image,
                           r.group * conv_.out_channels_per_group() + r.first_channel, r.channels,
                           r.channels, {r.row.row, 1}, r.row.dst, r.row.cols * r.channels);
        };
    callbacks.consume_sums = [&](const TapAlgorithm::SumsRequest& r) {
      ConsumeSums(args, At(workspace, zeros_offset_), r);
    };
    if (epilogue_.activation == Activation::kLinear && !epilogue_.pool.enabled &&
        epilogue_.dropout.kind == DropoutKind::kNone) {
      const int64_t row_stride = conv_.window.w.out * conv_.out_channels;
      callbacks.input = {args.dy, conv_.window.h.out * row_stride, row_stride, conv_.out_channels};
    }
    if (conv_.window.h.stride == 1 && conv_.window.w.stride == 1) {
      callbacks.output = [&](int64_t image, int64_t row, int64_t first_out) {
        return Place(args, At(workspace, zeros_offset_), image, row, first_out);
      };
    }
    algorithm_->Run(callbacks, At(workspace, algorithm_offset_), pool);
    return Status();
  }

 private:
  size_t zeros_bytes() const { return algorithm_->panels().padded_channels() * acc_bytes_; }

  void LoadPanel(const Conv2DArgs& args, const TapAlgorithm::PanelRequest& r) const {
    // Rows of the panel are output channels of the convolution, its columns input channels.
    const int64_t per_group = conv_.in_channels_per_group();
    const auto filter = [&](int64_t group) {
      return At(args.filter, FilterOffset(conv_, *r.tap, group, r.first_out, r.first_in),
                element_bytes_);
    };
    if (r.channels <= per_group) {
      kernels_.load_transposed(
          {filter(r.group), conv_.out_channels, r.panel, r.width, r.channels, r.depth, r.width});
    } else if (r.depth == 1 && per_group == 1) {  // depthwise: a row of channels either way
      kernels_.load_rows({filter(0), 0, r.panel, 0, 1, r.channels, r.width});
    } else {  // all groups, side by side
      for (int64_t group = 0; group < conv_.groups; ++group) {
        const int64_t first = group * per_group;
        const int64_t width = group + 1 < conv_.groups ? per_group : r.width - first;
        kernels_.load_transposed({filter(group), conv_.out_channels, At(r.panel, first, acc_bytes_),
                                  r.width, per_group, r.depth, width});
      }
    }
  }

  // Of rows of dx, without a stride.
  TapAlgorithm::OutputPlace Place(const Conv2DArgs& args, const void* zeros, int64_t image,
                                  int64_t row, int64_t first_out) const {
    const int64_t row_stride = conv_.window.w.in * conv_.in_channels;
    const int64_t first = (image * conv_.window.h.in + row) * row_stride + first_out;
    return {{nullptr, nullptr, zeros, Activation::kLinear, 1.0},
            /*pool=*/false,
            At(args.dx, first, element_bytes_),
            nullptr,
            row_stride,
            conv_.in_channels,
            around_caches_};
  }

  void ConsumeSums(const Conv2DArgs& args, const void* zeros,
                   const TapAlgorithm::SumsRequest& r) const {
    if (r.acc == nullptr) return;
    const Window2D& window = conv_.window;
    const Phase& phase = *r.phase;
    const int64_t row = phase.first_row + r.band.first_row * phase.row_step;
    const int64_t pixel = (r.image * window.h.in + row) * window.w.in + phase.first_col;
    const int64_t channel = r.group * conv_.in_channels_per_group() + r.first_out;
    kernels_.map_rows_from_acc(
        {r.acc, phase.cols * r.width, r.width,
         At(args.dx, pixel * conv_.in_channels + channel, element_bytes_),
         phase.row_step * window.w.in * conv_.in_channels, phase.col_step * conv_.in_channels,
         r.band.rows, phase.cols, r.channels,
         PointwiseStage{nullptr, nullptr, zeros, Activation::kLinear, 1.0}, around_caches_});
  }

  const char* name_;
  const Kernels& kernels_;
  const Conv2DProblem conv_;
  const Epilogue epilogue_;
  const DropoutStage dropout_;
  const int64_t element_bytes_, acc_bytes_;
  const bool around_caches_;
  const std::unique_ptr<TapAlgorithm> algorithm_;
  WorkspaceLayout layout_;
  size_t algorithm_offset_ = 0, zeros_offset_ = 0;
};

}  // namespace

std::unique_ptr<Conv2DPlan> MakeBackwardInput(const char* name, const Kernels& kernels,
                                              const FusedConv2DProblem& problem, int num_threads,
                                              MakeTapAlgorithm make_algorithm) {
  return std::make_unique<BackwardInput>(name, kernels, problem, num_threads, make_algorithm);
}

}  // namespace fastconv::cpu
