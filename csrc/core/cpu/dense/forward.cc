#include <algorithm>
#include <vector>

#include "core/cpu/conv2d/geometry.h"
#include "core/cpu/dense/passes.h"
#include "core/cpu/epilogue.h"
#include "core/cpu/workspace.h"

namespace fastconv::cpu {
namespace {

constexpr int64_t kBlockRows = 128;  // a panel of so many rows stays in the first level of cache
constexpr int64_t kSamplesAtATime = 512;  // x of a block stays in the second
constexpr int64_t kItems = 32;            // enough for many threads, and for slow ones among them
constexpr int64_t kPartialSumsBytes = 8 << 20;

// The rows of the kernel are cut into slots of neighbouring blocks. Each slot sums on its own,
// block after block, and the slots are added up in order at the end: three levels of sums keep the
// rounding error small. Where outputs are many, slots are few and panels of units are items too.
class DenseForward final : public FusedDensePlan {
 public:
  DenseForward(const FusedDenseProblem& problem, int num_threads)
      : problem_(problem),
        kernels_(GetKernels(ActiveIsa(), problem.dtype)),
        panels_(problem.units, kernels_.lanes),
        blocks_{kBlockRows, problem.inputs},
        samples_{kSamplesAtATime, problem.batch},
        element_bytes_(SizeOf(problem.dtype)),
        acc_bytes_(SizeOf(AccumulationType(problem.dtype))),
        num_threads_(num_threads) {
    const int64_t batch = std::min(problem.batch, kSamplesAtATime);
    slot_elements_ = batch * panels_.padded_channels();
    const int64_t wanted = std::min(kItems, blocks_.number());
    slots_ = std::clamp<int64_t>(
        kPartialSumsBytes / std::max<int64_t>(slot_elements_ * acc_bytes_, 1), 1, wanted);
    const int64_t ranges = std::min(panels_.count(), (kItems + slots_ - 1) / slots_);
    panels_per_item_ = slots_ == wanted ? panels_.count() : (panels_.count() + ranges - 1) / ranges;
    sums_offset_ = layout_.Add(slots_ * slot_elements_ * acc_bytes_);
    bias_offset_ = layout_.Add(panels_.padded_channels() * acc_bytes_);
    for (int worker = 0; worker < num_threads; ++worker) {
      x_offsets_.push_back(layout_.Add(batch * kRowStride * acc_bytes_));
      panel_offsets_.push_back(layout_.Add(kBlockRows * panels_.width(0) * acc_bytes_));
    }
  }

  size_t workspace_bytes() const override { return layout_.bytes(); }

  void Execute(const FusedDenseArgs& args, void* workspace, ThreadPool* pool) const override {
    const int64_t units = problem_.units, padded_units = panels_.padded_channels();
    void* bias = At(workspace, bias_offset_);
    kernels_.load_rows({args.bias, units, bias, padded_units, 1,
                        problem_.epilogue.has_bias ? units : 0, padded_units});
    const Blocks ranges{panels_per_item_, panels_.count()};
    for (int64_t part = 0; part < samples_.number(); ++part) {
      ParallelFor(pool, num_threads_, slots_ * ranges.number(), [&](int64_t item, int worker) {
        const int64_t range = item / slots_, first = ranges.first(range);
        SumSlot(args, part, item % slots_, first, first + ranges.length(range), worker, workspace);
      });
      ParallelFor(pool, num_threads_, panels_.count(),
                  [&](int64_t panel, int) { FinishPanel(args, part, panel, workspace); });
    }
  }

 private:
  // One line of cache more than a block: neighbouring samples lie in different sets of the caches.
  static constexpr int64_t kRowStride = kBlockRows + 16;

  // [batch][width]
  void* Sums(void* workspace, int64_t slot, int64_t part, int64_t panel) const {
    const int64_t first = samples_.length(part) * panels_.first_channel(panel);
    return At(At(workspace, sums_offset_), slot * slot_elements_ + first, acc_bytes_);
  }

