#include <algorithm>
#include <vector>

#include "core/cpu/conv2d/geometry.h"
#include "core/cpu/dense/passes.h"
#include "core/cpu/epilogue.h"
#include "core/cpu/workspace.h"

namespace fastconv::cpu {
namespace {

constexpr int64_t kBlockBytes = 192 << 10;
constexpr int64_t kMaxBlockRows = 112;
constexpr int64_t kUnitsPerSum = 256;

// dx[n, i] = sum over k of kernel[i, k] * dz[n, k], as the transpose of kernel * transpose(dz): so
// the kernel is read in the order in which it lies in memory. Panels are of samples.
class DenseBackwardInput final : public FusedDensePlan {
 public:
  DenseBackwardInput(const FusedDenseProblem& problem, int num_threads)
      : problem_(problem),
        kernels_(GetKernels(ActiveIsa(), problem.dtype)),
        acc_kernels_(GetKernels(ActiveIsa(), AccumulationType(problem.dtype))),
        panels_(problem.batch, kernels_.lanes),
        unit_blocks_{kUnitsPerSum, problem.units},
        element_bytes_(SizeOf(problem.dtype)),
        acc_bytes_(SizeOf(AccumulationType(problem.dtype))),
        blocks_{BlockRows(), problem.inputs},
        num_threads_(num_threads) {
    if (problem.batch == 0) return;
    dz_offset_ = layout_.Add(problem.batch * problem.units * acc_bytes_);
    turned_offset_ = layout_.Add(problem.units * panels_.padded_channels() * acc_bytes_);
    for (int worker = 0; worker < num_threads; ++worker) {
      rows_offsets_.push_back(layout_.Add(blocks_.size * problem.units * acc_bytes_));
      sums_offsets_.push_back(layout_.Add(blocks_.size * panels_.width(0) * acc_bytes_));
      dx_offsets_.push_back(layout_.Add(panels_.width(0) * blocks_.size * acc_bytes_));
    }
  }

  size_t workspace_bytes() const override { return layout_.bytes(); }

  void Execute(const FusedDenseArgs& args, void* workspace, ThreadPool* pool) const override {
    if (problem_.batch == 0) return;
    ParallelFor(pool, num_threads_, panels_.count(),
                [&](int64_t panel, int) { LoadGradient(args, panel, workspace); });
    ParallelFor(pool, num_threads_, blocks_.number(),
                [&](int64_t block, int worker) { ComputeBlock(args, block, worker, workspace); });
  }

 private:
  int64_t BlockRows() const {
    const int64_t rows =
        std::clamp<int64_t>(kBlockBytes / (problem_.units * acc_bytes_), 16, kMaxBlockRows);
    return rows / 16 * 16;
  }

  // [units][width]
  void* Gradient(void* workspace, int64_t panel) const {
    return At(At(workspace, turned_offset_), problem_.units * panels_.first_channel(panel),
              acc_bytes_);
  }

  void LoadGradient(const FusedDenseArgs& args, int64_t panel, void* workspace) const {
    const int64_t units = problem_.units, samples = panels_.channels(panel);
    const int64_t first = panels_.first_channel(panel) * units, width = panels_.width(panel);
    void* dz = At(At(workspace, dz_offset_), first, acc_bytes_);
    kernels_.grad_rows({At(args.dy, first, element_bytes_), At(args.y, first, element_bytes_),
                        nullptr, units, 0, 1, samples, units, units, dz, 0, units,
                        NegativeSlope(problem_.epilogue), &problem_.epilogue.pool});
    acc_kernels_.load_transposed(
        {dz, units, Gradient(workspace, panel), width, samples, units, width});
  }

  void ComputeBlock(const FusedDenseArgs& args, int64_t block, int worker, void* workspace) const {
    const int64_t units = problem_.units, inputs = problem_.inputs;
    const int64_t first_row = blocks_.first(block), rows = blocks_.length(block);
    const void* kernel = At(args.kernel, first_row * units, element_bytes_);
    if (element_bytes_ != acc_bytes_) {
      void* converted = At(workspace, rows_offsets_[worker]);
      kernels_.load_rows({kernel, units, converted, units, rows, units, units});
      kernel = converted;
    }
    const int64_t next = block + num_threads_;  // most likely this worker's
    const ReadAhead ahead =
        next < blocks_.number()
            ? ReadAhead(At(args.kernel, blocks_.first(next) * units, element_bytes_),
                        blocks_.length(next) * units * element_bytes_,
                        panels_.count() * unit_blocks_.number())
            : ReadAhead();
    void* sums = At(workspace, sums_offsets_[worker]);
    void* dx = At(workspace, dx_offsets_[worker]);
    for (int64_t panel = 0; panel < panels_.count(); ++panel) {
      const int64_t width = panels_.width(panel), samples = panels_.channels(panel);
      for (int64_t b = 0; b < unit_blocks_.number(); ++b) {
        const int64_t part = panel * unit_blocks_.number() + b;
        const Run run{unit_blocks_.first(b), unit_blocks_.length(b), 0};
        kernels_.conv_rows({kernel, 0, units, &run, 1, FilledRows{0, 1, 0},
                            At(Gradient(workspace, panel), run.offset * width, acc_bytes_),
                            panels_.vectors(panel), sums, 1, rows, /*accumulate=*/b > 0, width,
                            ahead.begin(part), ahead.lines(part)});
      }
      acc_kernels_.load_transposed({sums, width, dx, rows, rows, samples, rows});
      kernels_.store_rows(
          {dx, rows, At(args.dx, panels_.first_channel(panel) * inputs + first_row, element_bytes_),
           inputs, samples, rows});
    }
  }

  const FusedDenseProblem problem_;
  const Kernels& kernels_;
  const Kernels& acc_kernels_;  // of tensors of the accumulation type
  const Panels panels_;
  const Blocks unit_blocks_;
  const int64_t element_bytes_, acc_bytes_;
  const Blocks blocks_;  // of rows of the kernel
  const int num_threads_;
  WorkspaceLayout layout_;
  size_t dz_offset_ = 0, turned_offset_ = 0;
  std::vector<size_t> rows_offsets_, sums_offsets_, dx_offsets_;  // per worker
};

}  // namespace

std::unique_ptr<FusedDensePlan> MakeDenseBackwardInput(const FusedDenseProblem& problem,
                                                       int num_threads) {
  return std::make_unique<DenseBackwardInput>(problem, num_threads);
}

}  // namespace fastconv::cpu
