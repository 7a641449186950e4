#include <algorithm>
#include <cstring>
#include <vector>

#include "core/cpu/dropout.h"
#include "core/cpu/epilogue.h"
#include "core/cpu/kernels/kernels.h"
#include "core/cpu/workspace.h"
#include "core/epilogue.h"

namespace fastconv {
namespace cpu {
namespace {

constexpr int64_t kBandBytes = 128 << 10;  // of dz rows in the accumulation type

class FusedEpiloguePlan {
 public:
  FusedEpiloguePlan(const FusedEpilogueProblem& problem, int num_threads)
      : problem_(problem),
        kernels_(GetKernels(ActiveIsa(), problem.dtype)),
        element_bytes_(SizeOf(problem.dtype)),
        acc_bytes_(SizeOf(AccumulationType(problem.dtype))),
        padded_channels_((problem.channels + kernels_.lanes - 1) / kernels_.lanes * kernels_.lanes),
        num_threads_(num_threads),
        dropout_(kernels_, problem.epilogue, problem.height, problem.width, problem.channels) {
    const int64_t row_bytes = std::max<int64_t>(problem.width * padded_channels_ * acc_bytes_, 1);
    const int64_t stride = pool().enabled ? pool().window.h.stride : 1;
    const int64_t rows = std::max<int64_t>(kBandBytes / row_bytes / stride, 1) * stride;
    bands_ = SplitRows(problem.height, std::max<int64_t>(std::min(rows, problem.height), 1));
    if (pool().enabled) pooled_bands_ = SplitRows(pool().window.h.out, rows / stride);
    shift_ = layout_.Add(padded_channels_ * acc_bytes_);
    sums_ = layout_.Add(std::max<int64_t>(items(), 1) * padded_channels_ * acc_bytes_);
    for (int worker = 0; worker < num_threads; ++worker) {
      dz_.push_back(layout_.Add(std::min(rows, std::max<int64_t>(problem.height, 1)) * row_bytes));
    }
  }

  size_t workspace_bytes() const { return layout_.bytes(); }

  Status Forward(const FusedEpilogueArgs& args, void* workspace, ThreadPool* thread_pool) const {
    const PointwiseStage stage = {nullptr, nullptr, Shift(args.bias, workspace),
                                  problem_.epilogue.activation, NegativeSlope(problem_.epilogue)};
    const std::vector<Band>& bands = pool().enabled ? pooled_bands_ : bands_;
    const int64_t channels = problem_.channels;
    const int64_t z_row = problem_.width * channels;
    ParallelFor(thread_pool, num_threads_, problem_.batch * bands.size(), [&](int64_t item, int) {
      const int64_t image = item / bands.size();
      const Band& band = bands[item % bands.size()];
      const int64_t z_image = image * problem_.height * z_row;
      if (pool().enabled) {
        const Band map = RowsUnderPool(pool().window.h, band.first_row, band.rows);
        const int64_t y_row = pool().window.w.out * channels;
        const int64_t y = (image * pool().window.h.out + band.first_row) * y_row;
        kernels_.pool_rows_from_tensor({At(args.z, z_image + map.first_row * z_row, element_bytes_),
                                        z_row, channels, map.first_row,
                                        At(args.y, y, element_bytes_),
                                        At(args.code, y, SizeOf(pool().code_type)), y_row, channels,
                                        band.first_row, band.rows, channels, stage, &pool()});
      } else {
        const int64_t first = z_image + band.first_row * z_row;
        kernels_.map_rows_from_tensor({At(args.z, first, element_bytes_), z_row, channels,
                                       At(args.y, first, element_bytes_), z_row, channels,
                                       band.rows, problem_.width, channels, stage});
      }
      dropout_.Forward(args.y, args.code, {image, band, 0, channels});
    });
    return Status();
  }

