#include <algorithm>
#include <cstring>

#include "core/cpu/conv2d/operands.h"
#include "core/cpu/conv2d/passes.h"
#include "core/cpu/conv2d/tap_algorithm.h"
#include "core/cpu/dropout.h"
#include "core/cpu/epilogue.h"

namespace fastconv::cpu {
namespace {

class Forward final : public Conv2DPlan {
 public:
  Forward(const char* name, const Kernels& kernels, const FusedConv2DProblem& problem,
          int num_threads, MakeTapAlgorithm make_algorithm)
      : name_(name),
        kernels_(kernels),
        conv_(problem.conv),
        epilogue_(problem.epilogue),
        dropout_(kernels, epilogue_, conv_.window.h.out, conv_.window.w.out, conv_.out_channels),
        batch_statistics_(problem.batch_statistics),
        element_bytes_(SizeOf(conv_.dtype)),
        acc_bytes_(SizeOf(AccumulationType(conv_.dtype))),
        around_caches_(
            !batch_statistics_ && epilogue_.dropout.kind == DropoutKind::kNone &&
            LargerThanCaches(conv_.output_pixels() * conv_.out_channels * element_bytes_)),
        algorithm_(make_algorithm(
            {kernels, ForwardTaps(conv_.window), conv_.batch, conv_.groups,
             conv_.in_channels_per_group(), conv_.out_channels_per_group(), num_threads,
             [this](const Phase& phase, int64_t rows) { return Split(phase, rows); }})) {
    algorithm_offset_ = layout_.Add(algorithm_->workspace_bytes());
    bias_offset_ =
        layout_.Add(panel_groups() * algorithm_->panels().padded_channels() * acc_bytes_);
    if (batch_statistics_) {
      const int64_t partials = conv_.batch * num_bands() * conv_.out_channels;
      means_offset_ = layout_.Add(partials * acc_bytes_);
      deviations_offset_ = layout_.Add(partials * acc_bytes_);
    }
  }

  const char* implementation() const override { return name_; }
  size_t workspace_bytes() const override { return layout_.bytes(); }

  Status Execute(const Conv2DArgs& args, void* workspace, ThreadPool* pool) const override {
    LoadBias(args, workspace);
    TapAlgorithm::Callbacks callbacks;
    callbacks.load_panel = [&](const TapAlgorithm::PanelRequest& r) { LoadPanel(args, r); };
    callbacks.load_row = [&](const TapAlgorithm::RowRequest& r) {
      LoadInputRow(kernels_, conv_, args.x, r.image,
                   r.group * conv_.in_channels_per_group() + r.first_channel, r.channels, r.row);
    };
    callbacks.consume_sums = [&](const TapAlgorithm::SumsRequest& r) {
      ConsumeSums(args, workspace, r);
    };
    callbacks.input = InputMap(conv_, args.x);
    if (!epilogue_.pool.enabled || PoolsWholePairs()) {
      callbacks.output = [&](int64_t image, int64_t row, int64_t first_out) {
        return Place(args, workspace, image, row, first_out);
      };
    }
    callbacks.output_pools = epilogue_.pool.enabled;
    algorithm_->Run(callbacks, At(workspace, algorithm_offset_), pool);
    if (batch_statistics_) FinishStatistics(args, workspace);
    return Status();
  }

 private:
  // With pooling, bands are those of whole pooled rows; rows between windows are not computed.
  std::vector<Band> Split(const Phase& phase, int64_t rows_per_band) {
    const MaxPoolSpec& pool = epilogue_.pool;
    if (!pool.enabled) return SplitRows(phase.rows, rows_per_band);
    const WindowAxis& axis = pool.window.h;
    const int64_t pooled_rows =
        std::max<int64_t>((rows_per_band - axis.window) / axis.stride + 1, 1);
    pooled_bands_ = SplitRows(axis.out, pooled_rows);
    std::vector<Band> bands;
    for (const Band& band : pooled_bands_) {
      bands.push_back(RowsUnderPool(axis, band.first_row, band.rows));
    }
    return bands;
  }

  void LoadBias(const Conv2DArgs& args, void* workspace) const {
    const int64_t channels = algorithm_->panels().channels();
    const int64_t padded = algorithm_->panels().padded_channels();
    void* bias = At(workspace, bias_offset_);
    kernels_.load_rows({args.bias, channels, bias, padded, panel_groups(),
                        epilogue_.has_bias ? channels : 0, padded});
  }

  void LoadPanel(const Conv2DArgs& args, const TapAlgorithm::PanelRequest& r) const {
    const int64_t offset = FilterOffset(conv_, *r.tap, r.group, r.first_in, r.first_out);
    kernels_.load_rows({At(args.filter, offset, element_bytes_), conv_.out_channels, r.panel,
                        r.width, r.depth, r.channels, r.width});
  }

  // 2x2 windows with stride 2, none of them cut: an even row and the next one hold a pooled row.
  bool PoolsWholePairs() const {
    const MaxPoolSpec& pool = epilogue_.pool;
    const auto pairs = [](const WindowAxis& axis) {
      return axis.window == 2 && axis.stride == 2 && axis.dilation == 1 && axis.pad_before == 0 &&
             axis.out == axis.in / 2;
    };
    return pairs(pool.window.h) && pairs(pool.window.w);
  }

  PointwiseStage Stage(void* workspace, int64_t group, int64_t first_out) const {
    const int64_t padded = algorithm_->panels().padded_channels();
    const void* bias = At(At(workspace, bias_offset_), group * padded + first_out, acc_bytes_);
    return {nullptr, nullptr, bias, epilogue_.activation, NegativeSlope(epilogue_)};
  }

