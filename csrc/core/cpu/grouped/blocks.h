// What the grouped algorithms share: blocks of panels that cross groups, and their slabs.
#ifndef FASTCONV_CORE_CPU_GROUPED_BLOCKS_H_
#define FASTCONV_CORE_CPU_GROUPED_BLOCKS_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "core/cpu/conv2d/geometry.h"
#include "core/cpu/conv2d/slab.h"
#include "core/cpu/epilogue.h"
#include "core/cpu/kernels/kernels.h"

namespace fastconv::cpu {

// Channels of a convolution whose vectors' lanes are output channels of all groups, in order.
struct GroupedChannels {
  int64_t groups;
  int64_t in, out;  // of one group

  // Each output channel has one input channel, its own: slabs hold them as tensors do.
  bool depthwise() const { return in == 1 && out == 1; }
};

// Some neighbouring panels of output channels and the input channels that they meet. A slab pixel
// holds, for each of a group's input channels, one element per output channel: [in][width], which
// is padded to whole vectors (depthwise: the channels alone).
class GroupedBlock {
 public:
  GroupedBlock(const TapConvolution& convolution, const Phase& phase,
               const GroupedChannels& channels, const Panels& panels, int64_t first_panel,
               int64_t end_panel);

  int64_t first_panel() const { return first_panel_; }
  int64_t end_panel() const { return end_panel_; }
  const Slab& slab() const { return slab_; }
  // Offsets of what a vector of outputs is multiplied with: by tap, by input channel of a group.
  const std::vector<Run>& elements() const { return elements_; }
  // Of a panel's first vector, in a slab pixel.
  int64_t panel_offset(int64_t panel, const Panels& panels) const {
    return panels.first_channel(panel) - first_out_;
  }
  // Room for a band's inputs, and for one row of them on the way there.
  int64_t slab_elements(int64_t output_rows, int64_t lanes) const;
  int64_t row_elements(int64_t cols, int64_t lanes) const;

  using LoadRow = std::function<void(int64_t first_channel, int64_t channels, const Slab::Row&)>;
  void FillSlab(const Kernels& kernels, const Band& band, void* slab, void* row,
                const LoadRow& load_row) const;

 private:
  GroupedChannels channels_;
  int64_t first_panel_, end_panel_;
  int64_t first_out_, out_channels_, width_;
  int64_t first_in_, in_channels_;
  Slab slab_;
  std::vector<Run> elements_;
};

// All panels in blocks of equal numbers of panels, the last one's excepted.
std::vector<GroupedBlock> GroupedBlocks(const TapConvolution& convolution, const Phase& phase,
                                        const GroupedChannels& channels, const Panels& panels,
                                        int64_t panels_per_block);

// So many that a slab's pixel is neither long nor, in the tensor, only a piece of a cache line.
int64_t PanelsPerBlock(const GroupedChannels& channels, const Panels& panels);

}  // namespace fastconv::cpu

#endif  // FASTCONV_CORE_CPU_GROUPED_BLOCKS_H_
