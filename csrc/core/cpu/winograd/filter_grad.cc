// Winograd's filter gradient, F(r x r, m x m): one matrix product per point of the tiles, over
// tiles of m x m output gradients and the inputs under them; one inverse transform at the end.
#include <algorithm>
#include <cstring>
#include <vector>

#include "core/cpu/conv2d/geometry.h"
#include "core/cpu/conv2d/operands.h"
#include "core/cpu/epilogue.h"
#include "core/cpu/winograd/read_ahead.h"
#include "core/cpu/winograd/tiles.h"
#include "core/cpu/winograd/winograd.h"
#include "core/cpu/workspace.h"

namespace fastconv::cpu {
namespace {

// Every thread has a slot for sums of up to kOwnSumsBytes, as far as kMaxSumsBytes go round, and
// several, so that one that is late leaves some to others, up to kSlotsBytes.
constexpr int64_t kOwnSumsBytes = 9 << 19;
constexpr int64_t kMaxSumsBytes = 32 << 20;
constexpr int64_t kSlotsBytes = 4 << 20;
constexpr int64_t kMaxSlotsPerThread = 4;
constexpr int64_t kRangeBytes = 9 << 20;       // of the sums of one range of panels
constexpr int64_t kMaxRanges = 4;              // every range transforms the inputs again
constexpr int64_t kOwnTilesBytes = 384 << 10;  // of the transformed tiles of a thread's unit
constexpr int64_t kMinOwnTiles = 28, kMaxOwnTiles = 64;
constexpr int64_t kSharedTilesBytes = 24 << 20;
constexpr int64_t kSharedParts = 32;           // of a shared unit's transforms
constexpr int64_t kItemSumsBytes = 512 << 10;  // of a single unit's items
constexpr int64_t kFinishChannels = 16;        // input channels transformed back at a time
// Units whose sums are added one after the other. Groups of them are added apart from each other:
// a further level of sums, for rounding errors that do not grow with the batch.
constexpr int64_t kUnitsPerGroup = 16;

// Rows of tiles, counted over all images.
struct TileRows {
  int64_t first, count;

  // The `index`-th of `parts` nearly equal parts.
  TileRows Part(int64_t index, int64_t parts) const {
    const int64_t begin = count * index / parts;
    return {first + begin, count * (index + 1) / parts - begin};
  }
};

struct PanelRange {
  int64_t first, end;
};

// The sum over all tiles is cut into units, whose transformed tiles stay in a cache. Small filters:
// every slot of consecutive units has sums of its own and is done by one thread. Large filters:
// there is one set of sums, and all threads share every unit, first its transforms, then its
// products. Either way every sum is taken in a fixed order.
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

  const TileShape& shape() const { return winograd_.shape; }
  int64_t plane_elements() const { return conv_.in_channels * panels_.padded_channels(); }
  int64_t units(const TileRows& rows) const {
    return (rows.count + rows_per_unit_ - 1) / rows_per_unit_;
  }
  // Sums of the first group of units, and of a slot's end, are in [0, slots), those of a later
  // group, until they are added, in [slots, 2 * slots).
  int64_t SumsSlot(int64_t slot, int64_t unit) const {
    return unit < kUnitsPerGroup ? slot : slots_ + slot;
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
            rows.count * grid_.tile_cols};
  }

