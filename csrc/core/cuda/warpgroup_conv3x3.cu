#include <algorithm>
#include <string>

#include "core/cuda/conv2d.h"
#include "core/cuda/kernels/warpgroup_conv3x3.h"
#include "core/cuda/launch.h"
#include "core/cuda/unit_rows.h"
#include "core/cuda/warpgroup_conv3x3.h"

namespace fastconv::cuda {
namespace {

template <class Rings>
void CutIntoStrips(const Conv3x3Args& conv, WarpgroupConv3x3Args* args) {
  constexpr int kPixels = Rings::kUnits * Rings::kPerUnit;
  // Units of as many pixels as a row begins and ends with.
  const auto units = [](int pixels) {
    constexpr int kGrain = Rings::Row::kGrain;
    return CeilDiv(pixels, kGrain) * kGrain / Rings::kPerUnit;
  };
  args->cut.strips = CeilDiv(conv.out_width, kPixels);
  args->strip_pixels = CeilDiv(CeilDiv(conv.out_width, args->cut.strips), 2) * 2;
  args->units_before = units(conv.pad_w);
  args->shift = args->units_before * Rings::kPerUnit - conv.pad_w;
  args->box_units = units(args->shift + args->strip_pixels + 2);
  const int strip_units = CeilDiv(args->strip_pixels, Rings::kPerUnit);
  const int side_by_side = (Rings::kUnits - strip_units) / args->box_units + 1;
  args->cut.box_images = args->cut.strips > 1 ? 1 : std::min(side_by_side, args->images);
}

template <class T, int kChannels, bool kPooled, Folded kFolded>
Status LaunchVariant(DataType dtype, int64_t images, const Conv3x3Args& conv, bool rotated,
                     void* packed_filter, Stream stream) {
  using Kernel = WarpgroupConv3x3<T, kChannels, kPooled, kFolded>;
  using Rings = typename Kernel::Rings;
  using Pack = PackFilter3x3<T, kChannels, kChannels>;
  WarpgroupConv3x3Args args = {};
  args.images = static_cast<int>(images);
  args.out_height = conv.out_height;
  args.out_width = conv.out_width;
  args.cut.rows = kPooled ? conv.out_height / 2 : conv.out_height;
  if (args.images == 0 || args.cut.rows == 0 || conv.out_width < (kPooled ? 2 : 1)) return Status();
  CutIntoStrips<Rings>(conv, &args);
  FASTCONV_RETURN_IF_ERROR(EncodeRows<kFolded>({dtype, conv.x, args.images, conv.height, conv.width,
                                                kChannels, args.box_units, args.cut.box_images},
                                               conv.folded, &args.x));
  FASTCONV_RETURN_IF_ERROR(
      Launch<Pack>({Pack::kBlocks, 1}, 0, stream, {conv.filter, packed_filter, rotated}));
  args.filter = packed_filter;
  args.bias = conv.bias;
  args.y = conv.y;
  args.code = conv.code;
  args.activation = conv.activation;
  args.dropout = conv.dropout;
  args.pad_h = conv.pad_h;
  args.cut.total_rows = CeilDiv(args.images, args.cut.box_images) * args.cut.strips * args.cut.rows;
  const int units = args.cut.box_images * args.box_units;
  args.beside_offset = AlignStage(std::max(units, Rings::kStageUnits) * kUnitBytes);
  args.stage_bytes = args.beside_offset + Rings::Row::BesideBytes(units);
  const int left = MaxSharedBytes() - WarpgroupRings::SharedBytes(Rings::kFixedBytes, 0, 0);
  args.stages = std::min(left / (Rings::kWorkers * args.stage_bytes), kMaxStages);
  const int blocks = std::min(Multiprocessors(), CeilDiv(args.cut.total_rows, Rings::kWorkers));
  return Launch<Kernel>(
      {blocks, 1}, WarpgroupRings::SharedBytes(Rings::kFixedBytes, args.stages, args.stage_bytes),
      stream, args);
}

// Calls body(T(), integral constant of the channels).
template <class Body>
Status WithVariant(DataType dtype, int64_t channels, const Body& body) {
  constexpr std::integral_constant<int, 32> narrow;
  constexpr std::integral_constant<int, 64> wide;
  switch (dtype) {
    case DataType::kFloat32:
      return body(float(), narrow);
    case DataType::kBFloat16:
      return channels == 32 ? body(BFloat16(), narrow) : body(BFloat16(), wide);
    case DataType::kFloat16:
      return channels == 32 ? body(Float16(), narrow) : body(Float16(), wide);
    default:
      return Unimplemented(std::string("no kernels for ") + Name(dtype));
  }
}

}  // namespace

bool HasWarpgroups() {
#ifdef FASTCONV_WITH_WARPGROUPS
  return ComputeCapability() == 90;
#else
  return false;
#endif
}

// Of float32 shared memory has no room for what dz is made of.
bool WarpgroupsFold(DataType dtype) { return dtype != DataType::kFloat32; }

size_t PackedFilterBytes(DataType dtype, int64_t channels) {
  return PackedFilter3x3<uint8_t, 1, 1>::kBytes * channels * channels * SizeOf(dtype);
}

Status LaunchWarpgroupConv3x3(DataType dtype, int64_t images, const Conv3x3Args& args, bool pooled,
                              void* packed_filter, Stream stream) {
  return WithVariant(dtype, args.channels, [&](auto type, auto channels) {
    using T = decltype(type);
    constexpr int kChannels = decltype(channels)::value;
    const auto launch = pooled ? LaunchVariant<T, kChannels, true, Folded::kNothing>
                               : LaunchVariant<T, kChannels, false, Folded::kNothing>;
    return launch(dtype, images, args, /*rotated=*/false, packed_filter, stream);
  });
}

Status LaunchRotatedWarpgroupConv3x3(DataType dtype, int64_t images, const Conv3x3Args& args,
                                     Folded folded, void* packed_filter, Stream stream) {
  return WithVariant(dtype, args.channels, [&](auto type, auto channels) {
    using T = decltype(type);
    constexpr int kChannels = decltype(channels)::value;
    auto launch = LaunchVariant<T, kChannels, false, Folded::kNothing>;
    if constexpr (sizeof(T) == 2) {
      if (folded == Folded::kActivation) {
        launch = LaunchVariant<T, kChannels, false, Folded::kActivation>;
      } else if (folded == Folded::kPooling) {
        launch = LaunchVariant<T, kChannels, false, Folded::kPooling>;
      }
    }
    return launch(dtype, images, args, /*rotated=*/true, packed_filter, stream);
  });
}

}  // namespace fastconv::cuda
