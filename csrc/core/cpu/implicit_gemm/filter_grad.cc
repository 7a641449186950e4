// The general filter gradient: the same slabs as forward, multiplied with packed gradients.
#include <algorithm>
#include <utility>
#include <vector>

#include "core/cpu/conv2d/filter_grad_algorithm.h"
#include "core/cpu/implicit_gemm/implicit_gemm.h"
#include "core/cpu/workspace.h"

namespace fastconv::cpu {
namespace {

constexpr int64_t kPixelsPerUnit = 512;    // long register sums, dz in the first levels of cache
constexpr int64_t kUnitBytes = 512 << 10;  // slab and dz of one unit

class ImplicitGemmFilterGrad final : public FilterGradAlgorithm {
 public:
  explicit ImplicitGemmFilterGrad(FilterGradProblem problem)
      : problem_(std::move(problem)),
        kernels_(problem_.kernels),
        panels_(problem_.out_channels, kernels_.lanes),
        acc_bytes_(SizeOf(AccumulationType(kernels_.dtype))) {
    const ChannelChunks chunks = ChannelChunks::Of(problem_.in_channels);
    for (int64_t c = 0; c < chunks.count(); ++c) {
      Slab slab(problem_.convolution, phase(), chunks.length(c));
      std::vector<Run> runs = slab.Runs(int64_t{1} << 62).front();
      chunks_.push_back({chunks.first(c), depth_, slab, std::move(runs)});
      depth_ += static_cast<int64_t>(slab.taps().size()) * slab.channels();
    }
    cut_ = FilterGradCut::Of(problem_, panels_, depth_);
    CutUnits();
    slab_offset_ = layout_.Add(unit_.images * slab_elements(unit_.rows) * acc_bytes_);
    dz_offset_ = layout_.Add(unit_.images * unit_.rows * dz_row_elements() * acc_bytes_);
  }

  const Panels& panels() const override { return panels_; }
  const FilterGradCut& cut() const override { return cut_; }
  int64_t depth() const override { return depth_; }
  UnitShape unit() const override { return unit_; }
  size_t scratch_bytes() const override { return layout_.bytes(); }

  void AddUnit(const Unit& unit, const Operands& operands, void* scratch) const override {
    const int64_t rows = unit.band.rows, cols = phase().cols;
    const auto dz_of = [&](int64_t panel) {
      const int64_t pixels = (panel - unit.first_panel) * unit.images * rows * cols;
      return At(At(scratch, dz_offset_), pixels * panels_.width(0), acc_bytes_);
    };
    for (int64_t panel = unit.first_panel; panel < unit.end_panel; ++panel) {
      const int64_t row_elements = cols * panels_.width(panel);
      for (int64_t i = 0; i < unit.images; ++i) {
        operands.load_gradient(panel, unit.first_image + i,
                               At(dz_of(panel), i * rows * row_elements, acc_bytes_), row_elements);
      }
    }
    void* slab = At(scratch, slab_offset_);
    for (const Chunk& chunk : chunks_) {
      const int64_t image_stride = chunk.slab.elements(rows);
      for (int64_t i = 0; i < unit.images; ++i) {
        chunk.slab.Fill(unit.band, acc_bytes_, At(slab, i * image_stride, acc_bytes_),
                        [&](const Slab::Row& row) {
                          operands.load_row(unit.first_image + i, chunk.first_channel,
                                            chunk.slab.channels(), row);
                        });
      }
      for (int64_t panel = unit.first_panel; panel < unit.end_panel; ++panel) {
        kernels_.filter_grad(
            {slab, image_stride, chunk.slab.output_row_stride(), chunk.slab.pixel_stride(),
             chunk.runs.data(), static_cast<int64_t>(chunk.runs.size()),
             chunk.slab.filled(unit.band), dz_of(panel), cols * panels_.width(panel),
             panels_.width(panel), panels_.vectors(panel),
             At(operands.sums(panel), chunk.depth_offset * panels_.width(panel), acc_bytes_),
             unit.images, rows, cols});
      }
    }
  }

  void Finish(int64_t panel, const void* sums, void*, const ConsumeTap& consume) const override {
    const int64_t width = panels_.width(panel);
    for (const Chunk& chunk : chunks_) {
      const int64_t channels = chunk.slab.channels();
      for (const Tap& tap : chunk.slab.taps()) {
        consume(tap, chunk.first_channel, channels, sums);
        sums = At(sums, channels * width, acc_bytes_);
      }
    }
  }

 private:
  struct Chunk {
    int64_t first_channel;
    int64_t depth_offset;
    Slab slab;
    std::vector<Run> runs;
  };

  const Phase& phase() const { return problem_.convolution.phases[0]; }
  int64_t slab_elements(int64_t rows) const { return chunks_.front().slab.elements(rows); }
  int64_t dz_row_elements() const { return phase().cols * cut_.panels_per_item * panels_.width(0); }

  void CutUnits() {
    const int64_t image_rows = phase().rows;
    const auto bytes = [&](int64_t rows) {
      return (slab_elements(rows) + rows * dz_row_elements()) * acc_bytes_;
    };
    int64_t rows = std::clamp<int64_t>(kPixelsPerUnit / phase().cols, 1, image_rows);
    while (rows > 1 && bytes(rows) > kUnitBytes) rows = (rows + 1) / 2;
    int64_t images = 1;
    if (rows == image_rows) {
      images = std::min({kPixelsPerUnit / (rows * phase().cols), kUnitBytes / bytes(rows),
                         (problem_.batch + cut_.slots - 1) / cut_.slots});
    }
    unit_ = {std::max<int64_t>(images, 1), rows};
  }

  const FilterGradProblem problem_;
  const Kernels& kernels_;
  const Panels panels_;
  const int64_t acc_bytes_;
  std::vector<Chunk> chunks_;
  int64_t depth_ = 0;  // elements of a filter per output channel
  FilterGradCut cut_{};
  UnitShape unit_{};
  WorkspaceLayout layout_;
  size_t slab_offset_ = 0, dz_offset_ = 0;
};

}  // namespace

std::unique_ptr<FilterGradAlgorithm> MakeImplicitGemmFilterGrad(FilterGradProblem problem) {
  return std::make_unique<ImplicitGemmFilterGrad>(std::move(problem));
}

}  // namespace fastconv::cpu