  void CutUnits();
  void SumSlot(const Call& call, int64_t slot, const PanelRange& range, int worker) const;
  void TransformShared(const Call& call, const TileRows& unit) const;
  void SumShared(const Call& call) const;
  void SumSingleUnit(const Call& call) const;
  // Whether a later group than the first ends with this unit.
  static bool EndsGroup(int64_t unit, int64_t num_units) {
    return unit >= kUnitsPerGroup && (unit + 1 == num_units || (unit + 1) % kUnitsPerGroup == 0);
  }
  void AddGroup(const Call& call, int64_t slot, int64_t plane, const PanelRange& range) const {
    kernels_.add_rows({Sums(call, slots_ + slot, plane, range.first), 0,
                       Sums(call, slot, plane, range.first), 1, conv_.in_channels * width(range)});
  }
  void TransformInputs(const Call& call, const TileRows& rows, void* planes) const;
  void TransformGradients(const Call& call, const TileRows& rows, const PanelRange& range,
                          void* bias_sums, void* dz, void* planes) const;
  ReadAhead InputsAndGradients(const Call& call, const TileRows& rows) const;
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
  const Epilogue epilogue_;
  const DropoutStage dropout_;
  const int num_threads_;
  const int64_t element_bytes_, acc_bytes_;
  const WinogradKernels& winograd_;
  const TileGrid grid_;
  const Panels panels_;
  const int64_t image_tile_rows_;
  const TileRows all_rows_;
  bool shared_ = false;
  bool single_unit_ = false;   // of a shared sum: sums of few channels at a time
  int64_t ranges_ = 1;         // of panels, each with sums of its own
  int64_t item_channels_ = 0;  // of a single unit's item
  bool grouped_ = false;       // several groups of units: every slot has sums for two
  int64_t rows_per_unit_ = 1;
  int64_t slots_ = 1;
  int64_t bias_slots_ = 1;
  TilePlanes data_, gradients_;  // of a unit
  WorkspaceLayout layout_;
  size_t zeros_offset_ = 0, sums_offset_ = 0, bias_sums_offset_ = 0;
  std::vector<size_t> data_offsets_, gradients_offsets_;     // of each worker, or of all together
  std::vector<size_t> scratch_offsets_, item_sums_offsets_;  // per worker
};

// The shape with the fewest multiplications. Larger ones round more, which many tiles' sums make
// worse, and transform more per multiplication: they have to gain something.
const WinogradKernels& KernelsFor(const Kernels& kernels, const Conv2DProblem& conv) {
  constexpr double kGain = 1.05;
  constexpr int64_t kMaxTilesOf8Points = 1024;  // 3x3: the error stays below 3e-6
  const Window2D& window = conv.window;
  const WinogradKernels* best = nullptr;
  double least = 0;
  for (int i = 0; i < kNumGradientTileShapes; ++i) {
    const TileShape& shape = kTileShapes[i];
    const int64_t tiles =
        conv.batch * TilesAlong(window.h.out, shape) * TilesAlong(window.w.out, shape);
    if (shape.taps != window.h.window) continue;
    const bool padded = std::min(window.h.in, window.w.in) < shape.points - 2;
    if (best != nullptr && padded) continue;
    if (shape.points == 8 && shape.taps == 3 && tiles > kMaxTilesOf8Points) continue;
    const double products = static_cast<double>(tiles * shape.planes());
    if (best != nullptr && products * kGain >= least) continue;
    best = &kernels.winograd[i];
    least = products;
  }
  return *best;
}

WinogradBackwardFilter::WinogradBackwardFilter(const char* name, const Kernels& kernels,
                                               const FusedConv2DProblem& problem, int num_threads)
    : name_(name),
      kernels_(kernels),
      conv_(problem.conv),
      epilogue_(problem.epilogue),
      dropout_(kernels, epilogue_, conv_.window.h.out, conv_.window.w.out, conv_.out_channels),
      num_threads_(num_threads),
      element_bytes_(SizeOf(conv_.dtype)),
      acc_bytes_(SizeOf(AccumulationType(conv_.dtype))),
      winograd_(KernelsFor(kernels, conv_)),
      grid_(TileGrid::Of(winograd_.shape, ForwardTaps(conv_.window))),
      panels_(conv_.out_channels, kernels.lanes),
      image_tile_rows_(TilesAlong(conv_.window.h.out, winograd_.shape)),
      all_rows_{0, conv_.batch * image_tile_rows_} {
  CutUnits();
  const int64_t padded_channels = panels_.padded_channels();
  data_ = TilePlanes(shape(), rows_per_unit_ * grid_.tile_cols, conv_.in_channels);
  const int64_t range_panels = (panels_.count() + ranges_ - 1) / ranges_;
  const int64_t range_width = std::min(range_panels * panels_.width(0), padded_channels);
  gradients_ = TilePlanes(shape(), rows_per_unit_ * grid_.tile_cols, range_width);
  zeros_offset_ = layout_.Add(std::max(conv_.in_channels, padded_channels) * acc_bytes_);
  if (!single_unit_) {
    sums_offset_ =
        layout_.Add((grouped_ ? 2 : 1) * slots_ * shape().planes() * plane_elements() * acc_bytes_);
  }
  bias_sums_offset_ = layout_.Add(bias_slots_ * padded_channels * acc_bytes_);
  for (int worker = 0; worker < num_threads_; ++worker) {
    if (!shared_ || worker == 0) {
      data_offsets_.push_back(layout_.Add(data_.elements() * acc_bytes_));
      gradients_offsets_.push_back(layout_.Add(gradients_.elements() * acc_bytes_));
    }
    // Rows of gradients and, when those are done, taps of the filter's gradient.
    const int64_t dz = shape().outputs() * conv_.window.w.out * range_width;
    const int64_t taps = shape().taps * shape().taps * kFinishChannels * panels_.width(0);
    scratch_offsets_.push_back(layout_.Add(std::max(dz, taps) * acc_bytes_));
    if (single_unit_) {
      item_sums_offsets_.push_back(
          layout_.Add(shape().planes() * item_channels_ * panels_.width(0) * acc_bytes_));
    }
  }
}