  void SumSlot(const FusedDenseArgs& args, int64_t part, int64_t slot, int64_t first_panel,
               int64_t end_panel, int worker, void* workspace) const {
    const int64_t units = problem_.units, batch = samples_.length(part);
    void* x = At(workspace, x_offsets_[worker]);
    void* copy = At(workspace, panel_offsets_[worker]);
    const int64_t begin = blocks_.number() * slot / slots_;
    const int64_t end = blocks_.number() * (slot + 1) / slots_;
    for (int64_t block = begin; block < end; ++block) {
      const int64_t first_row = blocks_.first(block);
      const Run run{0, blocks_.length(block), 0};
      kernels_.load_rows(
          {At(args.x, samples_.first(part) * problem_.inputs + first_row, element_bytes_),
           problem_.inputs, x, kRowStride, batch, run.length, run.length});
      const ReadAhead ahead =
          block + 1 < end && end_panel - first_panel == panels_.count()
              ? ReadAhead(At(args.kernel, blocks_.first(block + 1) * units, element_bytes_),
                          blocks_.length(block + 1) * units * element_bytes_, panels_.count())
              : ReadAhead();
      for (int64_t panel = first_panel; panel < end_panel; ++panel) {
        const int64_t element = first_row * units + panels_.first_channel(panel);
        const void* rows = At(args.kernel, element, element_bytes_);
        int64_t stride = units;
        if (!IsReadable(element, run.length, panels_.width(panel))) {
          stride = panels_.width(panel);
          kernels_.load_rows(
              {rows, units, copy, stride, run.length, panels_.channels(panel), stride});
          rows = copy;
        }
        kernels_.conv_rows({x, 0, kRowStride, &run, 1, FilledRows{0, 1, 0}, rows,
                            panels_.vectors(panel), Sums(workspace, slot, part, panel), 1, batch,
                            /*accumulate=*/block > begin, stride, ahead.begin(panel),
                            ahead.lines(panel)});
      }
    }
  }

  // Whether vectors may be read from the kernel itself. Beyond a panel's units they hold some of
  // the next row, which nobody looks at, but must not pass the tensor's end.
  bool IsReadable(int64_t element, int64_t rows, int64_t width) const {
    return element_bytes_ == acc_bytes_ &&
           element + (rows - 1) * problem_.units + width <= problem_.inputs * problem_.units;
  }

  void FinishPanel(const FusedDenseArgs& args, int64_t part, int64_t panel, void* workspace) const {
    const int64_t units = problem_.units, batch = samples_.length(part);
    const int64_t width = panels_.width(panel), first_unit = panels_.first_channel(panel);
    void* sums = Sums(workspace, 0, part, panel);
    if (slots_ > 1) {
      kernels_.add_rows(
          {Sums(workspace, 1, part, panel), slot_elements_, sums, slots_ - 1, batch * width});
    }
    const Epilogue& epilogue = problem_.epilogue;
    kernels_.map_rows_from_acc(
        {sums, 0, width, At(args.y, samples_.first(part) * units + first_unit, element_bytes_), 0,
         units, 1, batch, panels_.channels(panel),
         PointwiseStage{nullptr, nullptr, At(At(workspace, bias_offset_), first_unit, acc_bytes_),
                        epilogue.activation, NegativeSlope(epilogue)}});
  }

  const FusedDenseProblem problem_;
  const Kernels& kernels_;
  const Panels panels_;
  const Blocks blocks_;   // of rows of the kernel
  const Blocks samples_;  // of the batch
  const int64_t element_bytes_, acc_bytes_;
  const int num_threads_;
  int64_t slots_ = 0, slot_elements_ = 0, panels_per_item_ = 0;
  WorkspaceLayout layout_;
  size_t sums_offset_ = 0, bias_offset_ = 0;
  std::vector<size_t> x_offsets_, panel_offsets_;  // per worker
};

}  // namespace

std::unique_ptr<FusedDensePlan> MakeDenseForward(const FusedDenseProblem& problem,
                                                 int num_threads) {
  return std::make_unique<DenseForward>(problem, num_threads);
}

}  // namespace fastconv::cpu
