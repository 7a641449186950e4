#include "core/max_pool.h"

#include <algorithm>
#include <cstring>

#include "core/cpu/epilogue.h"
#include "core/cpu/kernels/kernels.h"
#include "core/cpu/workspace.h"

namespace fastconv {
namespace cpu {
namespace {

constexpr int64_t kBandBytes = 128 << 10;

class MaxPoolPlan {
 public:
  MaxPoolPlan(const MaxPoolProblem& problem, int num_threads)
      : problem_(problem),
        kernels_(GetKernels(ActiveIsa(), problem.dtype)),
        element_bytes_(SizeOf(problem.dtype)),
        acc_bytes_(SizeOf(AccumulationType(problem.dtype))),
        padded_channels_((problem.channels + kernels_.lanes - 1) / kernels_.lanes * kernels_.lanes),
        num_threads_(num_threads),
        pooled_bands_(SplitRows(out_rows(), RowsPerBand(spec().window.w.out, 1))),
        bands_(SplitRows(in_rows(), RowsPerBand(spec().window.w.in, spec().window.h.stride))) {
    zeros_ = layout_.Add(padded_channels_ * acc_bytes_);
    for (int worker = 0; worker < num_threads; ++worker) {
      const int64_t rows = bands_.empty() ? 0 : bands_.front().rows;
      dx_.push_back(layout_.Add(rows * spec().window.w.in * problem.channels * acc_bytes_));
    }
  }

  size_t workspace_bytes() const { return layout_.bytes(); }

  Status Forward(const void* x, void* y, void* code, void* workspace, ThreadPool* pool) const {
    const PointwiseStage identity = Identity(workspace);
    const int64_t channels = problem_.channels;
    const int64_t in_row = spec().window.w.in * channels;
    const int64_t out_row = spec().window.w.out * channels;
    ParallelFor(pool, num_threads_, problem_.batch * pooled_bands_.size(), [&](int64_t item, int) {
      const int64_t image = item / pooled_bands_.size();
      const Band& band = pooled_bands_[item % pooled_bands_.size()];
      const int64_t cell = (image * out_rows() + band.first_row) * out_row;
      kernels_.pool_rows_from_tensor({At(x, image * in_rows() * in_row, element_bytes_), in_row,
                                      channels, 0, At(y, cell, element_bytes_),
                                      At(code, cell, SizeOf(spec().code_type)), out_row, channels,
                                      band.first_row, band.rows, channels, identity, &spec()});
    });
    return Status();
  }

  Status Backward(const void* dy, const void* code, void* dx, void* workspace,
                  ThreadPool* pool) const {
    const PointwiseStage identity = Identity(workspace);
    const int64_t channels = problem_.channels;
    const int64_t cols = spec().window.w.in;
    ParallelFor(pool, num_threads_, problem_.batch * bands_.size(), [&](int64_t item, int worker) {
      const int64_t image = item / bands_.size();
      const Band& band = bands_[item % bands_.size()];
      const int64_t cell = image * out_rows() * spec().window.w.out * channels;
      void* rows = At(workspace, dx_[worker]);
      kernels_.grad_rows({At(dy, cell, element_bytes_), nullptr,
                          At(code, cell, SizeOf(spec().code_type)), channels, band.first_row,
                          band.rows, cols, channels, channels, rows, cols * channels, channels, 1.0,
                          &spec()});
      const int64_t pixel = (image * in_rows() + band.first_row) * cols;
      kernels_.map_rows_from_acc({rows, cols * channels, channels,
                                  At(dx, pixel * channels, element_bytes_), cols * channels,
                                  channels, band.rows, cols, channels, identity});
    });
    return Status();
  }

 private:
  const MaxPoolSpec& spec() const { return problem_.pool; }
  int64_t in_rows() const { return spec().window.h.in; }
  int64_t out_rows() const { return spec().window.h.out; }

  // A multiple of `multiple` that fills the cache budget.
  int64_t RowsPerBand(int64_t cols, int64_t multiple) const {
    const int64_t row_bytes = std::max<int64_t>(cols * problem_.channels * acc_bytes_, 1);
    return std::max<int64_t>(kBandBytes / row_bytes / multiple, 1) * multiple;
  }

  PointwiseStage Identity(void* workspace) const {
    std::memset(At(workspace, zeros_), 0, padded_channels_ * acc_bytes_);
    return {nullptr, nullptr, At(workspace, zeros_), Activation::kLinear, 1.0};
  }

  const MaxPoolProblem& problem_;
  const Kernels& kernels_;
  const int64_t element_bytes_, acc_bytes_;
  const int64_t padded_channels_;
  const int num_threads_;
  const std::vector<Band> pooled_bands_, bands_;
  WorkspaceLayout layout_;
  size_t zeros_ = 0;
  std::vector<size_t> dx_;  // per worker
};

}  // namespace
}  // namespace cpu

size_t MaxPoolWorkspaceBytes(const MaxPoolProblem& problem, int num_threads) {
  return cpu::MaxPoolPlan(problem, num_threads).workspace_bytes();
}

Status MaxPool(const MaxPoolProblem& problem, const void* x, void* y, void* code, void* workspace,
               ThreadPool* pool) {
  return cpu::MaxPoolPlan(problem, pool->num_threads()).Forward(x, y, code, workspace, pool);
}

Status MaxPoolGrad(const MaxPoolProblem& problem, const void* dy, const void* code, void* dx,
                   void* workspace, ThreadPool* pool) {
  return cpu::MaxPoolPlan(problem, pool->num_threads()).Backward(dy, code, dx, workspace, pool);
}

}  // namespace fastconv