void WinogradBackwardFilter::CutUnits() {
  const int64_t channel_bytes = shape().planes() * acc_bytes_;
  const int64_t sums_bytes = channel_bytes * plane_elements();
  const int64_t unit_limit = std::max<int64_t>(all_rows_.count, 1);
  ranges_ = (sums_bytes + kRangeBytes - 1) / kRangeBytes;
  shared_ = ranges_ > kMaxRanges && all_rows_.count > 0;
  int64_t tiles = 0;
  if (shared_) {
    ranges_ = 1;
    bias_slots_ = kSharedParts;
    tiles = kSharedTilesBytes / (channel_bytes * (conv_.in_channels + panels_.padded_channels()));
  } else {
    slots_ = std::min(kSlotsBytes / sums_bytes, kMaxSlotsPerThread * num_threads_);
    if (sums_bytes <= kOwnSumsBytes) {
      slots_ = std::max(slots_, std::min<int64_t>(kMaxSumsBytes / sums_bytes, num_threads_));
    }
    if (slots_ > num_threads_) slots_ -= slots_ % num_threads_;
    slots_ = std::max<int64_t>(slots_, 1);
    slots_ = std::min(slots_, unit_limit);
    ranges_ = std::min(std::max(ranges_, (num_threads_ + slots_ - 1) / slots_), panels_.count());
    bias_slots_ = slots_;
    const int64_t range_channels = panels_.padded_channels() / ranges_;
    tiles = std::clamp(kOwnTilesBytes / (channel_bytes * (conv_.in_channels + range_channels)),
                       kMinOwnTiles, kMaxOwnTiles);
  }
  const int64_t slot_rows = (unit_limit + slots_ - 1) / slots_;
  const int64_t rows = std::clamp<int64_t>(tiles / grid_.tile_cols, 1, slot_rows);
  const int64_t slot_units = (slot_rows + rows - 1) / rows;
  rows_per_unit_ = (slot_rows + slot_units - 1) / slot_units;
  grouped_ = slot_units > kUnitsPerGroup;
  single_unit_ = shared_ && slot_units == 1;
  item_channels_ =
      std::min(std::max(kItemSumsBytes / (channel_bytes * panels_.width(0)), kFinishChannels),
               conv_.in_channels);
}

