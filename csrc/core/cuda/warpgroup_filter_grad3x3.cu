#include <algorithm>
#include <type_traits>

#include "core/cuda/kernels/channel_sums.h"
#include "core/cuda/kernels/warpgroup_filter_grad3x3.h"
#include "core/cuda/launch.h"
#include "core/cuda/unit_rows.h"
#include "core/cuda/warpgroup_conv3x3.h"

namespace fastconv::cuda {
namespace {

constexpr int kUnits = 64;

// Units of a pixel of so many channels.
int PixelsPerUnit(int channels) { return kUnits / channels; }

StripCut CutIntoStrips(int images, int out_height, int out_width, int channels, int* box_units) {
  const int units = CeilDiv(out_width, PixelsPerUnit(channels));
  *box_units = units <= 16 ? 16 : units <= 32 ? 32 : kUnits;
  const int side_by_side = kUnits / *box_units, strips = CeilDiv(units, kUnits);
  return {out_height, strips, side_by_side, CeilDiv(images, side_by_side) * strips * out_height};
}

int Blocks(const StripCut& cut) { return std::min(Multiprocessors(), cut.total_rows); }

template <class T, int kChannels, int kShifts, Folded kFolded>
Status LaunchVariant(DataType dtype, int images, const FilterGrad3x3Args& conv, void* dfilter,
                     void* dbias, Stream stream) {
  using Kernel = WarpgroupFilterGrad3x3<T, kChannels, kShifts, kFolded>;
  static_assert(Kernel::kUnits == kUnits, "one size of strips");
  WarpgroupFilterGrad3x3Args args = {};
  args.cut = CutIntoStrips(images, conv.out_height, conv.out_width, kChannels, &args.box_units);
  const int blocks = Blocks(args.cut);
  if (blocks > 0) {
    const int box_images = args.cut.box_images;
    FASTCONV_RETURN_IF_ERROR(EncodeRows({dtype, conv.x, images, conv.height, conv.width, kChannels,
                                         args.box_units + kShifts - 1, box_images},
                                        &args.x));
    FASTCONV_RETURN_IF_ERROR(
        EncodeRows<kFolded>({dtype, conv.dz, images, conv.out_height, conv.out_width, kChannels,
                             args.box_units, box_images},
                            conv.folded, &args.dz));
    args.partials = conv.partials;
    args.sum_dz = conv.sum_dz;
    args.out_height = conv.out_height;
    args.pad_h = conv.pad_h;
    args.units_before = CeilDiv(conv.pad_w, Kernel::kPerUnit);
    FASTCONV_RETURN_IF_ERROR(Launch<Kernel>({blocks, 1}, Kernel::kSharedBytes, stream, args));
  }
  using Add = AddPartials<T>;
  const typename Add::Args add = {conv.partials,
                                  blocks,
                                  Kernel::kPartialRows * kChannels,
                                  9 * kChannels * kChannels,
                                  conv.sum_dz ? kChannels : 0,
                                  static_cast<T*>(dfilter),
                                  static_cast<T*>(dbias)};
  return Launch<Add>(Add::GridFor(add), Add::kSharedBytes, stream, add);
}

template <class T, Folded kFolded>
Status LaunchOfType(DataType dtype, int images, const FilterGrad3x3Args& conv, void* dfilter,
                    void* dbias, Stream stream) {
  const auto launch = conv.channels == 64   ? LaunchVariant<T, 64, 3, kFolded>
                      : conv.pad_w % 2 == 0 ? LaunchVariant<T, 32, 2, kFolded>
                                            : LaunchVariant<T, 32, 3, kFolded>;
  return launch(dtype, images, conv, dfilter, dbias, stream);
}

template <Folded kFolded>
Status LaunchFolded(DataType dtype, int images, const FilterGrad3x3Args& conv, void* dfilter,
                    void* dbias, Stream stream) {
  const auto launch = dtype == DataType::kBFloat16 ? LaunchOfType<BFloat16, kFolded>
                                                   : LaunchOfType<Float16, kFolded>;
  return launch(dtype, images, conv, dfilter, dbias, stream);
}

}  // namespace

size_t WarpgroupFilterPartialBytes(const Conv2DProblem& conv) {
  const int channels = static_cast<int>(conv.in_channels);
  int box_units = 0;
  const StripCut cut =
      CutIntoStrips(static_cast<int>(conv.batch), static_cast<int>(conv.window.h.out),
                    static_cast<int>(conv.window.w.out), channels, &box_units);
  return Blocks(cut) * (conv.filter_size() + channels) * sizeof(float);
}

Status LaunchWarpgroupFilterGrad3x3(DataType dtype, int64_t images, const FilterGrad3x3Args& args,
                                    Folded folded, void* dfilter, void* dbias, Stream stream) {
  const auto launch = folded == Folded::kPooling      ? LaunchFolded<Folded::kPooling>
                      : folded == Folded::kActivation ? LaunchFolded<Folded::kActivation>
                                                      : LaunchFolded<Folded::kNothing>;
  return launch(dtype, static_cast<int>(images), args, dfilter, dbias, stream);
}

}  // namespace fastconv::cuda
