// Winograd's filter gradient, F(r x r, m x m): one matrix product per point of the tiles, over
// tiles of m x m output gradients and the inputs under them; one inverse transform at the end.
#include <algorithm>
#include <cstring>
#include <vector>

#include "core/cpu/conv2d/geometry.h"
#include "core/cpu/conv2d/operands.h"
#include "core/cpu/winograd/filter_grad_cut.h"
#include "core/cpu/winograd/filter_grad_tiles.h"
#include "core/cpu/winograd/read_ahead.h"
#include "core/cpu/winograd/tiles.h"
#include "core/cpu/winograd/winograd.h"
#include "core/cpu/workspace.h"

namespace fastconv::cpu {
namespace {

struct PanelRange {
  int64_t first, end;
};

// See GradientCut for how the sums are cut; every one of them is taken in a fixed order.
class WinogradBackwardFilter final : public Conv2DPlan {
 public:
  WinogradBackwardFilter(const char* name, const Kernels& kernels,
                         const FusedConv2DProblem& problem, int num_threads);

  const char* implementation() const override { return name_; }
  size_t workspace_bytes() const override { return layout_.bytes(); }
  Status Execute(const Conv2DArgs& args, void* workspace, ThreadPool* pool) const override;

 private:
  struct Call {
    const Conv2DArgs& args;
    void* workspace;
    ThreadPool* pool;
  };
  // A unit's transformed tiles.
  struct Tiles {
    void* data;
    void* gradients;
    int64_t count;
  };

  const TileShape& shape() const { return tiles_.kernels().shape; }
  int64_t plane_elements() const { return conv_.in_channels * panels_.padded_channels(); }
  // Sums of the first group of units, and of a slot's end, are in [0, slots), those of a later
  // group, until they are added, in [slots, 2 * slots).
  int64_t SumsSlot(int64_t slot, int64_t unit) const {
    return unit < kUnitsPerGroup ? slot : cut_.slots + slot;
  }
  void* Sums(const Call& call, int64_t slot, int64_t plane, int64_t panel) const {
    const int64_t element = (slot * shape().planes() + plane) * plane_elements() +
                            conv_.in_channels * panels_.first_channel(panel);
    return At(At(call.workspace, sums_offset_), element, acc_bytes_);
  }
  void* BiasSums(const Call& call, int64_t slot) const {
    return At(At(call.workspace, bias_sums_offset_), slot * panels_.padded_channels(), acc_bytes_);
  }
  PanelRange RangeOf(int64_t index, int64_t ranges) const {
    return {panels_.count() * index / ranges, panels_.count() * (index + 1) / ranges};
  }
  // Padded output channels of a range.
  int64_t width(const PanelRange& range) const {
    const int64_t end =
        range.end == panels_.count() ? panels_.padded_channels() : panels_.first_channel(range.end);
    return end - panels_.first_channel(range.first);
  }
  Tiles TilesOf(const Call& call, const TileRows& rows, int space) const {
    return {At(call.workspace, data_offsets_[space]), At(call.workspace, gradients_offsets_[space]),
            rows.count * tiles_.cols()};
  }

  void SumSlot(const Call& call, int64_t slot, const PanelRange& range, int worker) const;
  void TransformShared(const Call& call, const TileRows& unit) const;
  void SumShared(const Call& call) const;
  void SumSingleUnit(const Call& call) const;
  // Whether a later group than the first ends with this unit.
  static bool EndsGroup(int64_t unit, int64_t num_units) {
    return unit >= kUnitsPerGroup && (unit + 1 == num_units || (unit + 1) % kUnitsPerGroup == 0);
  }
  void AddGroup(const Call& call, int64_t slot, int64_t plane, const PanelRange& range) const {
    kernels_.add_rows({Sums(call, cut_.slots + slot, plane, range.first), 0,
                       Sums(call, slot, plane, range.first), 1, conv_.in_channels * width(range)});
  }
  void TransformInputs(const Call& call, const TileRows& rows, void* planes) const {
    tiles_.TransformInputs(call.args, rows, At(call.workspace, zeros_offset_), data_, planes);
  }
  void TransformGradients(const Call& call, const TileRows& rows, const PanelRange& range,
                          void* bias_sums, int worker, void* planes) const {
    const int64_t first = panels_.first_channel(range.first);
    tiles_.TransformGradients(
        call.args, rows, {first, std::min(width(range), conv_.out_channels - first), width(range)},
        gradients_, bias_sums, At(call.workspace, scratch_offsets_[worker]), planes);
  }
  // first_out: the panel's first channel among the transformed gradients.
  void Multiply(const Tiles& tiles, int64_t plane, int64_t panel, int64_t first_out,
                int64_t first_channel, int64_t channels, bool accumulate,
                const ReadAhead::Piece& ahead, void* sums) const;
  void FinishSlots(const Call& call, int64_t panel, int64_t first_channel, void* taps) const;
  void Finish(const Call& call, int64_t panel, int64_t first_channel, int64_t channels,
              const void* sums, int64_t plane_stride, void* taps) const;
  void FinishBias(const Call& call) const;

