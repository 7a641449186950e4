#include <algorithm>
#include <cstdint>

#include "core/cuda/batch_norm.h"
#include "core/cuda/conv2d.h"
#include "core/cuda/conv3x3_launch.h"
#include "core/cuda/epilogue.h"
#include "core/cuda/epilogue_args.h"
#include "core/cuda/kernels/image_filter_grad3x3.h"
#include "core/cuda/warpgroup_conv3x3.h"

namespace fastconv::cuda {
namespace {

int TilesAlong(int64_t size, int tile = kTile) {
  return static_cast<int>((size + tile - 1) / tile);
}
size_t Align(size_t bytes) { return (bytes + 255) / 256 * 256; }

// The convolution's kernels do the whole epilogue and its gradients; dropout only behind a pooling,
// where there is little of it to draw, and whose codes tell the gradients what it dropped.
bool FusesEpilogue(const Epilogue& epilogue) {
  if (!epilogue.pool.enabled) return epilogue.dropout.kind == DropoutKind::kNone;
  return PoolsTwoByTwo(epilogue.pool.window) && epilogue.pool.code_type == DataType::kUint8;
}

// Whose gradients lie between dy and dz, the gradient of the convolution's output; of epilogues
// that the kernels do.
Folded FoldedOf(const Epilogue& epilogue) {
  if (epilogue.pool.enabled) return Folded::kPooling;
  return epilogue.activation == Activation::kLinear ? Folded::kNothing : Folded::kActivation;
}

// Of three launches, the one for kernels that fold this.
template <class Function>
Function* Of(Folded folded, Function* nothing, Function* activation, Function* pooling) {
  if (folded == Folded::kPooling) return pooling;
  return folded == Folded::kActivation ? activation : nothing;
}

FusedEpilogueProblem EpilogueOf(const FusedConv2DProblem& problem) {
  const Conv2DProblem& conv = problem.conv;
  return {conv.dtype,        conv.batch,        conv.window.h.out,
          conv.window.w.out, conv.out_channels, problem.epilogue};
}

size_t ZBytes(const Conv2DProblem& conv) {
  return Align(conv.output_pixels() * conv.out_channels * SizeOf(conv.dtype));
}

int TilesOf(const Conv2DProblem& conv) {
  return static_cast<int>(conv.batch) * TilesAlong(conv.window.h.out) *
         TilesAlong(conv.window.w.out);
}

// Of float32 only where it may be rounded.
bool TakesWarpgroups(Conv2DPass pass, const FusedConv2DProblem& problem) {
  return HasWarpgroups() && WarpgroupConv3x3Refusal(pass, problem).empty();
}

// Enough for either kernel: which one float32 takes, its rounding decides.
size_t StatisticsBytes(const FusedConv2DProblem& problem) {
  const Conv2DProblem& conv = problem.conv;
  const int channels = static_cast<int>(conv.out_channels);
  const size_t bytes =
      MaxConv3x3Blocks(TilesOf(conv), channels) * kStatisticsValues * channels * sizeof(float);
  return TakesWarpgroups(Conv2DPass::kForward, problem)
             ? std::max(bytes, WarpgroupStatisticsBytes(conv))
             : bytes;
}

bool TakesImage(const Conv2DProblem& conv) { return ImageConv3x3Refusal(conv).empty(); }

// Of the filter's gradient: the tiles, and as many blocks as run at the same time.
void ShareTiles(const Conv2DProblem& conv, Folded folded, FilterGrad3x3Args* args) {
  const bool image = TakesImage(conv);
  args->tile_rows = TilesAlong(conv.window.h.out, image ? kTile : kFilterGradTileRows);
  args->tile_columns = TilesAlong(conv.window.w.out);
  args->tiles = static_cast<int>(conv.batch) * args->tile_rows * args->tile_columns;
  args->output_blocks = TilesAlong(conv.out_channels, kFilterGradSide);
  if (image) {
    const int each = ImageFilterGradBlocks(conv.dtype == DataType::kFloat32, folded);
    args->blocks = BlocksPerColumn(args->tiles, each, args->output_blocks);
  } else {
    const int columns = TilesAlong(conv.in_channels, kFilterGradSide) * args->output_blocks;
    args->blocks = BlocksPerColumn(TilesAlong(args->tiles, kFilterGradTeams), 1, columns);
  }
}

size_t FilterPartialBytes(const FusedConv2DProblem& problem) {
  const Conv2DProblem& conv = problem.conv;
  if (TakesWarpgroups(Conv2DPass::kBackwardFilter, problem)) {
    return Align(WarpgroupFilterPartialBytes(conv));
  }
  // The most blocks that there are: some of what is folded takes registers that others need.
  FilterGrad3x3Args args = {};
  ShareTiles(conv, Folded::kNothing, &args);
  return Align(args.blocks * (conv.filter_size() + conv.out_channels) * sizeof(float));
}

struct Call {
  const FusedConv2DProblem& problem;
  const Conv2DArgs& args;
  const DropoutInputs& dropout;
  FloatPrecision precision;
  unsigned char* workspace;
  Stream stream;
};

void SetTiles(int64_t batch, Conv3x3Args* args) {
  args->tile_rows = TilesAlong(args->out_height);
  args->tile_columns = TilesAlong(args->out_width);
  args->tiles = static_cast<int>(batch) * args->tile_rows * args->tile_columns;
}

Conv3x3Args ForwardArgs(const Call& call) {
  const Conv2DProblem& conv = call.problem.conv;
  Conv3x3Args args = {};
  args.x = call.args.x;
  args.filter = call.args.filter;
  args.bias = call.args.bias;
  args.y = call.args.y;
  args.code = static_cast<uint8_t*>(call.args.code);
  args.activation.linear = true;
  args.height = static_cast<int>(conv.window.h.in);
  args.width = static_cast<int>(conv.window.w.in);
  args.channels = static_cast<int>(conv.in_channels);
  args.out_height = static_cast<int>(conv.window.h.out);
  args.out_width = static_cast<int>(conv.window.w.out);
  args.outputs = static_cast<int>(conv.out_channels);
  args.pad_h = static_cast<int>(conv.window.h.pad_before);
  args.pad_w = static_cast<int>(conv.window.w.pad_before);
  SetTiles(conv.batch, &args);
  return args;
}

// What warpgroups need behind the rest of a pass's scratch.
size_t PackedBytes(Conv2DPass pass, const FusedConv2DProblem& problem) {
  if (pass == Conv2DPass::kBackwardFilter || !TakesWarpgroups(pass, problem)) return 0;
  return PackedFilterBytes(problem.conv);
}

// Whether a pass of its own writes dz to memory and adds up the gradient of the bias.
bool NeedsDz(Conv2DPass pass, const FusedConv2DProblem& problem) {
  if (!FusesEpilogue(problem.epilogue)) return true;
  return FoldedOf(problem.epilogue) != Folded::kNothing && TakesWarpgroups(pass, problem) &&
         !WarpgroupsFold(problem.conv);
}

size_t PassBytes(Conv2DPass pass, const FusedConv2DProblem& problem) {
  const Conv2DProblem& conv = problem.conv;
  switch (pass) {
    case Conv2DPass::kForward:
      if (problem.batch_statistics) return StatisticsBytes(problem);
      return FusesEpilogue(problem.epilogue) ? 0 : ZBytes(conv);
    case Conv2DPass::kBackwardInput:
      return NeedsDz(pass, problem) ? ZBytes(conv) : 0;
    case Conv2DPass::kBackwardFilter:
      if (!NeedsDz(pass, problem)) return FilterPartialBytes(problem);
      return FilterPartialBytes(problem) + ZBytes(conv) +
             FusedEpilogueGradWorkspaceBytes(EpilogueOf(problem));
  }
  return 0;
}

// The convolution itself, by warpgroups where they take it. `partials`: how many partial statistics
// there are.
Status Convolve(Conv2DPass pass, const Call& call, const Conv3x3Args& args, Conv3x3Result result,
                Folded folded, int* partials = nullptr) {
  const Conv2DProblem& conv = call.problem.conv;
  const bool rotated = pass == Conv2DPass::kBackwardInput;
  const bool rounded = conv.dtype != DataType::kFloat32 || call.precision == FloatPrecision::kTf32;
  if (rounded && TakesWarpgroups(pass, call.problem)) {
    unsigned char* const packed = call.workspace + Align(PassBytes(pass, call.problem));
    if (rotated) {
      return LaunchRotatedWarpgroupConv3x3(conv.dtype, conv.batch, args, folded, packed,
                                           call.stream);
    }
    return LaunchWarpgroupConv3x3(conv.dtype, conv.batch, args, result, packed, call.stream,
                                  partials);
  }
  if (rotated) {
    const auto launch = Of(folded, LaunchRotatedConv3x3, LaunchRotatedConv3x3OfActivation,
                           LaunchRotatedConv3x3OfPooling);
    return launch(conv.dtype, call.precision, args, call.stream);
  }
  if (TakesImage(conv)) {
    return LaunchImageConv3x3(conv.dtype, call.precision, result, args, call.stream, partials);
  }
  switch (result) {
    case Conv3x3Result::kMap:
      return LaunchConv3x3(conv.dtype, call.precision, args, call.stream);
    case Conv3x3Result::kPooledMap:
      return LaunchPooledConv3x3(conv.dtype, call.precision, args, call.stream);
    case Conv3x3Result::kMapAndStatistics:
      return LaunchConv3x3WithStatistics(conv.dtype, call.precision, args, call.stream, partials);
  }
  return Status(StatusCode::kInternal, "No such result");
}

Status Forward(const Call& call) {
  const Conv2DProblem& conv = call.problem.conv;
  const Epilogue& epilogue = call.problem.epilogue;
  Conv3x3Args args = ForwardArgs(call);
  if (!FusesEpilogue(epilogue)) {
    args.bias = nullptr;
    args.y = call.workspace;
    FASTCONV_RETURN_IF_ERROR(
        Convolve(Conv2DPass::kForward, call, args, Conv3x3Result::kMap, Folded::kNothing));
    return FusedEpilogue(EpilogueOf(call.problem), call.workspace, call.args.bias, call.args.y,
                         call.args.code, call.dropout, call.stream);
  }
  args.activation = ActivationOf(epilogue);
  args.dropout = DropoutOf(epilogue, call.dropout);
  if (call.problem.batch_statistics) {
    args.statistics = reinterpret_cast<float*>(call.workspace);
    int partials = 0;
    FASTCONV_RETURN_IF_ERROR(Convolve(Conv2DPass::kForward, call, args,
                                      Conv3x3Result::kMapAndStatistics, Folded::kNothing,
                                      &partials));
    return MergeBatchStatistics(args.statistics, partials, conv.out_channels,
                                static_cast<float*>(call.args.mean),
                                static_cast<float*>(call.args.variance), call.stream);
  }
  return Convolve(Conv2DPass::kForward, call, args,
                  epilogue.pool.enabled ? Conv3x3Result::kPooledMap : Conv3x3Result::kMap,
                  Folded::kNothing);
}

// What a kernel reads: dz, or dy and what it makes dz of it with.
struct Gradient {
  const void* map;
  Folded folded;
  FoldedArgs args;
};

// `scratch`: for dz and, unless dbias is null, its sums; used where a pass of its own makes them.
Status MakeGradient(Conv2DPass pass, const Call& call, void* dbias, unsigned char* scratch,
                    Gradient* gradient) {
  const Epilogue& epilogue = call.problem.epilogue;
  *gradient = {call.args.dy,
               FoldedOf(epilogue),
               {call.args.y, static_cast<const uint8_t*>(call.args.code), ActivationOf(epilogue),
                epilogue.dropout.kind == DropoutKind::kNone ? nullptr : call.dropout.rate}};
  if (!NeedsDz(pass, call.problem)) return Status();
  *gradient = {scratch, Folded::kNothing, {}};
  return FusedEpilogueGrad(EpilogueOf(call.problem), call.args.y, call.args.code, call.args.dy,
                           scratch, dbias, call.dropout, scratch + ZBytes(call.problem.conv),
                           call.stream);
}

// A convolution of dz with the filter, turned round and its channels swapped. A map of few channels
// has no kernel of its own for it: networks do not ask for the gradient of the images they read.
Status BackwardInput(const Call& call) {
  const Conv2DProblem& conv = call.problem.conv;
  Gradient dz;
  FASTCONV_RETURN_IF_ERROR(
      MakeGradient(Conv2DPass::kBackwardInput, call, /*dbias=*/nullptr, call.workspace, &dz));
  const Conv3x3Args forward = ForwardArgs(call);
  Conv3x3Args args = {};
  args.x = dz.map;
  args.folded = dz.args;
  args.filter = call.args.filter;
  args.y = call.args.dx;
  args.activation.linear = true;
  args.height = forward.out_height;
  args.width = forward.out_width;
  args.channels = forward.outputs;
  args.out_height = forward.height;
  args.out_width = forward.width;
  args.outputs = forward.channels;
  args.pad_h = 2 - forward.pad_h;
  args.pad_w = 2 - forward.pad_w;
  SetTiles(conv.batch, &args);
  return Convolve(Conv2DPass::kBackwardInput, call, args, Conv3x3Result::kMap, dz.folded);
}

Status BackwardFilter(const Call& call) {
  const Conv2DProblem& conv = call.problem.conv;
  Gradient dz;
  FASTCONV_RETURN_IF_ERROR(MakeGradient(Conv2DPass::kBackwardFilter, call, call.args.dbias,
                                        call.workspace + FilterPartialBytes(call.problem), &dz));
  const Conv3x3Args forward = ForwardArgs(call);
  FilterGrad3x3Args args = {};
  args.x = call.args.x;
  args.dz = dz.map;
  args.folded = dz.args;
  args.partials = reinterpret_cast<float*>(call.workspace);
  args.sum_dz = call.args.dbias != nullptr && !NeedsDz(Conv2DPass::kBackwardFilter, call.problem);
  args.height = forward.height;
  args.width = forward.width;
  args.channels = forward.channels;
  args.out_height = forward.out_height;
  args.out_width = forward.out_width;
  args.outputs = forward.outputs;
  args.pad_h = forward.pad_h;
  args.pad_w = forward.pad_w;
  ShareTiles(conv, dz.folded, &args);
  if (TakesWarpgroups(Conv2DPass::kBackwardFilter, call.problem)) {
    return LaunchWarpgroupFilterGrad3x3(conv.dtype, conv.batch, args, dz.folded, call.args.dfilter,
                                        call.args.dbias, call.stream);
  }
  const auto of_chunks = Of(dz.folded, LaunchFilterGrad3x3, LaunchFilterGrad3x3OfActivation,
                            LaunchFilterGrad3x3OfPooling);
  FASTCONV_RETURN_IF_ERROR(
      TakesImage(conv)
          ? LaunchImageFilterGrad3x3(conv.dtype, call.precision, dz.folded, args, call.stream)
          : of_chunks(conv.dtype, call.precision, args, call.stream));
  return AddFilterGrads(conv.dtype, args, call.args.dfilter, call.args.dbias, call.stream);
}

}  // namespace

size_t Conv2DWorkspaceBytes(Conv2DPass pass, const FusedConv2DProblem& problem) {
  const size_t bytes = PassBytes(pass, problem), more = PackedBytes(pass, problem);
  return more == 0 ? bytes : Align(bytes) + more;
}

Status RunConv2D(Conv2DPass pass, const FusedConv2DProblem& problem, const Conv2DArgs& args,
                 const DropoutInputs& dropout, FloatPrecision precision, void* workspace,
                 Stream stream) {
  const std::string refusal = Conv3x3Refusal(problem.conv);
  const std::string image_refusal = ImageConv3x3Refusal(problem.conv);
  if (!refusal.empty() && !image_refusal.empty()) {
    return Unimplemented(std::string(kConv3x3) + ": " + refusal + "; " + kImageConv3x3 + ": " +
                         image_refusal);
  }
  // Of an image they read single values.
  const void* const x = refusal.empty() ? args.x : nullptr;
  if (!AllAligned({x, args.filter, args.bias, args.y, args.code, args.dy, args.dx, workspace})) {
    return InvalidArgument(
        "CUDA kernels of convolutions take tensors aligned to 16 bytes. Received: one that is not");
  }
  const Call call = {problem, args, dropout, precision, static_cast<unsigned char*>(workspace),
                     stream};
  switch (pass) {
    case Conv2DPass::kForward:
      return Forward(call);
    case Conv2DPass::kBackwardInput:
      return BackwardInput(call);
    case Conv2DPass::kBackwardFilter:
      return BackwardFilter(call);
  }
  return Status(StatusCode::kInternal, "No such pass");
}

}  // namespace fastconv::cuda