Status WinogradBackwardFilter::Execute(const Conv2DArgs& args, void* workspace,
                                       ThreadPool* pool) const {
  const Call call{args, workspace, pool};
  std::memset(At(workspace, zeros_offset_), 0,
              std::max(conv_.in_channels, panels_.padded_channels()) * acc_bytes_);
  std::memset(BiasSums(call, 0), 0, bias_slots_ * panels_.padded_channels() * acc_bytes_);
  if (single_unit_) {
    SumSingleUnit(call);
  } else {
    if (shared_) {
      SumShared(call);
    } else {
      ParallelFor(pool, num_threads_, slots_ * ranges_, [&](int64_t item, int worker) {
        SumSlot(call, item % slots_, RangeOf(item / slots_, ranges_), worker);
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
  const TileRows rows = all_rows_.Part(slot, slots_);
  if (rows.count == 0) {  // an empty batch
    for (int64_t plane = 0; plane < planes; ++plane) {
      std::memset(Sums(call, slot, plane, range.first), 0,
                  conv_.in_channels * width(range) * acc_bytes_);
    }
    return;
  }
  const int64_t first_channel = panels_.first_channel(range.first);
  void* bias_sums = At(BiasSums(call, slot), first_channel, acc_bytes_);
  const int64_t num_units = units(rows);
  for (int64_t u = 0; u < num_units; ++u) {
    const TileRows unit = rows.Part(u, num_units);
    const Tiles tiles = TilesOf(call, unit, worker);
    TransformInputs(call, unit, tiles.data);
    TransformGradients(call, unit, range, bias_sums, At(call.workspace, scratch_offsets_[worker]),
                       tiles.gradients);
    ReadAhead ahead;
    if (u + 1 < num_units) {
      ahead = InputsAndGradients(call, rows.Part(u + 1, num_units));
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
  ParallelFor(call.pool, num_threads_, 2 * kSharedParts, [&](int64_t item, int worker) {
    const int64_t part = item / 2;
    const TileRows rows = unit.Part(part, kSharedParts);
    const int64_t tile = (rows.first - unit.first) * grid_.tile_cols;
    if (item % 2 == 0) {
      TransformInputs(call, rows, At(tiles.data, tile * data_.tile_stride(), acc_bytes_));
    } else {
      TransformGradients(call, rows, {0, panels_.count()}, BiasSums(call, part),
                         At(call.workspace, scratch_offsets_[worker]),
                         At(tiles.gradients, tile * gradients_.tile_stride(), acc_bytes_));
    }
  });
}

void WinogradBackwardFilter::SumShared(const Call& call) const {
  constexpr int64_t kItemsPerThread = 8;
  const int64_t planes = shape().planes();
  const int64_t ranges = std::clamp<int64_t>((kItemsPerThread * num_threads_ + planes - 1) / planes,
                                             1, panels_.count());
  const int64_t num_units = units(all_rows_);
  for (int64_t u = 0; u < num_units; ++u) {
    const TileRows unit = all_rows_.Part(u, num_units);
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
  TransformShared(call, all_rows_);
  const Tiles tiles = TilesOf(call, all_rows_, 0);
  const int64_t chunks = (conv_.in_channels + item_channels_ - 1) / item_channels_;
  ParallelFor(call.pool, num_threads_, panels_.count() * chunks, [&](int64_t item, int worker) {
    const int64_t panel = item / chunks, width = panels_.width(panel);
    const int64_t first = item % chunks * item_channels_;
    const int64_t channels = std::min(item_channels_, conv_.in_channels - first);
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

void WinogradBackwardFilter::TransformInputs(const Call& call, const TileRows& rows,
                                             void* planes) const {
  const WindowAxis& h = conv_.window.h;
  const WindowAxis& w = conv_.window.w;
  const int64_t row_elements = w.in * conv_.in_channels;
  for (int64_t i = 0; i < rows.count; ++i) {
    const int64_t image = (rows.first + i) / image_tile_rows_;
    const int64_t row = (rows.first + i) % image_tile_rows_ * shape().outputs();
    const MapRows map{At(call.args.x, image * h.in * row_elements, element_bytes_), 0, row_elements,
                      conv_.in_channels, /*in_tensor=*/true};
    TransformData(kernels_, winograd_, grid_, map, row, 1, conv_.in_channels,
                  At(call.workspace, zeros_offset_), data_,
                  At(planes, i * grid_.tile_cols * data_.tile_stride(), acc_bytes_));
  }
}

void WinogradBackwardFilter::TransformGradients(const Call& call, const TileRows& rows,
                                                const PanelRange& range, void* bias_sums, void* dz,
                                                void* planes) const {
  const WindowAxis& h = conv_.window.h;
  const WindowAxis& w = conv_.window.w;
  const bool in_tensor = epilogue_.activation == Activation::kLinear && !epilogue_.pool.enabled &&
                         epilogue_.dropout.kind == DropoutKind::kNone && call.args.dbias == nullptr;
  const int64_t outputs = shape().outputs(), padded_channels = width(range);
  const int64_t first_channel = panels_.first_channel(range.first);
  const int64_t channels = std::min(padded_channels, conv_.out_channels - first_channel);
  const int64_t pixel_stride = in_tensor ? conv_.out_channels : padded_channels;
  const int64_t row_stride = w.out * pixel_stride;
  for (int64_t i = 0; i < rows.count; ++i) {
    const int64_t image = (rows.first + i) / image_tile_rows_;
    const int64_t row = (rows.first + i) % image_tile_rows_ * outputs;
    const Band band{row, std::min(outputs, h.out - row)};
    const void* source = dz;
    if (in_tensor) {
      const int64_t offset = (image * h.out + row) * row_stride + first_channel;
      source = At(call.args.dy, offset, element_bytes_);
    } else {
      LoadGradientRows(kernels_, conv_, epilogue_, dropout_, call.args, image, first_channel,
                       channels, padded_channels, band, dz, row_stride);
      if (call.args.dbias != nullptr) {
        kernels_.add_rows({dz, padded_channels, bias_sums, band.rows * w.out, padded_channels});
      }
    }
    const void* dz_rows[kMaxTilePoints] = {};
    for (int64_t r = 0; r < band.rows; ++r) {
      dz_rows[r] = At(source, r * row_stride, in_tensor ? element_bytes_ : acc_bytes_);
    }
    const auto transform = in_tensor ? winograd_.gradient_from_tensor : winograd_.gradient_from_acc;
    transform({dz_rows, 0, w.out, pixel_stride, channels, At(call.workspace, zeros_offset_),
               At(planes, i * grid_.tile_cols * gradients_.tile_stride(), acc_bytes_),
               gradients_.tile_stride(), gradients_.plane_stride(), grid_.tile_cols, outputs});
  }
}

// What the transforms of some rows of tiles will read.
ReadAhead WinogradBackwardFilter::InputsAndGradients(const Call& call, const TileRows& rows) const {
  const auto add = [&](ReadAhead* ahead, const void* tensor, int64_t map_rows, int64_t row_bytes,
                       int64_t first_row, int64_t end_row, int64_t step) {
    const auto row_of = [&](int64_t tile_row, int64_t offset) {
      const int64_t row = tile_row % image_tile_rows_ * step + offset;
      return tile_row / image_tile_rows_ * map_rows + std::clamp<int64_t>(row, 0, map_rows);
    };
    const int64_t begin = row_of(rows.first, first_row);
    const int64_t end = row_of(rows.first + rows.count - 1, end_row);
    ahead->Add(At(tensor, begin, row_bytes), (end - begin) * row_bytes);
  };
  ReadAhead ahead;
  const WindowAxis& h = conv_.window.h;
  const WindowAxis& w = conv_.window.w;
  const int64_t outputs = shape().outputs();
  add(&ahead, call.args.x, h.in, w.in * conv_.in_channels * element_bytes_, grid_.first_row,
      grid_.first_row + shape().points, outputs);
  const int64_t dy_pixel = conv_.out_channels * element_bytes_;
  // Several ranges together would ask for the gradients' rows several times.
  if (ranges_ <= 2 && !epilogue_.pool.enabled) {
    add(&ahead, call.args.dy, h.out, w.out * dy_pixel, 0, outputs, outputs);
    if (epilogue_.activation != Activation::kLinear) {
      add(&ahead, call.args.y, h.out, w.out * dy_pixel, 0, outputs, outputs);
    }
  }
  return ahead;
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
  if (slots_ > 1) {
    for (int64_t plane = 0; plane < shape().planes(); ++plane) {
      kernels_.add_rows({sums(1, plane), shape().planes() * plane_elements(), sums(0, plane),
                         slots_ - 1, channels * width});
    }
  }
  Finish(call, panel, first_channel, channels, sums(0, 0), plane_elements(), taps);
}

// Transforms the sums of some input channels and writes them.
void WinogradBackwardFilter::Finish(const Call& call, int64_t panel, int64_t first_channel,
                                    int64_t channels, const void* sums, int64_t plane_stride,
                                    void* taps) const {
  const int64_t width = panels_.width(panel), elements = channels * width;
  winograd_.filter_output({sums, plane_stride, taps, elements, elements});
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
  if (bias_slots_ > 1) {
    kernels_.add_rows(
        {BiasSums(call, 1), padded_channels, BiasSums(call, 0), bias_slots_ - 1, padded_channels});
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
