#include "core/cpu_features.h"

#include <algorithm>
#include <cstdlib>
#include <optional>

namespace fastconv {
namespace {

constexpr char kMaxIsaVariable[] = "FASTCONV_MAX_ISA";

// Unset or empty: no cap. Invalid: nullopt.
std::optional<Isa> MaxIsa() {
  const char* value = std::getenv(kMaxIsaVariable);
  if (value == nullptr || *value == '\0') return Isa::kAvx512;
  for (Isa isa : {Isa::kBaseline, Isa::kAvx2, Isa::kAvx512}) {
    if (std::string(value) == Name(isa)) return isa;
  }
  return std::nullopt;
}

}  // namespace

Isa DetectedIsa() {
#if defined(__x86_64__)
  static const Isa detected = [] {
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                      __builtin_cpu_supports("f16c");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                        __builtin_cpu_supports("avx512vl");
    return avx512 ? Isa::kAvx512 : avx2 ? Isa::kAvx2 : Isa::kBaseline;
  }();
  return detected;
#else
  return Isa::kBaseline;
#endif
}

Isa ActiveIsa() { return std::min(DetectedIsa(), MaxIsa().value_or(Isa::kAvx512)); }

std::string MaxIsaError() {
  if (MaxIsa().has_value()) return "";
  return std::string(kMaxIsaVariable) +
         " must be one of: baseline, avx2, avx512. Received: " + std::getenv(kMaxIsaVariable);
}

}  // namespace fastconv
