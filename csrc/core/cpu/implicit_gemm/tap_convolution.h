// The driver that forward and input gradient share: packs bands of the input into slabs, multiplies
// them with packed filter panels, hands the sums to the caller's last stage.
#ifndef FASTCONV_CORE_CPU_IMPLICIT_GEMM_TAP_CONVOLUTION_H_
#define FASTCONV_CORE_CPU_IMPLICIT_GEMM_TAP_CONVOLUTION_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "core/cpu/epilogue.h"
#include "core/cpu/implicit_gemm/geometry.h"
#include "core/cpu/implicit_gemm/slab.h"
#include "core/cpu/kernels/kernels.h"
#include "core/cpu/workspace.h"
#include "core/thread_pool.h"

namespace fastconv::cpu {

class TapConvolutionDriver {
 public:
  // `in_channels` and `out_channels` are one group's. `split(phase, rows_per_band)` cuts a phase's
  // rows into bands; it is asked once, with a number that suits the caches and the threads.
  using Split = std::function<std::vector<Band>(const Phase& phase, int64_t rows_per_band)>;
  TapConvolutionDriver(const Kernels& kernels, TapConvolution convolution, int64_t batch,
                       int64_t groups, int64_t in_channels, int64_t out_channels, int num_threads,
                       const Split& split);

  size_t workspace_bytes() const { return layout_.bytes(); }
  const Panels& panels() const { return panels_; }
  const std::vector<Phase>& phases() const { return convolution_.phases; }
  // Bands of a phase in each image.
  const std::vector<Band>& bands(int64_t phase) const { return parts_[phase].bands; }

  // One tap's filter panel: panel[0, depth)[0, width) for input channels [first_in, first_in +
  // depth).
  struct PanelRequest {
    const Tap* tap;
    int64_t group, first_in, depth;
    int64_t first_out, channels, width;
    void* panel;
  };
  // One row of the input channels [first_channel, first_channel + channels) of a group.
  struct RowRequest {
    int64_t image, group;
    int64_t first_channel, channels;
    Slab::Row row;
  };
  // Sums of one band (the band_index-th of the image) and panel: acc [rows][cols][width].
  struct SumsRequest {
    const Phase* phase;
    int64_t image, group;
    int64_t band_index;
    Band band;
    int64_t first_out, channels, width;
    void* acc;
  };
  struct Callbacks {
    std::function<void(const PanelRequest&)> load_panel;
    std::function<void(const RowRequest&)> load_row;
    std::function<void(const SumsRequest&)> consume_sums;
  };
  void Run(const Callbacks& callbacks, void* workspace, ThreadPool* pool) const;

 private:
  struct Chunk {
    int64_t first_channel;
    int64_t panel_depth_offset;  // elements of the reduction before this chunk
    Slab slab;
    std::vector<std::vector<fastconv::cpu::Run>> runs;
  };
  struct Part {  // of one phase
    std::vector<Chunk> chunks;
    std::vector<Band> bands;
    int64_t depth;           // elements of the reduction
    int64_t panel_elements;  // of all groups
    size_t panels_offset;
  };

  int64_t Items(int64_t phase) const { return groups_ * batch_ * parts_[phase].bands.size(); }
  void LoadPanels(const Callbacks& callbacks, void* workspace, ThreadPool* pool) const;
  void RunItem(const Callbacks& callbacks, int64_t item, int worker, void* workspace) const;
  void* Panel(const Part& part, int64_t group, int64_t panel, void* workspace) const;

  const Kernels& kernels_;
  TapConvolution convolution_;
  int64_t batch_, groups_;
  Panels panels_;
  int num_threads_;
  int64_t acc_bytes_;  // of one accumulator element
  std::vector<Part> parts_;
  WorkspaceLayout layout_;
  std::vector<size_t> slab_offsets_, sums_offsets_;  // per worker
  int64_t sums_panel_stride_ = 0;  // elements between panels' sums; 0: one buffer for all
};

}  // namespace fastconv::cpu

#endif  // FASTCONV_CORE_CPU_IMPLICIT_GEMM_TAP_CONVOLUTION_H_
