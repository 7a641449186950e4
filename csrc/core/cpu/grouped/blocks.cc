#include "core/cpu/grouped/blocks.h"

#include <algorithm>

#include "core/cpu/workspace.h"

namespace fastconv::cpu {

GroupedBlock::GroupedBlock(const TapConvolution& convolution, const Phase& phase,
                           const GroupedChannels& channels, const Panels& panels,
                           int64_t first_panel, int64_t end_panel)
    : channels_(channels),
      first_panel_(first_panel),
      end_panel_(end_panel),
      first_out_(panels.first_channel(first_panel)),
      out_channels_(panels.first_channel(end_panel - 1) + panels.channels(end_panel - 1) -
                    first_out_),
      width_(panels.first_channel(end_panel - 1) + panels.width(end_panel - 1) - first_out_),
      first_in_(first_out_ / channels.out * channels.in),
      in_channels_(((first_out_ + out_channels_ - 1) / channels.out + 1) * channels.in - first_in_),
      slab_(convolution, phase, channels.depthwise() ? out_channels_ : channels.in * width_) {
  for (const std::vector<Run>& tap : slab_.Runs(slab_.channels())) {
    for (int64_t i = 0; i < channels_.in; ++i) {
      elements_.push_back({tap.front().offset + i * width_, width_, tap.front().row});
    }
  }
}

int64_t GroupedBlock::slab_elements(int64_t output_rows, int64_t lanes) const {
  return slab_.elements(output_rows) + lanes;  // a last vector of depthwise channels
}

int64_t GroupedBlock::row_elements(int64_t cols, int64_t lanes) const {
  return channels_.depthwise() ? 0 : cols * in_channels_ + 2 * lanes;
}

void GroupedBlock::FillSlab(const Kernels& kernels, const Band& band, void* slab, void* row,
                            const LoadRow& load_row) const {
  const int64_t acc_bytes = SizeOf(AccumulationType(kernels.dtype));
  slab_.Fill(band, acc_bytes, slab, [&](const Slab::Row& to) {
    if (channels_.depthwise()) return load_row(first_in_, in_channels_, to);
    load_row(first_in_, in_channels_, {to.row, to.first_col, to.cols, to.col_step, row});
    kernels.spread_groups({row, in_channels_, to.dst, to.cols, channels_.in, channels_.out,
                           first_out_, out_channels_, width_});
  });
}

std::vector<GroupedBlock> GroupedBlocks(const TapConvolution& convolution, const Phase& phase,
                                        const GroupedChannels& channels, const Panels& panels,
                                        int64_t panels_per_block) {
  std::vector<GroupedBlock> blocks;
  for (int64_t first = 0; first < panels.count(); first += panels_per_block) {
    blocks.emplace_back(convolution, phase, channels, panels, first,
                        std::min(first + panels_per_block, panels.count()));
  }
  return blocks;
}

int64_t PanelsPerBlock(const GroupedChannels& channels, const Panels& panels) {
  constexpr int64_t kSlabPixelElements = 256;
  return std::clamp<int64_t>(kSlabPixelElements / (channels.in * panels.width(0)), 1,
                             panels.count());
}

}  // namespace fastconv::cpu
