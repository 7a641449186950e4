#include "core/batch_norm.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/cpu/dropout.h"
#include "core/cpu/epilogue.h"
#include "core/cpu/kernels/kernels.h"
#include "core/cpu/workspace.h"

namespace fastconv {
namespace cpu {
namespace {

constexpr int64_t kBandBytes = 128 << 10;  // of da rows in the accumulation type
constexpr int64_t kItemsPerThread = 8;

// How the three passes cut the map, and what they keep in the workspace.
class BatchNormPlan {
 public:
  BatchNormPlan(const FusedBatchNormProblem& problem, int num_threads)
      : problem_(problem),
        kernels_(GetKernels(ActiveIsa(), problem.dtype)),
        element_bytes_(SizeOf(problem.dtype)),
        acc_bytes_(SizeOf(AccumulationType(problem.dtype))),
        padded_channels_((problem.channels + kernels_.lanes - 1) / kernels_.lanes * kernels_.lanes),
        num_threads_(num_threads),
        dropout_(kernels_, problem.epilogue, problem.height, problem.width, problem.channels) {
    const MaxPoolSpec& pool = problem.epilogue.pool;
    const int64_t row_bytes = std::max<int64_t>(problem.width * padded_channels_ * acc_bytes_, 1);
    int64_t rows = std::max<int64_t>(kBandBytes / row_bytes, 1);
    const int64_t all_rows = problem.batch * problem.height;
    rows = std::min(rows, std::max<int64_t>(all_rows / (kItemsPerThread * num_threads), 1));
    // Bands of whole windows, so that few pooled rows are looked at twice.
    if (pool.enabled) {
      const int64_t stride = pool.window.h.stride;
      rows = (rows + stride - 1) / stride * stride;
    }
    rows = std::clamp<int64_t>(rows, 1, std::max<int64_t>(problem.height, 1));
    bands_ = SplitRows(problem.height, rows);
    if (pool.enabled) {
      pooled_bands_ =
          SplitRows(pool.window.h.out, std::max<int64_t>(rows / pool.window.h.stride, 1));
    }
    for (size_t* offset :
         {&mean_, &inverse_deviation_, &scale_, &shift_, &coefficient_da_, &coefficient_da_xhat_}) {
      *offset = layout_.Add(padded_channels_ * acc_bytes_);
    }
    partials_ = layout_.Add(items() * 2 * padded_channels_ * acc_bytes_);
    for (int worker = 0; worker < num_threads; ++worker) {
      da_.push_back(layout_.Add(rows * problem.width * padded_channels_ * acc_bytes_));
    }
  }

  size_t workspace_bytes() const { return layout_.bytes(); }

  Status Forward(const FusedBatchNormArgs& args, void* workspace, ThreadPool* pool) const {
    LoadParameters(args, workspace);
    const MaxPoolSpec& spec = problem_.epilogue.pool;
    const std::vector<Band>& bands = spec.enabled ? pooled_bands_ : bands_;
    const int64_t channels = problem_.channels;
    const int64_t z_row = problem_.width * channels;
    ParallelFor(pool, num_threads_, problem_.batch * bands.size(), [&](int64_t item, int) {
      const int64_t image = item / bands.size();
      const Band& band = bands[item % bands.size()];
      const int64_t z_image = image * problem_.height * z_row;
      if (spec.enabled) {
        const Band map = RowsUnderPool(spec.window.h, band.first_row, band.rows);
        const int64_t y_row = spec.window.w.out * channels;
        const int64_t y = (image * spec.window.h.out + band.first_row) * y_row;
        kernels_.pool_rows_from_tensor(
            {At(args.z, z_image + map.first_row * z_row, element_bytes_), z_row, channels,
             map.first_row, At(args.y, y, element_bytes_), At(args.code, y, SizeOf(spec.code_type)),
             y_row, channels, band.first_row, band.rows, channels, Stage(workspace), &spec});
      } else {
        const int64_t first = z_image + band.first_row * z_row;
        kernels_.map_rows_from_tensor({At(args.z, first, element_bytes_), z_row, channels,
                                       At(args.y, first, element_bytes_), z_row, channels,
                                       band.rows, problem_.width, channels, Stage(workspace)});
      }
      dropout_.Forward(args.y, args.code, {image, band, 0, channels});
    });
    return Status();
  }