  Status Backward(const FusedEpilogueArgs& args, void* workspace, ThreadPool* thread_pool) const {
    const PointwiseStage identity = {nullptr, nullptr, Shift(nullptr, workspace),
                                     Activation::kLinear, 1.0};
    const int64_t channels = problem_.channels, width = problem_.width;
    const int64_t map_pixels =
        pool().enabled ? pool().window.h.out * pool().window.w.out : problem_.height * width;
    ParallelFor(thread_pool, num_threads_, items(), [&](int64_t item, int worker) {
      const int64_t image = item / bands_.size();
      const Band& band = bands_[item % bands_.size()];
      const int64_t dy = image * map_pixels * channels;
      void* dz = At(workspace, dz_[worker]);
      kernels_.grad_rows({At(args.dy, dy, element_bytes_),
                          At(static_cast<const void*>(args.y), dy, element_bytes_),
                          At(static_cast<const void*>(args.code), dy, SizeOf(pool().code_type)),
                          channels, band.first_row, band.rows, width, channels, padded_channels_,
                          dz, width * padded_channels_, padded_channels_,
                          NegativeSlope(problem_.epilogue), &pool(),
                          dropout_.pooled_gradient_scale()});
      dropout_.Backward(dz, width * padded_channels_, padded_channels_, {image, band, 0, channels});
      const int64_t first = (image * problem_.height + band.first_row) * width * channels;
      kernels_.map_rows_from_acc({dz, width * padded_channels_, padded_channels_,
                                  At(args.dz, first, element_bytes_), width * channels, channels,
                                  band.rows, width, channels, identity});
      WithAcc([&](auto acc) {
        using Acc = decltype(acc);
        AddRows(static_cast<const Acc*>(dz), band.rows * width,
                At<Acc>(workspace, sums_) + item * padded_channels_);
      });
    });
    WithAcc([&](auto acc) { AddSums(At<decltype(acc)>(workspace, sums_)); });
    kernels_.store_rows({At(workspace, sums_), padded_channels_, args.dbias, problem_.channels, 1,
                         problem_.channels});
    return Status();
  }

 private:
  const MaxPoolSpec& pool() const { return problem_.epilogue.pool; }
  int64_t items() const { return problem_.batch * static_cast<int64_t>(bands_.size()); }

  template <class Body>
  void WithAcc(const Body& body) const {
    problem_.dtype == DataType::kFloat64 ? body(double()) : body(float());
  }

  // The bias, zeros where there is none, in the accumulation type.
  const void* Shift(const void* bias, void* workspace) const {
    void* shift = At(workspace, shift_);
    kernels_.load_rows({bias, problem_.channels, shift, padded_channels_, 1,
                        bias == nullptr ? 0 : problem_.channels, padded_channels_});
    return shift;
  }

  template <class Acc>
  void AddRows(const Acc* rows, int64_t pixels, Acc* sums) const {
    std::fill(sums, sums + padded_channels_, Acc{0});
    for (int64_t pixel = 0; pixel < pixels; ++pixel, rows += padded_channels_) {
      for (int64_t c = 0; c < padded_channels_; ++c) sums[c] += rows[c];
    }
  }

  // Adds the sums of all items in double, into those of the first.
  template <class Acc>
  void AddSums(Acc* sums) const {
    for (int64_t c = 0; c < problem_.channels; ++c) {
      double total = 0;
      for (int64_t item = 0; item < items(); ++item) total += sums[item * padded_channels_ + c];
      sums[c] = static_cast<Acc>(total);
    }
  }

  const FusedEpilogueProblem& problem_;
  const Kernels& kernels_;
  const int64_t element_bytes_, acc_bytes_;
  const int64_t padded_channels_;
  const int num_threads_;
  const DropoutStage dropout_;
  std::vector<Band> bands_, pooled_bands_;
  WorkspaceLayout layout_;
  size_t shift_, sums_;
  std::vector<size_t> dz_;  // per worker
};

}  // namespace
}  // namespace cpu

size_t FusedEpilogueWorkspaceBytes(const FusedEpilogueProblem& problem, int num_threads) {
  return cpu::FusedEpiloguePlan(problem, num_threads).workspace_bytes();
}

Status FusedEpilogue(const FusedEpilogueProblem& problem, const FusedEpilogueArgs& args,
                     void* workspace, ThreadPool* pool) {
  return cpu::FusedEpiloguePlan(problem, pool->num_threads()).Forward(args, workspace, pool);
}

Status FusedEpilogueGrad(const FusedEpilogueProblem& problem, const FusedEpilogueArgs& args,
                         void* workspace, ThreadPool* pool) {
  return cpu::FusedEpiloguePlan(problem, pool->num_threads()).Backward(args, workspace, pool);
}

}  // namespace fastconv
