#include <cstring>

#include "core/cpu/epilogue.h"
#include "core/cpu/implicit_gemm/implicit_gemm.h"
#include "core/cpu/implicit_gemm/operands.h"
#include "core/cpu/implicit_gemm/tap_convolution.h"

namespace fastconv::cpu {
namespace {

using Driver = TapConvolutionDriver;

// The gradient at the convolution's output, dz, is the driver's input; its rows are computed from
// dy on the way into the slab.
class ImplicitGemmBackwardInput final : public Conv2DPlan {
 public:
  ImplicitGemmBackwardInput(const char* name, const Kernels& kernels,
                            const FusedConv2DProblem& problem, int num_threads)
      : name_(name),
        kernels_(kernels),
        conv_(problem.conv),
        epilogue_(problem.epilogue),
        element_bytes_(SizeOf(conv_.dtype)),
        acc_bytes_(SizeOf(AccumulationType(conv_.dtype))),
        groups_(MergedGroups::Of(conv_, conv_.in_channels_per_group(), kernels.lanes)),
        driver_(kernels, BackwardInputTaps(conv_.window), conv_.batch, groups_.count,
                groups_.out_channels, groups_.in_channels, num_threads,
                [](const Phase& phase, int64_t rows) { return SplitRows(phase.rows, rows); }) {
    driver_offset_ = layout_.Add(driver_.workspace_bytes());
    zeros_offset_ = layout_.Add(zeros_bytes());
  }

  const char* implementation() const override { return name_; }
  size_t workspace_bytes() const override { return layout_.bytes(); }

  Status Execute(const Conv2DArgs& args, void* workspace, ThreadPool* pool) const override {
    std::memset(At(workspace, zeros_offset_), 0, zeros_bytes());
    Driver::Callbacks callbacks;
    callbacks.load_panel = [&](const Driver::PanelRequest& r) { LoadPanel(args, r); };
    callbacks.load_row = [&](const Driver::RowRequest& r) {  // of the whole row, see whole_rows
      LoadGradientRows(kernels_, conv_, epilogue_, args, r.image,
                       r.group * groups_.out_channels + r.first_channel, r.channels, r.channels,
                       {r.row.row, 1}, r.row.dst);
    };
    callbacks.consume_sums = [&](const Driver::SumsRequest& r) {
      ConsumeSums(args, At(workspace, zeros_offset_), r);
    };
    driver_.Run(callbacks, At(workspace, driver_offset_), pool);
    return Status();
  }

 private:
  size_t zeros_bytes() const { return driver_.panels().padded_channels() * acc_bytes_; }

  void LoadPanel(const Conv2DArgs& args, const Driver::PanelRequest& r) const {
    // Rows of the panel are output channels of the convolution, its columns input channels.
    if (groups_.size > 1) std::memset(r.panel, 0, r.depth * r.width * acc_bytes_);
    ForEachFilterBlock(conv_, groups_, r.group, r.first_out, r.channels, r.first_in, r.depth,
                       [&](const FilterBlock& block) {
                         const int64_t at =
                             (block.out - r.first_in) * r.width + block.in - r.first_out;
                         const int64_t width = groups_.size > 1 ? block.in_count : r.width;
                         kernels_.load_transposed(
                             {At(args.filter, FilterOffset(conv_, *r.tap, block), element_bytes_),
                              conv_.out_channels, At(r.panel, at, acc_bytes_), r.width,
                              block.in_count, block.out_count, width});
                       });
  }

  void ConsumeSums(const Conv2DArgs& args, const void* zeros, const Driver::SumsRequest& r) const {
    const Window2D& window = conv_.window;
    const Phase& phase = *r.phase;
    const int64_t row = phase.first_row + r.band.first_row * phase.row_step;
    const int64_t pixel = (r.image * window.h.in + row) * window.w.in + phase.first_col;
    const int64_t channel = r.group * groups_.in_channels + r.first_out;
    kernels_.map_rows_from_acc({r.acc, phase.cols * r.width, r.width,
                                At(args.dx, pixel * conv_.in_channels + channel, element_bytes_),
                                phase.row_step * window.w.in * conv_.in_channels,
                                phase.col_step * conv_.in_channels, r.band.rows, phase.cols,
                                r.channels,
                                PointwiseStage{nullptr, nullptr, zeros, Activation::kLinear, 1.0}});
  }

  const char* name_;
  const Kernels& kernels_;
  const Conv2DProblem conv_;
  const Epilogue epilogue_;
  const int64_t element_bytes_, acc_bytes_;
  const MergedGroups groups_;
  Driver driver_;
  WorkspaceLayout layout_;
  size_t driver_offset_ = 0, zeros_offset_ = 0;
};

}  // namespace

std::unique_ptr<Conv2DPlan> MakeImplicitGemmBackwardInput(const char* name, const Kernels& kernels,
                                                          const FusedConv2DProblem& problem,
                                                          int num_threads) {
  return std::make_unique<ImplicitGemmBackwardInput>(name, kernels, problem, num_threads);
}

}  // namespace fastconv::cpu
