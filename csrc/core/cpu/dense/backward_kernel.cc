#include <algorithm>
#include <cstring>
#include <vector>

#include "core/cpu/conv2d/geometry.h"
#include "core/cpu/dense/passes.h"
#include "core/cpu/epilogue.h"
#include "core/cpu/workspace.h"

namespace fastconv::cpu {
namespace {

// With their sums a block's rows stay in the second level of cache.
constexpr int64_t kBlockBytes = 192 << 10;
constexpr int64_t kMaxBlockRows = 112;

// dkernel[i, k] = sum over n of x[n, i] * dz[n, k], block by block of rows.
class DenseBackwardKernel final : public FusedDensePlan {
 public:
  DenseBackwardKernel(const FusedDenseProblem& problem, int num_threads)
      : problem_(problem),
        kernels_(GetKernels(ActiveIsa(), problem.dtype)),
        panels_(problem.units, kernels_.lanes),
        element_bytes_(SizeOf(problem.dtype)),
        acc_bytes_(SizeOf(AccumulationType(problem.dtype))),
        blocks_{BlockRows(), problem.inputs},
        num_threads_(num_threads),
        around_caches_(LargerThanCaches(problem.inputs * problem.units * element_bytes_)) {
    dz_offset_ = layout_.Add(problem.batch * panels_.padded_channels() * acc_bytes_);
    dbias_offset_ = layout_.Add(panels_.padded_channels() * acc_bytes_);
    for (int worker = 0; worker < num_threads; ++worker) {
      x_offsets_.push_back(layout_.Add(problem.batch * row_stride() * acc_bytes_));
      sums_offsets_.push_back(layout_.Add(blocks_.size * panels_.width(0) * acc_bytes_));
      if (!around_caches_) continue;
      rows_offsets_.push_back(layout_.Add(blocks_.size * problem.units * element_bytes_));
    }
  }

  size_t workspace_bytes() const override { return layout_.bytes(); }

  void Execute(const FusedDenseArgs& args, void* workspace, ThreadPool* pool) const override {
    const int64_t units = problem_.units;
    if (problem_.batch == 0) {
      std::memset(args.dkernel, 0, problem_.inputs * units * element_bytes_);
      std::memset(args.dbias, 0, units * element_bytes_);
      return;
    }
    ParallelFor(pool, num_threads_, panels_.count(),
                [&](int64_t panel, int) { LoadGradient(args, panel, workspace); });
    kernels_.store_rows({At(workspace, dbias_offset_), units, args.dbias, units, 1, units});
    ParallelFor(pool, num_threads_, blocks_.number(),
                [&](int64_t block, int worker) { ComputeBlock(args, block, worker, workspace); });
  }

 private:
  int64_t BlockRows() const {
    const int64_t row_bytes = (problem_.units + problem_.batch + panels_.width(0)) * acc_bytes_;
    const int64_t rows = std::clamp<int64_t>(kBlockBytes / row_bytes, 16, kMaxBlockRows);
    return rows / 16 * 16;  // so many rows begin at a line of cache
  }
  int64_t row_stride() const { return blocks_.size + 16; }

  // [batch][width]
  void* Gradient(void* workspace, int64_t panel) const {
    return At(At(workspace, dz_offset_), problem_.batch * panels_.first_channel(panel), acc_bytes_);
  }

  void LoadGradient(const FusedDenseArgs& args, int64_t panel, void* workspace) const {
    const int64_t first_unit = panels_.first_channel(panel), width = panels_.width(panel);
    void* dz = Gradient(workspace, panel);
    kernels_.grad_rows({At(args.dy, first_unit, element_bytes_),
                        At(args.y, first_unit, element_bytes_), nullptr, problem_.units, 0, 1,
                        problem_.batch, panels_.channels(panel), width, dz, 0, width,
                        NegativeSlope(problem_.epilogue), &problem_.epilogue.pool});
    void* dbias = At(At(workspace, dbias_offset_), first_unit, acc_bytes_);
    kernels_.load_rows({nullptr, 0, dbias, width, 1, 0, width});
    kernels_.add_rows({dz, width, dbias, problem_.batch, width});
  }

  void ComputeBlock(const FusedDenseArgs& args, int64_t block, int worker, void* workspace) const {
    const int64_t units = problem_.units, rows = blocks_.length(block);
    void* x = At(workspace, x_offsets_[worker]);
    void* sums = At(workspace, sums_offsets_[worker]);
    void* dkernel = At(args.dkernel, blocks_.first(block) * units, element_bytes_);
    // Around the caches goes what fills whole lines of them: all panels' columns together.
    void* to = around_caches_ ? At(workspace, rows_offsets_[worker]) : dkernel;
    kernels_.load_rows({At(args.x, blocks_.first(block), element_bytes_), problem_.inputs, x,
                        row_stride(), problem_.batch, rows, rows});
    for (int64_t panel = 0; panel < panels_.count(); ++panel) {
      const int64_t width = panels_.width(panel);
      kernels_.tile_products({x, row_stride(), Gradient(workspace, panel), width, problem_.batch,
                              rows, panels_.vectors(panel), sums, /*accumulate=*/false, x, 0});
      kernels_.store_rows({sums, width, At(to, panels_.first_channel(panel), element_bytes_), units,
                           rows, panels_.channels(panel)});
    }
    if (around_caches_) kernels_.copy_around_caches({to, dkernel, rows * units});
  }

  const FusedDenseProblem problem_;
  const Kernels& kernels_;
  const Panels panels_;
  const int64_t element_bytes_, acc_bytes_;
  const Blocks blocks_;  // of rows of the kernel
  const int num_threads_;
  const bool around_caches_;
  WorkspaceLayout layout_;
  size_t dz_offset_ = 0, dbias_offset_ = 0;
  std::vector<size_t> x_offsets_, sums_offsets_, rows_offsets_;  // per worker
};

}  // namespace

std::unique_ptr<FusedDensePlan> MakeDenseBackwardKernel(const FusedDenseProblem& problem,
                                                        int num_threads) {
  return std::make_unique<DenseBackwardKernel>(problem, num_threads);
}

}  // namespace fastconv::cpu
