// Times every algorithm that accepts a problem, in turn, and prints a table: the evidence behind
// the refusals of csrc/core/dispatch.
//
//   compare_algorithms [threads] < tests/shapes/algorithms.txt
//
// Milliseconds per call, medians; FASTCONV_MAX_ISA chooses the instruction set.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "conv2d_cases.h"
#include "conv2d_harness.h"
#include "core/conv2d.h"
#include "core/cpu_features.h"
#include "thread_pools.h"

namespace fastconv::testing {
namespace {

constexpr int kWarmUpRounds = 2;
constexpr int kRounds = 11;

class AlignedBytes {
 public:
  explicit AlignedBytes(size_t bytes)
      : data_(std::aligned_alloc(64, (bytes + 63) / 64 * 64), std::free) {}
  void* get() const { return data_.get(); }

 private:
  std::unique_ptr<void, void (*)(void*)> data_;
};

// Aligned as frameworks align tensors, without which kernels do not store around the caches.
AlignedBytes RandomFloats(int64_t count) {
  std::mt19937 engine(static_cast<uint32_t>(count));
  std::uniform_real_distribution<float> distribution(-1, 1);
  AlignedBytes tensor(count * sizeof(float));
  float* values = static_cast<float*>(tensor.get());
  for (int64_t i = 0; i < count; ++i) values[i] = distribution(engine);
  return tensor;
}

double Milliseconds(const Conv2DPlan& plan, const Conv2DArgs& args, void* workspace,
                    ThreadPool* pool) {
  const auto start = std::chrono::steady_clock::now();
  if (!plan.Execute(args, workspace, pool).ok()) std::abort();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

void Compare(const std::string& name, const FusedConv2DProblem& problem, ThreadPool* pool) {
  const Conv2DProblem& conv = problem.conv;
  const int64_t inputs = conv.batch * conv.window.h.in * conv.window.w.in * conv.in_channels;
  const AlignedBytes filter = RandomFloats(conv.filter_size());
  const AlignedBytes x = RandomFloats(inputs);
  const AlignedBytes y = RandomFloats(conv.output_pixels() * conv.out_channels);
  const AlignedBytes dfilter(conv.filter_size() * sizeof(float));
  for (Conv2DPass pass :
       {Conv2DPass::kForward, Conv2DPass::kBackwardInput, Conv2DPass::kBackwardFilter}) {
    Conv2DArgs args;
    args.filter = filter.get();
    args.x = args.dx = x.get();
    args.dy = args.y = y.get();
    args.dfilter = dfilter.get();
    const std::vector<std::string> names = ImplementationsOf(pass, problem, ActiveIsa());
    std::vector<std::unique_ptr<Conv2DPlan>> plans(names.size());
    std::vector<AlignedBytes> workspaces;
    for (size_t i = 0; i < names.size(); ++i) {
      if (!MakeConv2DPlan(pass, problem, pool->num_threads(), &plans[i], names[i]).ok())
        std::abort();
      workspaces.emplace_back(plans[i]->workspace_bytes());
    }
    std::vector<std::vector<double>> times(names.size());
    for (int round = -kWarmUpRounds; round < kRounds; ++round) {
      for (size_t i = 0; i < names.size(); ++i) {
        const double time = Milliseconds(*plans[i], args, workspaces[i].get(), pool);
        if (round >= 0) times[i].push_back(time);
      }
    }
    std::printf("| %s | %s |", name.c_str(), Name(pass));
    for (size_t i = 0; i < names.size(); ++i) {
      std::printf(" %s %.2f |", names[i].c_str(), Median(times[i]));
    }
    if (names.size() == 2) std::printf(" %.2f |", Median(times[1]) / Median(times[0]));
    std::printf("\n");
    std::fflush(stdout);
  }
}

int Main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 2;
  if (threads < 1) {
    std::fprintf(stderr, "The number of threads must be at least 1. Received: %s\n", argv[1]);
    return 2;
  }
  WorkerThreadPool pool(threads);
  std::printf(
      "%d threads, %s\n\n| problem | pass | first | second | ratio |\n|---|---|---|---|---|\n",
      threads, Name(ActiveIsa()));
  for (std::string line; std::getline(std::cin, line);) {
    line = line.substr(0, line.find('#'));
    std::istringstream words(line);
    std::string name, rest;
    if (!(words >> name)) continue;
    std::getline(words, rest);
    Compare(name, ParseConv2DProblem(rest), &pool);
  }
  return 0;
}

}  // namespace
}  // namespace fastconv::testing

int main(int argc, char** argv) { return fastconv::testing::Main(argc, argv); }