  TapAlgorithm::OutputPlace Place(const Conv2DArgs& args, void* workspace, int64_t image,
                                  int64_t row, int64_t first_out) const {
    const MaxPoolSpec& pool = epilogue_.pool;
    const Window2D& map = pool.enabled ? pool.window : conv_.window;
    const int64_t pixel = (image * map.h.out + (pool.enabled ? row / 2 : row)) * map.w.out;
    const int64_t first = pixel * conv_.out_channels + first_out;
    return {Stage(workspace, 0, first_out),
            pool.enabled,
            At(args.y, first, element_bytes_),
            At(args.code, first, SizeOf(pool.code_type)),
            map.w.out * conv_.out_channels,
            conv_.out_channels,
            around_caches_};
  }

  void ConsumeSums(const Conv2DArgs& args, void* workspace,
                   const TapAlgorithm::SumsRequest& r) const {
    const int64_t channels = conv_.out_channels;
    const int64_t channel = r.group * conv_.out_channels_per_group() + r.first_out;
    const int64_t row_stride = r.phase->cols * r.width;
    const PointwiseStage stage = Stage(workspace, r.group, r.first_out);
    const MaxPoolSpec& pool = epilogue_.pool;
    if (pool.enabled) {
      const Band& pooled = pooled_bands_[r.band_index];
      const int64_t cell =
          (r.image * pool.window.h.out + pooled.first_row) * pool.window.w.out * channels + channel;
      if (r.acc != nullptr) {
        kernels_.pool_rows_from_acc(
            {r.acc, row_stride, r.width, r.band.first_row, At(args.y, cell, element_bytes_),
             At(args.code, cell, SizeOf(pool.code_type)), pool.window.w.out * channels, channels,
             pooled.first_row, pooled.rows, r.channels, stage, &pool});
      }
      dropout_.Forward(args.y, args.code, {r.image, pooled, channel, r.channels});
      return;
    }
    const int64_t cols = r.phase->cols;
    const int64_t pixel = (r.image * r.phase->rows + r.band.first_row) * cols;
    void* y = At(args.y, pixel * channels + channel, element_bytes_);
    if (r.acc != nullptr) {
      kernels_.map_rows_from_acc({r.acc, row_stride, r.width, y, cols * channels, channels,
                                  r.band.rows, cols, r.channels, stage, around_caches_});
    }
    dropout_.Forward(args.y, args.code, {r.image, r.band, channel, r.channels});
    if (batch_statistics_) {
      const int64_t part = (r.image * num_bands() + r.band_index) * channels + channel;
      Statistics(y, r, part, workspace);
    }
  }

  void Statistics(const void* y, const TapAlgorithm::SumsRequest& r, int64_t part,
                  void* workspace) const {
    // Neighbouring parts are written by other threads at the same time: not a lane too much.
    alignas(64) double mean[kMaxPanelBytes / sizeof(double)];
    alignas(64) double deviations[kMaxPanelBytes / sizeof(double)];
    const int64_t channels = conv_.out_channels, cols = r.phase->cols;
    kernels_.statistics(
        {y, cols * channels, channels, r.band.rows, cols, r.channels, mean, deviations});
    std::memcpy(At(At(workspace, means_offset_), part, acc_bytes_), mean, r.channels * acc_bytes_);
    std::memcpy(At(At(workspace, deviations_offset_), part, acc_bytes_), deviations,
                r.channels * acc_bytes_);
  }

  void FinishStatistics(const Conv2DArgs& args, void* workspace) const {
    std::vector<int64_t> counts;
    for (const Band& band : algorithm_->bands(0)) {
      counts.push_back(band.rows * conv_.window.w.out);
    }
    const auto combine = [&](auto acc) {
      using Acc = decltype(acc);
      CombineStatistics<Acc>(At<Acc>(workspace, means_offset_),
                             At<Acc>(workspace, deviations_offset_), conv_.batch * num_bands(),
                             conv_.out_channels, counts, static_cast<Acc*>(args.mean),
                             static_cast<Acc*>(args.variance));
    };
    conv_.dtype == DataType::kFloat64 ? combine(double()) : combine(float());
  }

  // The bias is kept per group of panels, in whole vectors.
  int64_t panel_groups() const { return conv_.out_channels / algorithm_->panels().channels(); }
  int64_t num_bands() const { return algorithm_->bands(0).size(); }

  static constexpr size_t kMaxPanelBytes = 2 * 64;

  const char* name_;
  const Kernels& kernels_;
  const Conv2DProblem conv_;
  const Epilogue epilogue_;
  const DropoutStage dropout_;
  const bool batch_statistics_;
  const int64_t element_bytes_, acc_bytes_;
  const bool around_caches_;
  std::vector<Band> pooled_bands_;  // filled while algorithm_ is made
  const std::unique_ptr<TapAlgorithm> algorithm_;
  WorkspaceLayout layout_;
  size_t algorithm_offset_ = 0, bias_offset_ = 0, means_offset_ = 0, deviations_offset_ = 0;
};

}  // namespace

std::unique_ptr<Conv2DPlan> MakeForward(const char* name, const Kernels& kernels,
                                        const FusedConv2DProblem& problem, int num_threads,
                                        MakeTapAlgorithm make_algorithm) {
  return std::make_unique<Forward>(name, kernels, problem, num_threads, make_algorithm);
}

}  // namespace fastconv::cpu
