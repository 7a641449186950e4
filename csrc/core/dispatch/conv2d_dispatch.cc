#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <set>
#include <string>

#include "core/conv2d.h"
#include "core/cpu/conv2d/passes.h"
#include "core/cpu/direct/direct.h"
#include "core/cpu/few_outputs/few_outputs.h"
#include "core/cpu/grouped/grouped.h"
#include "core/cpu/implicit_gemm/implicit_gemm.h"
#include "core/cpu/kernels/kernels.h"
#include "core/cpu/winograd/winograd.h"
#include "core/cpu_features.h"

namespace fastconv {
namespace {

using MakePlan = std::unique_ptr<Conv2DPlan> (*)(const char* name, const cpu::Kernels& kernels,
                                                 const FusedConv2DProblem& problem,
                                                 int num_threads);

struct Implementation {
  std::string name;
  Isa isa;
  // Empty, or why this implementation is not able to do the problem.
  std::string (*inability)(const FusedConv2DProblem& problem);
  // Empty, or why another one is faster.
  std::string (*disadvantage)(Conv2DPass pass, const FusedConv2DProblem& problem);
  MakePlan make;
};

std::string NoInability(const FusedConv2DProblem&) { return ""; }
std::string NoDisadvantage(Conv2DPass, const FusedConv2DProblem&) { return ""; }

template <cpu::MakeTapAlgorithm make_algorithm>
std::unique_ptr<Conv2DPlan> Forward(const char* name, const cpu::Kernels& kernels,
                                    const FusedConv2DProblem& problem, int num_threads) {
  return cpu::MakeForward(name, kernels, problem, num_threads, make_algorithm);
}

template <cpu::MakeTapAlgorithm make_algorithm>
std::unique_ptr<Conv2DPlan> BackwardInput(const char* name, const cpu::Kernels& kernels,
                                          const FusedConv2DProblem& problem, int num_threads) {
  return cpu::MakeBackwardInput(name, kernels, problem, num_threads, make_algorithm);
}

template <cpu::MakeFilterGradAlgorithm make_algorithm>
std::unique_ptr<Conv2DPlan> BackwardFilter(const char* name, const cpu::Kernels& kernels,
                                           const FusedConv2DProblem& problem, int num_threads) {
  return cpu::MakeBackwardFilter(name, kernels, problem, num_threads, make_algorithm);
}

// An algorithm of one pass.
struct Algorithm {
  std::string name;
  decltype(Implementation::inability) inability;
  decltype(Implementation::disadvantage) disadvantage;
  MakePlan make;
};

// `algorithms`, best first and the last one takes everything, for each instruction set.
std::vector<Implementation> ListOf(const std::vector<Algorithm>& algorithms) {
  std::vector<Implementation> implementations;
  for (Isa isa : {Isa::kAvx512, Isa::kAvx2, Isa::kBaseline}) {
    for (const Algorithm& algorithm : algorithms) {
      implementations.push_back({algorithm.name + ":" + Name(isa), isa, algorithm.inability,
                                 algorithm.disadvantage, algorithm.make});
    }
  }
  return implementations;
}

const std::vector<Implementation>& ImplementationsOf(Conv2DPass pass) {
  static const std::vector<Implementation> forward = ListOf(
      {{"winograd", cpu::WinogradInability, cpu::WinogradDisadvantage, Forward<cpu::MakeWinograd>},
       {"grouped", cpu::GroupedInability, cpu::GroupedDisadvantage, Forward<cpu::MakeGrouped>},
       {"few_outputs", cpu::FewOutputsForwardInability, cpu::FewOutputsDisadvantage,
        Forward<cpu::MakeFewOutputs>},
       {"direct", cpu::DirectForwardInability, cpu::DirectDisadvantage, Forward<cpu::MakeDirect>},
       {"implicit_gemm", NoInability, NoDisadvantage, Forward<cpu::MakeImplicitGemm>}});
  static const std::vector<Implementation> backward_input = ListOf(
      {{"winograd_adjoint", cpu::WinogradInability, cpu::WinogradAdjointDisadvantage,
        BackwardInput<cpu::MakeWinogradAdjoint>},
       {"winograd", cpu::WinogradInability, cpu::WinogradDisadvantage,
        BackwardInput<cpu::MakeWinograd>},
       {"grouped", cpu::GroupedInability, cpu::GroupedDisadvantage,
        BackwardInput<cpu::MakeGrouped>},
       {"few_outputs", cpu::FewOutputsBackwardInputInability, cpu::FewOutputsDisadvantage,
        BackwardInput<cpu::MakeFewOutputs>},
       {"implicit_gemm", NoInability, NoDisadvantage, BackwardInput<cpu::MakeImplicitGemm>}});
  static const std::vector<Implementation> backward_filter =
      ListOf({{"winograd", cpu::WinogradInability, cpu::WinogradDisadvantage,
               cpu::MakeWinogradBackwardFilter},
              {"grouped", cpu::GroupedInability, cpu::GroupedDisadvantage,
               BackwardFilter<cpu::MakeGroupedFilterGrad>},
              {"direct", cpu::DirectFilterGradInability, cpu::DirectDisadvantage,
               BackwardFilter<cpu::MakeDirectFilterGrad>},
              {"implicit_gemm", NoInability, NoDisadvantage,
               BackwardFilter<cpu::MakeImplicitGemmFilterGrad>}});
  switch (pass) {
    case Conv2DPass::kForward:
      return forward;
    case Conv2DPass::kBackwardInput:
      return backward_input;
    case Conv2DPass::kBackwardFilter:
      break;
  }
  return backward_filter;
}

std::string Inability(const Implementation& implementation, const FusedConv2DProblem& problem) {
  if (implementation.isa > DetectedIsa()) {
    return std::string("this CPU has no ") + Name(implementation.isa);
  }
  if (implementation.isa > ActiveIsa()) {
    return std::string("FASTCONV_MAX_ISA allows no more than ") + Name(ActiveIsa());
  }
  return implementation.inability(problem);
}

std::string Refusal(const Implementation& implementation, Conv2DPass pass,
                    const FusedConv2DProblem& problem) {
  const std::string inability = Inability(implementation, problem);
  return inability.empty() ? implementation.disadvantage(pass, problem) : inability;
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

// The same problem without the last rows and columns of the map where no pooling window reads them:
// they change no result, and their gradient is zero.
FusedConv2DProblem WithoutUnreadResults(FusedConv2DProblem problem) {
  MaxPoolSpec& pool = problem.epilogue.pool;
  if (!pool.enabled) return problem;
  const auto trim = [](WindowAxis* convolution, WindowAxis* pooling) {
    const int64_t last = (pooling->out - 1) * pooling->stride - pooling->pad_before;
    pooling->in = std::min(pooling->in, last + pooling->extent());
    convolution->out = pooling->in;
  };
  trim(&problem.conv.window.h, &pool.window.h);
  trim(&problem.conv.window.w, &pool.window.w);
  return problem;
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

Status MakeConv2DPlan(Conv2DPass pass, const FusedConv2DProblem& described, int num_threads,
                      std::unique_ptr<Conv2DPlan>* plan, const std::string& implementation) {
  const FusedConv2DProblem problem = WithoutUnreadResults(described);
  if (implementation.empty()) LogDispatch(pass, problem);
  for (const Implementation& candidate : ImplementationsOf(pass)) {
    const bool takes = implementation.empty() ? Refusal(candidate, pass, problem).empty()
                                              : implementation == candidate.name &&
                                                    Inability(candidate, problem).empty();
    if (!takes) continue;
    *plan =
        candidate.make(candidate.name.c_str(), cpu::GetKernels(candidate.isa, problem.conv.dtype),
                       problem, num_threads);
    return Status();
  }
  return Status(StatusCode::kInternal,
                (implementation.empty() ? "No implementation" : implementation) +
                    " does not accept " + Describe(pass, problem));
}

std::vector<DispatchEntry> ExplainConv2D(Conv2DPass pass, const FusedConv2DProblem& described) {
  const FusedConv2DProblem problem = WithoutUnreadResults(described);
  std::vector<DispatchEntry> entries;
  for (const Implementation& implementation : ImplementationsOf(pass)) {
    entries.push_back({implementation.name, Refusal(implementation, pass, problem),
                       Inability(implementation, problem).empty()});
  }
  return entries;
}

}  // namespace fastconv
