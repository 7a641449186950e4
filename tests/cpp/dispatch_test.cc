// Which implementation is chosen, what is said about the others, and FASTCONV_MAX_ISA.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "conv2d_cases.h"
#include "core/conv2d.h"
#include "core/cpu_features.h"
#include "element_types.h"
#include "isa.h"

namespace fastconv::testing {
namespace {

constexpr Conv2DPass kPasses[] = {Conv2DPass::kForward, Conv2DPass::kBackwardInput,
                                  Conv2DPass::kBackwardFilter};

// Calls check(pass, problem) for every pass, type and problem of the file.
template <typename Check>
void ForEachProblem(const Check& check) {
  for (const Conv2DCase& conv_case : Conv2DCases()) {
    for (DataType type : kTensorTypes) {
      for (Conv2DPass pass : kPasses) {
        SCOPED_TRACE(conv_case.name + ", " + Name(type) + ", " + Name(pass));
        FusedConv2DProblem problem = conv_case.problem;
        problem.conv.dtype = type;
        check(pass, problem);
      }
    }
  }
}

// The instruction set in a name such as "implicit_gemm:avx512".
std::string IsaOf(const std::string& implementation) {
  const size_t colon = implementation.find(':');
  return colon == std::string::npos ? "" : implementation.substr(colon + 1);
}

// Position in kIsas; -1 for what is none.
int IsaRank(const std::string& name) {
  for (Isa isa : kIsas) {
    if (name == Name(isa)) return static_cast<int>(isa);
  }
  return -1;
}

// A tile of so many channels is larger than what is wanted for a block of tiles.
TEST(DispatchTest, PlansVeryManyChannels) {
  const FusedConv2DProblem problem = ParseConv2DProblem("x=1x8x8x80000 filter=3x3x16 padding=same");
  for (Conv2DPass pass : kPasses) {
    SCOPED_TRACE(Name(pass));
    for (const DispatchEntry& entry : ExplainConv2D(pass, problem)) {
      if (!entry.able) continue;
      SCOPED_TRACE(entry.implementation);
      std::unique_ptr<Conv2DPlan> plan;
      ASSERT_TRUE(MakeConv2DPlan(pass, problem, 2, &plan, entry.implementation).ok());
      EXPECT_EQ(plan->implementation(), entry.implementation);
    }
  }
}

// It cuts a batch into images, so that few of them leave threads idle.
TEST(DispatchTest, WinogradAdjointNeedsManyImages) {
  const auto refusal = [](const std::string& images) {
    const FusedConv2DProblem problem =
        ParseConv2DProblem("x=" + images + "x14x14x64 filter=5x5x64");
    for (const DispatchEntry& entry : ExplainConv2D(Conv2DPass::kBackwardInput, problem)) {
      if (entry.implementation == "winograd_adjoint:baseline") return entry.refusal;
    }
    return std::string("not in the list");
  };
  EXPECT_EQ(refusal("8"), "");
  EXPECT_NE(refusal("4").find("too few images"), std::string::npos);
}

// A group as wide as a vector is for the matrix product.
TEST(DispatchTest, GroupedTakesGroupsNarrowerThanAVector) {
  const std::map<Isa, int64_t> lanes = {{Isa::kAvx512, 16}, {Isa::kAvx2, 8}, {Isa::kBaseline, 4}};
  for (Isa cap : kIsas) {
    const ScopedMaxIsa max_isa(cap);
    for (int64_t channels : {2, 4, 8, 16}) {
      const std::string all = std::to_string(8 * channels);
      const FusedConv2DProblem problem =
          ParseConv2DProblem("x=2x9x9x" + all + " filter=3x3x" + all + " groups=8 padding=same");
      std::unique_ptr<Conv2DPlan> plan;
      ASSERT_TRUE(MakeConv2DPlan(Conv2DPass::kForward, problem, 2, &plan).ok());
      const bool narrow = channels < lanes.at(ActiveIsa());
      EXPECT_EQ(plan->implementation(),
                std::string(narrow ? "grouped:" : "implicit_gemm:") + Name(ActiveIsa()));
    }
  }
}

// Few input channels are for `direct`, but for small maps, and gradients that are not in a tensor.
TEST(DispatchTest, DirectTakesFewChannels) {
  const auto chosen = [](Conv2DPass pass, const std::string& text) {
    std::unique_ptr<Conv2DPlan> plan;
    EXPECT_TRUE(MakeConv2DPlan(pass, ParseConv2DProblem(text), 2, &plan).ok());
    const std::string name = plan->implementation();
    return name.substr(0, name.find(':'));
  };
  constexpr Conv2DPass forward = Conv2DPass::kForward, filter = Conv2DPass::kBackwardFilter;
  for (const char* text : {"x=2x8x8x3 filter=3x3x32 padding=same bias act=relu",
                           "x=2x16x16x1 filter=5x5x6 stride=2x2 padding=same"}) {
    EXPECT_EQ(chosen(forward, text), "direct") << text;
    EXPECT_EQ(chosen(filter, text), "direct") << text;
  }
  const char* pooled = "x=2x9x9x3 filter=3x3x32 padding=same act=relu pool=2x2/2x2";
  EXPECT_EQ(chosen(forward, pooled), "direct");
  EXPECT_EQ(chosen(filter, pooled), "implicit_gemm");
  for (const char* text : {"x=2x8x7x3 filter=3x3x32 padding=same", "x=2x9x9x11 filter=4x4x32"}) {
    EXPECT_EQ(chosen(forward, text), "implicit_gemm") << text;
    EXPECT_EQ(chosen(filter, text), "implicit_gemm") << text;
  }
}

TEST(DispatchTest, ChoosesTheFirstAcceptedEntry) {
  ForEachProblem([](Conv2DPass pass, const FusedConv2DProblem& problem) {
    const std::vector<DispatchEntry> entries = ExplainConv2D(pass, problem);
    std::string first_accepted;
    for (const DispatchEntry& entry : entries) {
      EXPECT_FALSE(entry.implementation.empty());
      if (entry.refusal.empty() && first_accepted.empty()) first_accepted = entry.implementation;
    }
    ASSERT_FALSE(first_accepted.empty()) << "nothing accepts the problem";
    std::unique_ptr<Conv2DPlan> plan;
    const Status status = MakeConv2DPlan(pass, problem, /*num_threads=*/2, &plan);
    ASSERT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(plan->implementation(), first_accepted);
  });
}

TEST(DispatchTest, ListsAnAlgorithmFromWideToNarrow) {
  ForEachProblem([](Conv2DPass pass, const FusedConv2DProblem& problem) {
    std::map<std::string, int> ranks;  // of the last entry, by algorithm
    for (const DispatchEntry& entry : ExplainConv2D(pass, problem)) {
      const std::string& name = entry.implementation;
      const std::string algorithm = name.substr(0, name.find(':'));
      const int rank = IsaRank(IsaOf(name));
      ASSERT_GE(rank, 0) << name << " names no instruction set";
      if (const auto wider = ranks.find(algorithm); wider != ranks.end()) {
        EXPECT_LT(rank, wider->second) << name;
      }
      ranks[algorithm] = rank;
    }
    EXPECT_FALSE(ranks.empty());
  });
}

TEST(DispatchTest, CapRefusesWiderInstructionSetsWithAReason) {
  const FusedConv2DProblem& problem = FindConv2DCase("k3_same").problem;
  for (Isa cap : kIsas) {
    const ScopedMaxIsa max_isa(cap);
    const Isa active = ActiveIsa();
    EXPECT_EQ(active, cap < DetectedIsa() ? cap : DetectedIsa());
    for (Conv2DPass pass : kPasses) {
      SCOPED_TRACE(std::string(Name(pass)) + " capped at " + Name(cap));
      for (const DispatchEntry& entry : ExplainConv2D(pass, problem)) {
        if (IsaRank(IsaOf(entry.implementation)) > static_cast<int>(active)) {
          EXPECT_FALSE(entry.refusal.empty()) << entry.implementation << " was not refused";
        }
      }
      std::unique_ptr<Conv2DPlan> plan;
      ASSERT_TRUE(MakeConv2DPlan(pass, problem, /*num_threads=*/1, &plan).ok());
      EXPECT_EQ(IsaOf(plan->implementation()), Name(active));
    }
  }
}

TEST(DispatchTest, WrongCapIsReportedAndIgnored) {
  for (const char* value : {"sse9", "AVX2", "avx512 "}) {
    const ScopedMaxIsa max_isa{std::string(value)};
    EXPECT_NE(MaxIsaError().find("FASTCONV_MAX_ISA"), std::string::npos) << MaxIsaError();
    EXPECT_NE(MaxIsaError().find("avx2"), std::string::npos) << MaxIsaError();
    EXPECT_NE(MaxIsaError().find(std::string("Received: ") + value), std::string::npos)
        << MaxIsaError();
    EXPECT_EQ(ActiveIsa(), DetectedIsa());
  }
  for (Isa isa : kIsas) {
    const ScopedMaxIsa max_isa(isa);
    EXPECT_EQ(MaxIsaError(), "");
  }
  const ScopedMaxIsa empty{std::string()};
  EXPECT_EQ(MaxIsaError(), "");
  EXPECT_EQ(ActiveIsa(), DetectedIsa());
}

TEST(DispatchTest, VerbosePrintsEveryProblemOnce) {
  FusedConv2DProblem problem = FindConv2DCase("k3_same").problem;
  problem.conv.batch = 12345;  // of no other test
  const ScopedMaxIsa max_isa(Isa::kBaseline);
  const auto printed = [&problem] {
    ::testing::internal::CaptureStderr();
    std::unique_ptr<Conv2DPlan> plan;
    EXPECT_TRUE(MakeConv2DPlan(Conv2DPass::kBackwardInput, problem, 1, &plan).ok());
    return ::testing::internal::GetCapturedStderr();
  };
  EXPECT_EQ(printed(), "");
  setenv("FASTCONV_VERBOSE", "dispatch", /*overwrite=*/1);
  const std::string first = printed();
  const std::string second = printed();
  unsetenv("FASTCONV_VERBOSE");
  EXPECT_NE(first.find("fastconv: backward_input float32 n12345 "), std::string::npos) << first;
  EXPECT_NE(first.find(":baseline: chosen"), std::string::npos) << first;
  if (DetectedIsa() > Isa::kBaseline) {
    EXPECT_NE(first.find("FASTCONV_MAX_ISA"), std::string::npos) << first;
  }
  EXPECT_EQ(second, "");
}

}  // namespace
}  // namespace fastconv::testing
