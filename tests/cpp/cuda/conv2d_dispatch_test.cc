// Which convolutions the CUDA kernels take, and what is said of others.
#include "core/cuda/conv2d_dispatch.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "conv2d_cases.h"
#include "core/cuda/conv2d.h"

namespace fastconv::testing {
namespace {

std::string RefusalOf(std::string (*refusal)(const Conv2DProblem&), const char* text,
                      DataType type = DataType::kFloat32) {
  FusedConv2DProblem problem = ParseConv2DProblem(text);
  problem.conv.dtype = type;
  return refusal(problem.conv);
}

TEST(CudaConv2DRefusalTest, SaysWhy) {
  const auto refusal = [](const char* text, DataType type = DataType::kFloat32) {
    return RefusalOf(cuda::Conv3x3Refusal, text, type);
  };
  EXPECT_EQ(refusal("x=2x9x9x32 filter=3x3x64"), "");
  EXPECT_EQ(refusal("x=2x9x9x32 filter=3x3x64", DataType::kFloat64), "no kernels for float64");
  EXPECT_EQ(refusal("x=2x9x9x32 filter=5x5x64"), "only for 3x3 filters");
  EXPECT_EQ(refusal("x=2x9x9x32 filter=3x3x64 stride=2x2"), "only for strides of 1");
  EXPECT_EQ(refusal("x=2x9x9x32 filter=3x3x64 dilation=2x1"), "only without dilation");
  EXPECT_EQ(refusal("x=2x9x9x32 filter=3x3x64 groups=2"), "only for one group");
  EXPECT_EQ(refusal("x=2x9x9x32 filter=3x3x64 padding=3,1,1,1"), "only for padding of at most 2");
  EXPECT_EQ(refusal("x=1x9x932065x32 filter=3x3x128"), "");
  EXPECT_EQ(refusal("x=1x9x932066x32 filter=3x3x128"), "only for fewer pixels");
  EXPECT_EQ(refusal("x=65536x4096x4096x16 filter=3x3x16"), "only for fewer pixels");
  EXPECT_EQ(refusal("x=2x9x9x24 filter=3x3x64"), "only for multiples of 16 channels, up to 128");
  EXPECT_EQ(refusal("x=2x9x9x32 filter=3x3x256"), "only for multiples of 16 channels, up to 128");
}

TEST(CudaConv2DRefusalTest, SaysWhyNotByWarpgroups) {
  const auto refusal = [](const char* text, DataType type = DataType::kBFloat16,
                          Conv2DPass pass = Conv2DPass::kForward) {
    FusedConv2DProblem problem = ParseConv2DProblem(text);
    problem.conv.dtype = type;
    return cuda::WarpgroupConv3x3Refusal(pass, problem);
  };
  EXPECT_EQ(refusal("x=2x9x9x64 filter=3x3x64"), "");
  EXPECT_EQ(refusal("x=2x9x9x32 filter=3x3x32", DataType::kFloat32), "");
  EXPECT_EQ(refusal("x=2x9x9x64 filter=5x5x64"), "only for 3x3 filters");
  EXPECT_EQ(refusal("x=2x9x9x32 filter=3x3x32", DataType::kFloat32, Conv2DPass::kBackwardFilter),
            "float32 not for the gradient of the filter");
  EXPECT_EQ(refusal("x=2x9x9x64 filter=3x3x64 statistics"), "");
  EXPECT_EQ(refusal("x=2x9x9x32 filter=3x3x64"), "");
  EXPECT_EQ(refusal("x=2x9x9x64 filter=3x3x32", DataType::kFloat32, Conv2DPass::kBackwardInput),
            "");
  EXPECT_EQ(refusal("x=2x9x9x32 filter=3x3x64", DataType::kBFloat16, Conv2DPass::kBackwardFilter),
            "gradient of the filter only for as many channels out as in");
  EXPECT_EQ(refusal("x=2x9x9x32 filter=3x3x128"), "only for 32 or 64 channels");
  EXPECT_EQ(refusal("x=2x9x9x48 filter=3x3x48"), "only for 32 or 64 channels");
  EXPECT_EQ(refusal("x=2x9x9x64 filter=3x3x64", DataType::kFloat32), "");
  for (const char* odd : {"x=2x9x9x32 filter=3x3x32", "x=2x9x8x32 filter=3x3x32 padding=1,1,1,0"}) {
    EXPECT_EQ(refusal(odd), "");
    EXPECT_EQ(refusal(odd, DataType::kFloat16, Conv2DPass::kBackwardInput), "");
    EXPECT_EQ(refusal(odd, DataType::kFloat16, Conv2DPass::kBackwardFilter),
              "gradient of the filter of 32 channels only for maps of even width");
  }
}

TEST(CudaConv2DRefusalTest, ListsWarpgroupsFirst) {
  const auto chosen = [](DataType type, bool has_warpgroups, bool allow_tf32) {
    FusedConv2DProblem problem = ParseConv2DProblem("x=2x9x8x32 filter=3x3x32");
    problem.conv.dtype = type;
    const std::vector<DispatchEntry> entries =
        cuda::ExplainConv2D(Conv2DPass::kForward, problem, has_warpgroups, allow_tf32);
    EXPECT_EQ(entries[0].implementation, cuda::kWarpgroupConv3x3);
    std::string name;
    for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
      if (entry->refusal.empty()) name += entry->implementation;
    }
    return name;
  };
  EXPECT_EQ(chosen(DataType::kBFloat16, true, false), cuda::kWarpgroupConv3x3);
  EXPECT_EQ(chosen(DataType::kBFloat16, false, false), cuda::kConv3x3);
  EXPECT_EQ(chosen(DataType::kFloat32, true, true), cuda::kWarpgroupConv3x3);
  EXPECT_EQ(chosen(DataType::kFloat32, true, false), cuda::kConv3x3);
}

TEST(CudaConv2DRefusalTest, SaysWhyOfImages) {
  const auto refusal = [](const char* text, DataType type = DataType::kFloat32) {
    return RefusalOf(cuda::ImageConv3x3Refusal, text, type);
  };
  EXPECT_EQ(refusal("x=2x9x9x1 filter=3x3x16"), "");
  EXPECT_EQ(refusal("x=2x9x9x4 filter=3x3x128"), "");
  EXPECT_EQ(refusal("x=2x9x9x3 filter=3x3x16", DataType::kFloat64), "no kernels for float64");
  EXPECT_EQ(refusal("x=2x9x9x3 filter=5x5x16"), "only for 3x3 filters");
  EXPECT_EQ(refusal("x=2x9x9x5 filter=3x3x16"), "only for up to 4 input channels");
  EXPECT_EQ(refusal("x=2x9x9x3 filter=3x3x24"),
            "only for multiples of 16 output channels, up to 128");
  EXPECT_EQ(refusal("x=2x9x9x3 filter=3x3x144"),
            "only for multiples of 16 output channels, up to 128");
}

TEST(CudaConv2DRefusalTest, ListsWhatIsChosenFirst) {
  using Names = std::vector<std::string>;
  const auto able = [](const char* text) {
    Names names;
    for (const DispatchEntry& entry : cuda::ExplainConv2D(ParseConv2DProblem(text).conv)) {
      if (!entry.able) continue;
      EXPECT_EQ(entry.refusal, names.empty() ? "" : names[0] + " is preferred");
      names.push_back(entry.implementation);
    }
    return names;
  };
  EXPECT_EQ(able("x=2x9x9x32 filter=3x3x64"), (Names{cuda::kConv3x3, cuda::kStock}));
  EXPECT_EQ(able("x=2x9x9x3 filter=3x3x64"), (Names{cuda::kImageConv3x3, cuda::kStock}));
  EXPECT_EQ(able("x=2x9x9x64 filter=3x3x64"), (Names{cuda::kConv3x3, cuda::kStock}));
  EXPECT_EQ(able("x=2x9x9x128 filter=3x3x48"), (Names{cuda::kConv3x3, cuda::kStock}));
  EXPECT_EQ(able("x=2x9x9x24 filter=3x3x64"), (Names{cuda::kStock}));
}

TEST(CudaConv2DRefusalTest, PrefersStockWithManyChannels) {
  for (const char* text : {"x=2x9x9x64 filter=3x3x128", "x=2x9x9x128 filter=3x3x64",
                           "x=2x9x9x128 filter=3x3x128", "x=2x9x9x80 filter=3x3x64"}) {
    for (DataType type : {DataType::kFloat32, DataType::kBFloat16, DataType::kFloat16}) {
      FusedConv2DProblem problem = ParseConv2DProblem(text);
      problem.conv.dtype = type;
      const std::vector<DispatchEntry> entries =
          cuda::ExplainConv2D(Conv2DPass::kForward, problem, /*has_warpgroups=*/true,
                              /*allow_tf32=*/true);
      ASSERT_EQ(entries.size(), 4u);
      EXPECT_EQ(entries[0].implementation, cuda::kWarpgroupConv3x3);
      EXPECT_NE(entries[0].refusal, "");
      EXPECT_EQ(entries[1].implementation, cuda::kStock);
      EXPECT_EQ(entries[1].refusal, "");
      EXPECT_EQ(entries[2].implementation, cuda::kConv3x3);
      EXPECT_EQ(entries[2].refusal, "stock is preferred");
      EXPECT_TRUE(entries[2].able);
    }
  }
}

// Kernels that move 16 bytes at once would fail, and with them all that follows on the GPU.
TEST(CudaConv2DRefusalTest, SaysThatTensorsLieBetweenVectors) {
  alignas(16) float memory[8];
  const auto run = [&memory](const char* text, int x, int dy) {
    Conv2DArgs args;
    args.x = memory + x;
    args.dy = memory + dy;
    return cuda::RunConv2D(Conv2DPass::kForward, ParseConv2DProblem(text), args, {},
                           cuda::FloatPrecision::kTf32, nullptr, nullptr)
        .message();
  };
  const char* refusal =
      "CUDA kernels of convolutions take tensors aligned to 16 bytes. Received: one that is not";
  EXPECT_EQ(run("x=0x9x9x32 filter=3x3x32", 0, 4), "");
  EXPECT_EQ(run("x=0x9x9x32 filter=3x3x32", 1, 4), refusal);
  EXPECT_EQ(run("x=0x9x9x3 filter=3x3x32", 1, 4), "");
  EXPECT_EQ(run("x=0x9x9x3 filter=3x3x32", 0, 3), refusal);
}

TEST(CudaConv2DRefusalTest, RunsNothingRefused) {
  const FusedConv2DProblem problem = ParseConv2DProblem("x=2x9x9x24 filter=3x3x64");
  const Status status = cuda::RunConv2D(Conv2DPass::kForward, problem, {}, {},
                                        cuda::FloatPrecision::kFloat32, nullptr, nullptr);
  EXPECT_EQ(status.code(), StatusCode::kUnimplemented);
  EXPECT_EQ(status.message(),
            "conv3x3:tensor_cores: only for multiples of 16 channels, up to 128; "
            "image_conv3x3:tensor_cores: only for up to 4 input channels");
}

}  // namespace
}  // namespace fastconv::testing
