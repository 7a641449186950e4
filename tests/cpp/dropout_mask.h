// What dropout keeps, drawn by a plain Philox.
#ifndef FASTCONV_TESTS_CPP_DROPOUT_MASK_H_
#define FASTCONV_TESTS_CPP_DROPOUT_MASK_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/dtype.h"
#include "core/problem.h"

namespace fastconv::testing {

using Words = std::array<uint32_t, 4>;

// Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (2011).
Words Philox4x32(Words c, uint32_t key0, uint32_t key1);

// values [batch, pixels, channels] -> what dropout leaves of them.
class Mask {
 public:
  Mask(DataType type, const DropoutSpec& spec, int64_t batch, int64_t pixels, int64_t channels);

  std::vector<double> Values(std::vector<double> values) const;
  std::vector<double> Codes(std::vector<double> codes, DataType code_type) const;
  size_t kept() const;
  size_t size() const { return kept_.size(); }

 private:
  DataType type_;
  double scale_;
  std::vector<bool> kept_;
};

}  // namespace fastconv::testing

#endif  // FASTCONV_TESTS_CPP_DROPOUT_MASK_H_