  Status Reduce(const FusedBatchNormArgs& args, void* workspace, ThreadPool* pool) const {
    LoadParameters(args, workspace);
    ParallelFor(pool, num_threads_, items(), [&](int64_t item, int worker) {
      void* sums = At(At(workspace, partials_), item * 2 * padded_channels_, acc_bytes_);
      std::memset(sums, 0, 2 * padded_channels_ * acc_bytes_);
      BatchNormGradArgs r = LoadBand(args, item, worker, workspace);
      r.sum_da = sums;
      r.sum_da_xhat = At(sums, padded_channels_, acc_bytes_);
      kernels_.batch_norm_grad_sums(r);
    });
    WithAcc([&](auto acc) {
      using Acc = decltype(acc);
      const Acc* partials = At<Acc>(workspace, partials_);
      AddPartials(partials, static_cast<Acc*>(args.dbeta));
      AddPartials(partials + padded_channels_, static_cast<Acc*>(args.dgamma));
    });
    return Status();
  }

  Status Apply(const FusedBatchNormArgs& args, void* workspace, ThreadPool* pool) const {
    LoadParameters(args, workspace);
    WithAcc([&](auto acc) {
      using Acc = decltype(acc);
      const Acc count = *static_cast<const Acc*>(args.count);
      Acc* da = At<Acc>(workspace, coefficient_da_);
      Acc* da_xhat = At<Acc>(workspace, coefficient_da_xhat_);
      for (int64_t c = 0; c < padded_channels_; ++c) {
        const bool present = c < problem_.channels;
        da[c] = present ? static_cast<const Acc*>(args.dbeta)[c] / count : Acc{0};
        da_xhat[c] = present ? static_cast<const Acc*>(args.dgamma)[c] / count : Acc{0};
      }
    });
    ParallelFor(pool, num_threads_, items(), [&](int64_t item, int worker) {
      BatchNormGradArgs r = LoadBand(args, item, worker, workspace);
      r.sum_da = At(workspace, coefficient_da_);
      r.sum_da_xhat = At(workspace, coefficient_da_xhat_);
      kernels_.batch_norm_grad_apply(r);
    });
    return Status();
  }

 private:
  int64_t items() const { return problem_.batch * static_cast<int64_t>(bands_.size()); }

  template <class Body>
  void WithAcc(const Body& body) const {
    problem_.dtype == DataType::kFloat64 ? body(double()) : body(float());
  }

  void LoadParameters(const FusedBatchNormArgs& args, void* workspace) const {
    WithAcc([&](auto acc) {
      using Acc = decltype(acc);
      const auto value = [](const void* vector, int64_t c, Acc otherwise) {
        return vector == nullptr ? otherwise : static_cast<const Acc*>(vector)[c];
      };
      for (int64_t c = 0; c < padded_channels_; ++c) {
        const bool present = c < problem_.channels;
        const Acc mean = present ? value(args.mean, c, 0) : Acc{0};
        const Acc variance = present ? value(args.variance, c, 0) : Acc{0};
        const Acc inverse = Acc{1} / std::sqrt(variance + static_cast<Acc>(problem_.epsilon));
        At<Acc>(workspace, mean_)[c] = mean;
        At<Acc>(workspace, inverse_deviation_)[c] = inverse;
        At<Acc>(workspace, scale_)[c] = inverse * (present ? value(args.gamma, c, 1) : Acc{0});
        At<Acc>(workspace, shift_)[c] = present ? value(args.beta, c, 0) : Acc{0};
      }
    });
  }

  PointwiseStage Stage(void* workspace) const {
    return {At(workspace, mean_), At(workspace, scale_), At(workspace, shift_),
            problem_.epilogue.activation, NegativeSlope(problem_.epilogue)};
  }

