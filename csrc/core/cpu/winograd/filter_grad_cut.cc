#include "core/cpu/winograd/filter_grad_cut.h"

#include <algorithm>

#include "core/cpu/winograd/tiles.h"

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

}  // namespace

// The shape with the fewest multiplications. Larger ones round more, which many tiles' sums make
// worse, and transform more per multiplication: they have to gain something.
int ChooseGradientTileShape(const Conv2DProblem& conv) {
  constexpr double kGain = 1.05;
  constexpr int64_t kMaxTilesOf8Points = 1024;  // 3x3: the error stays below 3e-6
  const Window2D& window = conv.window;
  int best = -1;
  double least = 0;
  for (int i = 0; i < kNumTileShapes; ++i) {
    const TileShape& shape = kTileShapes[i];
    const int64_t tiles =
        conv.batch * TilesAlong(window.h.out, shape) * TilesAlong(window.w.out, shape);
    if (shape.taps != window.h.window) continue;
    const bool padded = std::min(window.h.in, window.w.in) < shape.points - 2;
    if (best >= 0 && padded) continue;
    if (shape.points == 8 && shape.taps == 3 && tiles > kMaxTilesOf8Points) continue;
    const double products = static_cast<double>(tiles * shape.planes());
    if (best >= 0 && products * kGain >= least) continue;
    best = i;
    least = products;
  }
  return best;
}

GradientCut GradientCut::Of(const Conv2DProblem& conv, const TileShape& shape, const Panels& panels,
                            int64_t tile_rows, int64_t tile_cols, int num_threads,
                            int64_t acc_bytes) {
  GradientCut cut;
  const int64_t channel_bytes = shape.planes() * acc_bytes;
  const int64_t sums_bytes = channel_bytes * conv.in_channels * panels.padded_channels();
  const int64_t unit_limit = std::max<int64_t>(tile_rows, 1);
  cut.ranges = (sums_bytes + kRangeBytes - 1) / kRangeBytes;
  cut.shared = cut.ranges > kMaxRanges && tile_rows > 0;
  int64_t tiles = 0;
  if (cut.shared) {
    cut.ranges = 1;
    cut.bias_slots = kSharedParts;
    tiles = kSharedTilesBytes / (channel_bytes * (conv.in_channels + panels.padded_channels()));
  } else {
    cut.slots = std::min(kSlotsBytes / sums_bytes, kMaxSlotsPerThread * num_threads);
    if (sums_bytes <= kOwnSumsBytes) {
      cut.slots = std::max(cut.slots, std::min<int64_t>(kMaxSumsBytes / sums_bytes, num_threads));
    }
    if (cut.slots > num_threads) cut.slots -= cut.slots % num_threads;
    cut.slots = std::max<int64_t>(cut.slots, 1);
    cut.slots = std::min(cut.slots, unit_limit);
    cut.ranges =
        std::min(std::max(cut.ranges, (num_threads + cut.slots - 1) / cut.slots), panels.count());
    cut.bias_slots = cut.slots;
    const int64_t range_channels = panels.padded_channels() / cut.ranges;
    tiles = std::clamp(kOwnTilesBytes / (channel_bytes * (conv.in_channels + range_channels)),
                       kMinOwnTiles, kMaxOwnTiles);
  }
  const int64_t slot_rows = (unit_limit + cut.slots - 1) / cut.slots;
  const int64_t rows = std::clamp<int64_t>(tiles / tile_cols, 1, slot_rows);
  const int64_t slot_units = (slot_rows + rows - 1) / rows;
  cut.rows_per_unit = (slot_rows + slot_units - 1) / slot_units;
  cut.grouped = slot_units > kUnitsPerGroup;
  cut.single_unit = cut.shared && slot_units == 1;
  cut.item_channels =
      std::min(std::max(kItemSumsBytes / (channel_bytes * panels.width(0)), kFinishChannels),
               conv.in_channels);
  return cut;
}

}  // namespace fastconv::cpu
