#include <algorithm>
#include <cstdint>
#include <limits>
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
  // Within them, places in y are told by int.
  const int64_t elements = static_cast<int64_t>(conv.out_height) * conv.out_width * conv.outputs;
  const int64_t most = std::max<int64_t>(1, std::numeric_limits<int>::max() / elements);
  args->cut.box_images =
      args->cut.strips > 1
          ? 1
          : static_cast<int>(std::min<int64_t>({side_by_side, args->images, most}));
}

template <class T, int kChannels, int kOutputs, bool kPairs, Conv3x3Result kResult, Folded kFolded>
Status LaunchVariant(DataType dtype, int64_t images, const Conv3x3Args& conv, bool rotated,
                     void* packed_filter, Stream stream, int* partials) {
  using Kernel = WarpgroupConv3x3<T, kChannels, kOutputs, kPairs, kResult, kFolded>;
  using Rings = typename Kernel::Rings;
  using Pack = PackFilter3x3<T, kChannels, kOutputs>;
  WarpgroupConv3x3Args args = {};
  args.images = static_cast<int>(images);
  args.out_height = conv.out_height;
  args.out_width = conv.out_width;
  args.cut.rows = conv.out_height / Rings::kRows;
  if (args.images == 0 || args.cut.rows == 0 || conv.out_width < Rings::kRows) return Status();
  CutIntoStrips<Rings>(conv, &args);
  FASTCONV_RETURN_IF_ERROR(
      EncodeRows<kFolded>({dtype, conv.x, args.images, conv.height, conv.width, kChannels,
                           args.box_units, args.cut.box_images, Rings::kUnit},
                          conv.folded, &args.x));
  const int parts = conv.outputs / kOutputs;
  FASTCONV_RETURN_IF_ERROR(Launch<Pack>({Pack::kBlocks, parts}, 0, stream,
                                        {conv.filter, conv.outputs, packed_filter, rotated}));
  args.filter = packed_filter;
  args.bias = conv.bias;
  args.y = conv.y;
  args.outputs = conv.outputs;
  args.code = conv.code;
  args.statistics = conv.statistics;
  args.activation = conv.activation;
  args.dropout = conv.dropout;
  args.pad_h = conv.pad_h;
  args.cut.total_rows = CeilDiv(args.images, args.cut.box_images) * args.cut.strips * args.cut.rows;
  const int units = args.cut.box_images * args.box_units;
  args.plane_bytes = AlignStage(std::max(units, Rings::kStageUnits) * Rings::kUnit);
  args.stage_bytes = Rings::Planes::kCount * args.plane_bytes + Rings::Row::BesideBytes(units);
  const int left = MaxSharedBytes() - WarpgroupRings::SharedBytes(Rings::kFixedBytes, 0, 0);
  args.stages = std::min(left / (Rings::kWorkers * args.stage_bytes), kMaxStages);
  const int blocks =
      std::min(CeilDiv(Multiprocessors(), parts), CeilDiv(args.cut.total_rows, Rings::kWorkers));
  if (Rings::kStatistics) *partials = blocks * kStatisticsPerBlock;
  return Launch<Kernel>(
      {blocks, parts},
      WarpgroupRings::SharedBytes(Rings::kFixedBytes, args.stages, args.stage_bytes), stream, args);
}

// Of more channels, shared memory has no room for what dz is made of.
constexpr bool FoldsFloat(int64_t channels) { return channels == 32; }

// Calls body(T(), integral constants of the channels, of the outputs of a block, and of whether
// units are pairs of pixels).
template <class Body>
Status WithVariant(DataType dtype, const Conv3x3Args& conv, const Body& body) {
  constexpr std::integral_constant<int, 32> narrow;
  constexpr std::integral_constant<int, 64> wide;
  const auto with_channels = [&](auto type) {
    constexpr bool kFloat = sizeof(type) == 4;
    if (conv.channels == wide) {
      // Of float, shared memory has no room for filters of 64 by 64.
      if constexpr (!kFloat) {
        if (conv.outputs == wide) return body(type, wide, wide, std::false_type());
      }
      return body(type, wide, narrow, std::false_type());
    }
    if (conv.outputs == wide) return body(type, narrow, wide, std::false_type());
    if constexpr (!kFloat) {
      if (conv.width % 2 == 0) return body(type, narrow, narrow, std::true_type());
    }
    return body(type, narrow, narrow, std::false_type());
  };
  switch (dtype) {
    case DataType::kFloat32:
      return with_channels(float());
    case DataType::kBFloat16:
      return with_channels(BFloat16());
    case DataType::kFloat16:
      return with_channels(Float16());
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

bool WarpgroupsFold(const Conv2DProblem& conv) {
  return conv.dtype != DataType::kFloat32 || FoldsFloat(conv.out_channels);
}

size_t PackedFilterBytes(const Conv2DProblem& conv) {
  return PackedFilter3x3<uint8_t, 1, 1>::kBytes * conv.in_channels * conv.out_channels *
         SizeOf(conv.dtype);
}

size_t WarpgroupStatisticsBytes(const Conv2DProblem& conv) {
  return Multiprocessors() * kStatisticsPerBlock * kStatisticsValues * conv.out_channels *
         sizeof(float);
}

Status LaunchWarpgroupConv3x3(DataType dtype, int64_t images, const Conv3x3Args& args,
                              Conv3x3Result result, void* packed_filter, Stream stream,
                              int* partials) {
  return WithVariant(dtype, args, [&](auto type, auto channels, auto outputs, auto pairs) {
    using T = decltype(type);
    constexpr int kChannels = channels, kOutputs = outputs;
    constexpr bool kPairs = pairs;
    constexpr Folded kFolded = Folded::kNothing;
    auto launch = LaunchVariant<T, kChannels, kOutputs, kPairs, Conv3x3Result::kMap, kFolded>;
    if (result == Conv3x3Result::kPooledMap) {
      launch = LaunchVariant<T, kChannels, kOutputs, kPairs, Conv3x3Result::kPooledMap, kFolded>;
    } else if (result == Conv3x3Result::kMapAndStatistics) {
      launch =
          LaunchVariant<T, kChannels, kOutputs, kPairs, Conv3x3Result::kMapAndStatistics, kFolded>;
    }
    return launch(dtype, images, args, /*rotated=*/false, packed_filter, stream, partials);
  });
}

Status LaunchRotatedWarpgroupConv3x3(DataType dtype, int64_t images, const Conv3x3Args& args,
                                     Folded folded, void* packed_filter, Stream stream) {
  return WithVariant(dtype, args, [&](auto type, auto channels, auto outputs, auto pairs) {
    using T = decltype(type);
    constexpr int kChannels = channels, kOutputs = outputs;
    constexpr bool kPairs = pairs;
    constexpr Conv3x3Result kResult = Conv3x3Result::kMap;
    auto launch = LaunchVariant<T, kChannels, kOutputs, kPairs, kResult, Folded::kNothing>;
    if constexpr (sizeof(T) == 2 || FoldsFloat(kChannels)) {
      if (folded == Folded::kActivation) {
        launch = LaunchVariant<T, kChannels, kOutputs, kPairs, kResult, Folded::kActivation>;
      } else if (folded == Folded::kPooling) {
        launch = LaunchVariant<T, kChannels, kOutputs, kPairs, kResult, Folded::kPooling>;
      }
    }
    return launch(dtype, images, args, /*rotated=*/true, packed_filter, stream,
                  /*partials=*/nullptr);
  });
}

}  // namespace fastconv::cuda