  const char* name_;
  const Kernels& kernels_;
  const Conv2DProblem conv_;
  const int num_threads_;
  const int64_t element_bytes_, acc_bytes_;
  const FilterGradTiles tiles_;
  const Panels panels_;
  const GradientCut cut_;
  TilePlanes data_, gradients_;  // of a unit
  WorkspaceLayout layout_;
  size_t zeros_offset_ = 0, sums_offset_ = 0, bias_sums_offset_ = 0;
  std::vector<size_t> data_offsets_, gradients_offsets_;     // of each worker, or of all together
  std::vector<size_t> scratch_offsets_, item_sums_offsets_;  // per worker
};

WinogradBackwardFilter::WinogradBackwardFilter(const char* name, const Kernels& kernels,
                                               const FusedConv2DProblem& problem, int num_threads)
    : name_(name),
      kernels_(kernels),
      conv_(problem.conv),
      num_threads_(num_threads),
      element_bytes_(SizeOf(conv_.dtype)),
      acc_bytes_(SizeOf(AccumulationType(conv_.dtype))),
      tiles_(kernels, problem),
      panels_(conv_.out_channels, kernels.lanes),
      cut_(GradientCut::Of(conv_, shape(), panels_, tiles_.rows().count, tiles_.cols(), num_threads,
                           acc_bytes_)) {
  const int64_t padded_channels = panels_.padded_channels();
  data_ = TilePlanes(shape(), cut_.rows_per_unit * tiles_.cols(), conv_.in_channels);
  const int64_t range_panels = (panels_.count() + cut_.ranges - 1) / cut_.ranges;
  const int64_t range_width = std::min(range_panels * panels_.width(0), padded_channels);
  gradients_ = TilePlanes(shape(), cut_.rows_per_unit * tiles_.cols(), range_width);
  zeros_offset_ = layout_.Add(conv_.in_channels * acc_bytes_);
  if (!cut_.single_unit) {
    sums_offset_ = layout_.Add((cut_.grouped ? 2 : 1) * cut_.slots * shape().planes() *
                               plane_elements() * acc_bytes_);
  }
  bias_sums_offset_ = layout_.Add(cut_.bias_slots * padded_channels * acc_bytes_);
  for (int worker = 0; worker < num_threads_; ++worker) {
    if (!cut_.shared || worker == 0) {
      data_offsets_.push_back(layout_.Add(data_.elements() * acc_bytes_));
      gradients_offsets_.push_back(layout_.Add(gradients_.elements() * acc_bytes_));
    }
    // Of the gradients' transform and, when that is done, taps of the filter's gradient.
    const int64_t transform = tiles_.scratch_elements(range_width);
    const int64_t taps = shape().taps * shape().taps * kFinishChannels * panels_.width(0);
    scratch_offsets_.push_back(layout_.Add(std::max(transform, taps) * acc_bytes_));
    if (cut_.single_unit) {
      item_sums_offsets_.push_back(
          layout_.Add(shape().planes() * cut_.item_channels * panels_.width(0) * acc_bytes_));
    }
  }
}

Status WinogradBackwardFilter::Execute(const Conv2DArgs& args, void* workspace,
                                       ThreadPool* pool) const {
  const Call call{args, workspace, pool};
  std::memset(At(workspace, zeros_offset_), 0, conv_.in_channels * acc_bytes_);
  std::memset(BiasSums(call, 0), 0, cut_.bias_slots * panels_.padded_channels() * acc_bytes_);
  if (cut_.single_unit) {
    SumSingleUnit(call);
  } else {
    if (cut_.shared) {
      SumShared(call);
    } else {
      ParallelFor(pool, num_threads_, cut_.slots * cut_.ranges, [&](int64_t item, int worker) {
        SumSlot(call, item % cut_.slots, RangeOf(item / cut_.slots, cut_.ranges), worker);
      });
    }
    const int64_t chunks = (conv_.in_channels + kFinishChannels - 1) / kFinishChannels;
    ParallelFor(pool, num_threads_, panels_.count() * chunks, [&](int64_t item, int worker) {
      FinishSlots(call, item / chunks, item % chunks * kFinishChannels,
                  At(workspace, scratch_offsets_[worker]));
    });
  }
  if (args.dbias != nullptr) FinishBias(call);
  return Status();
}

void WinogradBackwardFilter::SumSlot(const Call& call, int64_t slot, const PanelRange& range,
                                     int worker) const {
  const int64_t planes = shape().planes();
  const TileRows rows = tiles_.rows().Part(slot, cut_.slots);
  if (rows.count == 0) {  // an empty batch
    for (int64_t plane = 0; plane < planes; ++plane) {
      std::memset(Sums(call, slot, plane, range.first), 0,
                  conv_.in_channels * width(range) * acc_bytes_);
    }
    return;
  }
  const int64_t first_channel = panels_.first_channel(range.first);
  void* bias_sums = At(BiasSums(call, slot), first_channel, acc_bytes_);
  const int64_t num_units = cut_.units(rows);
  for (int64_t u = 0; u < num_units; ++u) {
    const TileRows unit = rows.Part(u, num_units);
    const Tiles tiles = TilesOf(call, unit, worker);
    TransformInputs(call, unit, tiles.data);
    TransformGradients(call, unit, range, bias_sums, worker, tiles.gradients);
    ReadAhead ahead;
    if (u + 1 < num_units) {
      const TileRows next = rows.Part(u + 1, num_units);
      tiles_.AddInputs(call.args, next, &ahead);
      // Several ranges together would ask for the gradients' rows several times.
      if (cut_.ranges <= 2) tiles_.AddGradients(call.args, next, &ahead);
    }
    ahead.DealOut(planes * (range.end - range.first));
    for (int64_t plane = 0; plane < planes; ++plane) {
      for (int64_t panel = range.first; panel < range.end; ++panel) {
        Multiply(tiles, plane, panel, panels_.first_channel(panel) - first_channel, 0,
                 conv_.in_channels, /*accumulate=*/u % kUnitsPerGroup > 0, ahead.Next(),
                 Sums(call, SumsSlot(slot, u), plane, panel));
      }
      if (EndsGroup(u, num_units)) AddGroup(call, slot, plane, range);
    }
  }
}

void WinogradBackwardFilter::TransformShared(const Call& call, const TileRows& unit) const {
  const Tiles tiles = TilesOf(call, unit, 0);
  ParallelFor(call.pool, num_threads_, 2 * cut_.bias_slots, [&](int64_t item, int worker) {
    const int64_t part = item / 2;
    const TileRows rows = unit.Part(part, cut_.bias_slots);
    const int64_t tile = (rows.first - unit.first) * tiles_.cols();
    if (item % 2 == 0) {
      TransformInputs(call, rows, At(tiles.data, tile * data_.tile_stride(), acc_bytes_));
    } else {
      TransformGradients(call, rows, {0, panels_.count()}, BiasSums(call, part), worker,
                         At(tiles.gradients, tile * gradients_.tile_stride(), acc_bytes_));
    }
  });
}

void WinogradBackwardFilter::SumShared(const Call& call) const {
  constexpr int64_t kItemsPerThread = 8;
  const int64_t planes = shape().planes();
  const int64_t ranges = std::clamp<int64_t>((kItemsPerThread * num_threads_ + planes - 1) / planes,
                                             1, panels_.count());
  const int64_t num_units = cut_.units(tiles_.rows());
  for (int64_t u = 0; u < num_units; ++u) {
    const TileRows unit = tiles_.rows().Part(u, num_units);
    TransformShared(call, unit);
    const Tiles tiles = TilesOf(call, unit, 0);
    ParallelFor(call.pool, num_threads_, planes * ranges, [&](int64_t item, int) {
      const int64_t plane = item / ranges;
      const PanelRange range = RangeOf(item % ranges, ranges);
      for (int64_t panel = range.first; panel < range.end; ++panel) {
        Multiply(tiles, plane, panel, panels_.first_channel(panel), 0, conv_.in_channels,
                 /*accumulate=*/u % kUnitsPerGroup > 0, {nullptr, 0},
                 Sums(call, SumsSlot(0, u), plane, panel));
      }
      if (EndsGroup(u, num_units)) AddGroup(call, 0, plane, range);
    });
  }
}

// The sums of a few channels stay in a cache until they are transformed.
void WinogradBackwardFilter::SumSingleUnit(const Call& call) const {
  TransformShared(call, tiles_.rows());
  const Tiles tiles = TilesOf(call, tiles_.rows(), 0);
  const int64_t chunks = (conv_.in_channels + cut_.item_channels - 1) / cut_.item_channels;
  ParallelFor(call.pool, num_threads_, panels_.count() * chunks, [&](int64_t item, int worker) {
    const int64_t panel = item / chunks, width = panels_.width(panel);
    const int64_t first = item % chunks * cut_.item_channels;
    const int64_t channels = std::min(cut_.item_channels, conv_.in_channels - first);
    const int64_t plane_elements = channels * width;
    void* sums = At(call.workspace, item_sums_offsets_[worker]);
    for (int64_t plane = 0; plane < shape().planes(); ++plane) {
      Multiply(tiles, plane, panel, panels_.first_channel(panel), first, channels,
               /*accumulate=*/false, {nullptr, 0}, At(sums, plane * plane_elements, acc_bytes_));
    }
    for (int64_t c = 0; c < channels; c += kFinishChannels) {
      Finish(call, panel, first + c, std::min(kFinishChannels, channels - c),
             At(sums, c * width, acc_bytes_), plane_elements,
             At(call.workspace, scratch_offsets_[worker]));
    }
  });
}

void WinogradBackwardFilter::Multiply(const Tiles& tiles, int64_t plane, int64_t panel,
                                      int64_t first_out, int64_t first_channel, int64_t channels,
                                      bool accumulate, const ReadAhead::Piece& ahead,
                                      void* sums) const {
  kernels_.tile_products(
      {At(tiles.data, plane * data_.plane_stride() + first_channel, acc_bytes_),
       data_.tile_stride(),
       At(tiles.gradients, plane * gradients_.plane_stride() + first_out, acc_bytes_),
       gradients_.tile_stride(), tiles.count, channels, panels_.vectors(panel), sums, accumulate,
       ahead.begin, ahead.lines});
}

// Adds up the slots' sums in order.
void WinogradBackwardFilter::FinishSlots(const Call& call, int64_t panel, int64_t first_channel,
                                         void* taps) const {
  const int64_t width = panels_.width(panel);
  const int64_t channels = std::min(kFinishChannels, conv_.in_channels - first_channel);
  const auto sums = [&](int64_t slot, int64_t plane) {
    return At(Sums(call, slot, plane, panel), first_channel * width, acc_bytes_);
  };
  if (cut_.slots > 1) {
    for (int64_t plane = 0; plane < shape().planes(); ++plane) {
      kernels_.add_rows({sums(1, plane), shape().planes() * plane_elements(), sums(0, plane),
                         cut_.slots - 1, channels * width});
    }
  }
  Finish(call, panel, first_channel, channels, sums(0, 0), plane_elements(), taps);
}

// Transforms the sums of some input channels and writes them.
void WinogradBackwardFilter::Finish(const Call& call, int64_t panel, int64_t first_channel,
                                    int64_t channels, const void* sums, int64_t plane_stride,
                                    void* taps) const {
  const int64_t width = panels_.width(panel), elements = channels * width;
  tiles_.kernels().filter_output({sums, plane_stride, taps, elements, elements});
  for (int64_t r = 0; r < shape().taps; ++r) {
    for (int64_t s = 0; s < shape().taps; ++s) {
      const int64_t offset =
          FilterOffset(conv_, {r, s, 0, 0}, 0, first_channel, panels_.first_channel(panel));
      kernels_.store_rows({At(taps, (r * shape().taps + s) * elements, acc_bytes_), width,
                           At(call.args.dfilter, offset, element_bytes_), conv_.out_channels,
                           channels, panels_.channels(panel)});
    }
  }
}

void WinogradBackwardFilter::FinishBias(const Call& call) const {
  const int64_t padded_channels = panels_.padded_channels();
  if (cut_.bias_slots > 1) {
    kernels_.add_rows({BiasSums(call, 1), padded_channels, BiasSums(call, 0), cut_.bias_slots - 1,
                       padded_channels});
  }
  kernels_.store_rows({BiasSums(call, 0), padded_channels, call.args.dbias, conv_.out_channels, 1,
                       conv_.out_channels});
}

}  // namespace

std::unique_ptr<Conv2DPlan> MakeWinogradBackwardFilter(const char* name, const Kernels& kernels,
                                                       const FusedConv2DProblem& problem,
                                                       int num_threads) {
  return std::make_unique<WinogradBackwardFilter>(name, kernels, problem, num_threads);
}

}  // namespace fastconv::cpu
