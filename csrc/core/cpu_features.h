// What this CPU can run, capped by FASTCONV_MAX_ISA.
#ifndef FASTCONV_CORE_CPU_FEATURES_H_
#define FASTCONV_CORE_CPU_FEATURES_H_

#include <string>

namespace fastconv {

// Ordered: a later one is wider.
enum class Isa { kBaseline, kAvx2, kAvx512 };

constexpr const char* Name(Isa isa) {
  switch (isa) {
    case Isa::kBaseline:
      return "baseline";
    case Isa::kAvx2:
      return "avx2";
    case Isa::kAvx512:
      return "avx512";
  }
  return "unknown";
}

// The widest instruction set that the CPU and the operating system support.
Isa DetectedIsa();
// DetectedIsa(), lowered to FASTCONV_MAX_ISA ("baseline", "avx2", "avx512") where that is set. Read
// at each call, so that one process can test every path. Another value of the variable: see
// MaxIsaError().
Isa ActiveIsa();
// Empty, or what is wrong with FASTCONV_MAX_ISA and what to set; ActiveIsa() ignores such a value.
std::string MaxIsaError();

}  // namespace fastconv

#endif  // FASTCONV_CORE_CPU_FEATURES_H_
