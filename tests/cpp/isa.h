// Runs tests on every instruction set that this machine has.
#ifndef FASTCONV_TESTS_CPP_ISA_H_
#define FASTCONV_TESTS_CPP_ISA_H_

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "core/cpu_features.h"

namespace fastconv::testing {

inline constexpr Isa kIsas[] = {Isa::kBaseline, Isa::kAvx2, Isa::kAvx512};

// Sets FASTCONV_MAX_ISA for its lifetime, then restores what was there.
class ScopedMaxIsa {
 public:
  explicit ScopedMaxIsa(const std::string& value) {
    if (const char* previous = std::getenv(kVariable)) {
      was_set_ = true;
      previous_ = previous;
    }
    setenv(kVariable, value.c_str(), /*overwrite=*/1);
  }
  explicit ScopedMaxIsa(Isa isa) : ScopedMaxIsa(std::string(Name(isa))) {}
  ~ScopedMaxIsa() {
    if (was_set_) {
      setenv(kVariable, previous_.c_str(), /*overwrite=*/1);
    } else {
      unsetenv(kVariable);
    }
  }
  ScopedMaxIsa(const ScopedMaxIsa&) = delete;
  ScopedMaxIsa& operator=(const ScopedMaxIsa&) = delete;

 private:
  static constexpr char kVariable[] = "FASTCONV_MAX_ISA";
  bool was_set_ = false;
  std::string previous_;
};

#define FASTCONV_SKIP_WITHOUT(isa)                                                       \
  if ((isa) > DetectedIsa()) {                                                           \
    GTEST_SKIP() << "this CPU has no " << Name(isa) << ", only " << Name(DetectedIsa()); \
  }

}  // namespace fastconv::testing

#endif  // FASTCONV_TESTS_CPP_ISA_H_
