#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <set>
#include <string>

#include "core/conv2d.h"
#include "core/cpu/implicit_gemm/implicit_gemm.h"
#include "core/cpu/kernels/kernels.h"
#include "core/cpu_features.h"

namespace fastconv {
namespace {

using MakePlan = std::unique_ptr<Conv2DPlan> (*)(const char* name, const cpu::Kernels& kernels,
                                                 const FusedConv2DProblem& problem,
                                                 int num_threads);

struct Implementation {
  const char* name;
  Isa isa;
  // Empty, or why this implementation cannot (or should not) do the problem.
  std::string (*refusal)(const FusedConv2DProblem& problem);
  MakePlan make;
};

std::string Accepts(const FusedConv2DProblem&) { return ""; }

// Best first; the last one takes everything. All passes have the same instruction sets behind the
// same algorithm, so one row per algorithm and instruction set names the three plans.
const std::vector<Implementation>& ImplementationsOf(Conv2DPass pass) {
  static const auto list = [](MakePlan make) {
    return std::vector<Implementation>{
        {"implicit_gemm:avx512", Isa::kAvx512, Accepts, make},
        {"implicit_gemm:avx2", Isa::kAvx2, Accepts, make},
        {"implicit_gemm:baseline", Isa::kBaseline, Accepts, make},
    };
  };
  static const std::vector<Implementation> forward = list(cpu::MakeImplicitGemmForward);
  static const std::vector<Implementation> input = list(cpu::MakeImplicitGemmBackwardInput);
  static const std::vector<Implementation> filter = list(cpu::MakeImplicitGemmBackwardFilter);
  switch (pass) {
    case Conv2DPass::kForward:
      return forward;
    case Conv2DPass::kBackwardInput:
      return input;
    case Conv2DPass::kBackwardFilter:
      return filter;
  }
  return forward;
}

std::string Refusal(const Implementation& implementation, const FusedConv2DProblem& problem) {
  if (implementation.isa > DetectedIsa()) {
    return std::string("this CPU has no ") + Name(implementation.isa);
  }
  if (implementation.isa > ActiveIsa()) {
    return std::string("FASTCONV_MAX_ISA allows no more than ") + Name(ActiveIsa());
  }
  return implementation.refusal(problem);
}

std::string Describe(Conv2DPass pass, const FusedConv2DProblem& problem) {
  const Conv2DProblem& conv = problem.conv;
  const auto axis = [](const WindowAxis& a) {
    return std::to_string(a.in) + "w" + std::to_string(a.window) + "s" + std::to_string(a.stride) +
           "d" + std::to_string(a.dilation) + "p" + std::to_string(a.pad_before) + "," +
           std::to_string(a.pad_after);
  };
  return std::string(Name(pass)) + " " + Name(conv.dtype) + " n" + std::to_string(conv.batch) +
         " c" + std::to_string(conv.in_channels) + " k" + std::to_string(conv.out_channels) + " g" +
         std::to_string(conv.groups) + " h" + axis(conv.window.h) + " w" + axis(conv.window.w);
}

// FASTCONV_VERBOSE=dispatch: the choice and the refusals of every new problem, once.
void LogDispatch(Conv2DPass pass, const FusedConv2DProblem& problem) {
  const char* verbose = std::getenv("FASTCONV_VERBOSE");
  if (verbose == nullptr || std::string(verbose) != "dispatch") return;
  static std::mutex mutex;
  static std::set<std::string>* const seen = new std::set<std::string>;
  const std::string description = Describe(pass, problem);
  std::lock_guard<std::mutex> lock(mutex);
  if (!seen->insert(description).second) return;
  for (const DispatchEntry& entry : ExplainConv2D(pass, problem)) {
    std::fprintf(stderr, "fastconv: %s: %s: %s\n", description.c_str(),
                 entry.implementation.c_str(),
                 entry.refusal.empty() ? "chosen" : entry.refusal.c_str());
    if (entry.refusal.empty()) break;
  }
}

}  // namespace

Status MakeConv2DPlan(Conv2DPass pass, const FusedConv2DProblem& problem, int num_threads,
                      std::unique_ptr<Conv2DPlan>* plan) {
  LogDispatch(pass, problem);
  for (const Implementation& implementation : ImplementationsOf(pass)) {
    if (!Refusal(implementation, problem).empty()) continue;
    *plan = implementation.make(implementation.name,
                                cpu::GetKernels(implementation.isa, problem.conv.dtype), problem,
                                num_threads);
    return Status();
  }
  return Status(StatusCode::kInternal, "no implementation accepts " + Describe(pass, problem));
}

std::vector<DispatchEntry> ExplainConv2D(Conv2DPass pass, const FusedConv2DProblem& problem) {
  std::vector<DispatchEntry> entries;
  for (const Implementation& implementation : ImplementationsOf(pass)) {
    entries.push_back({implementation.name, Refusal(implementation, problem)});
  }
  return entries;
}

}  // namespace fastconv