  // Computes the band's gradient behind the pooling and describes it, with its z, to the kernels.
  BatchNormGradArgs LoadBand(const FusedBatchNormArgs& args, int64_t item, int worker,
                             void* workspace) const {
    const MaxPoolSpec& pool = problem_.epilogue.pool;
    const int64_t channels = problem_.channels, width = problem_.width;
    const int64_t image = item / bands_.size();
    const Band& band = bands_[item % bands_.size()];
    const int64_t map_pixels =
        pool.enabled ? pool.window.h.out * pool.window.w.out : problem_.height * width;
    const int64_t dy = image * map_pixels * channels;
    void* da = At(workspace, da_[worker]);
    // Without pooling the activation's gradient is the next kernel's, which has z.
    kernels_.grad_rows({At(args.dy, dy, element_bytes_), nullptr,
                        At(static_cast<const void*>(args.code), dy, SizeOf(pool.code_type)),
                        channels, band.first_row, band.rows, width, channels, padded_channels_, da,
                        width * padded_channels_, padded_channels_,
                        NegativeSlope(problem_.epilogue), &pool, dropout_.pooled_gradient_scale()});
    dropout_.Backward(da, width * padded_channels_, padded_channels_, {image, band, 0, channels});
    const int64_t z = (image * problem_.height + band.first_row) * width * channels;
    BatchNormGradArgs r{};
    r.z = At(args.z, z, element_bytes_);
    r.da = da;
    r.z_row_stride = width * channels;
    r.z_pixel_stride = channels;
    r.da_row_stride = width * padded_channels_;
    r.da_pixel_stride = padded_channels_;
    r.rows = band.rows;
    r.cols = width;
    r.channels = channels;
    r.stage = Stage(workspace);
    r.inverse_deviation = At(workspace, inverse_deviation_);
    r.differentiate_activation = !pool.enabled;
    r.dz = At(args.dz, z, element_bytes_);
    return r;
  }

  template <class Acc>
  void AddPartials(const Acc* partials, Acc* sums) const {
    std::vector<double> total(problem_.channels, 0.0);
    for (int64_t item = 0; item < items(); ++item) {
      const Acc* partial = partials + item * 2 * padded_channels_;
      for (int64_t c = 0; c < problem_.channels; ++c) total[c] += partial[c];
    }
    for (int64_t c = 0; c < problem_.channels; ++c) sums[c] = static_cast<Acc>(total[c]);
  }

  const FusedBatchNormProblem& problem_;
  const Kernels& kernels_;
  const int64_t element_bytes_, acc_bytes_;
  const int64_t padded_channels_;
  const int num_threads_;
  const DropoutStage dropout_;
  std::vector<Band> bands_, pooled_bands_;
  WorkspaceLayout layout_;
  size_t mean_, inverse_deviation_, scale_, shift_, coefficient_da_, coefficient_da_xhat_;
  size_t partials_;
  std::vector<size_t> da_;  // per worker
};

}  // namespace
}  // namespace cpu

size_t FusedBatchNormWorkspaceBytes(const FusedBatchNormProblem& problem, int num_threads) {
  return cpu::BatchNormPlan(problem, num_threads).workspace_bytes();
}

Status FusedBatchNorm(const FusedBatchNormProblem& problem, const FusedBatchNormArgs& args,
                      void* workspace, ThreadPool* pool) {
  return cpu::BatchNormPlan(problem, pool->num_threads()).Forward(args, workspace, pool);
}

Status FusedBatchNormGradReduce(const FusedBatchNormProblem& problem,
                                const FusedBatchNormArgs& args, void* workspace, ThreadPool* pool) {
  return cpu::BatchNormPlan(problem, pool->num_threads()).Reduce(args, workspace, pool);
}

Status FusedBatchNormGradApply(const FusedBatchNormProblem& problem, const FusedBatchNormArgs& args,
                               void* workspace, ThreadPool* pool) {
  return cpu::BatchNormPlan(problem, pool->num_threads()).Apply(args, workspace, pool);
}

}  // namespace fastconv
