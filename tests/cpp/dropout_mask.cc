#include "dropout_mask.h"

#include <cmath>
#include <utility>

#include "element_types.h"

namespace fastconv::testing {

Words Philox4x32(Words c, uint32_t key0, uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53} * c[0], b = uint64_t{0xCD9E8D57} * c[2];
    c = {static_cast<uint32_t>(b >> 32) ^ c[1] ^ key0, static_cast<uint32_t>(b),
         static_cast<uint32_t>(a >> 32) ^ c[3] ^ key1, static_cast<uint32_t>(a)};
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
  return c;
}

namespace {

// Number `index` of TensorFlow's stateless_random_uniform(seed) of a type, in [0, 1).
double Uniform(DataType type, const int32_t* seed, uint64_t index) {
  const int64_t seed0 = seed[0], seed1 = seed[1];
  const Words mix = Philox4x32({static_cast<uint32_t>(seed0), static_cast<uint32_t>(seed0 >> 32),
                                static_cast<uint32_t>(seed1), static_cast<uint32_t>(seed1 >> 32)},
                               0x3EC8F720, 0x02461E29);
  const uint64_t per_counter = type == DataType::kFloat64 ? 2 : 4;
  const uint64_t counter = index / per_counter;
  const Words words = Philox4x32(
      {static_cast<uint32_t>(counter), static_cast<uint32_t>(counter >> 32), mix[2], mix[3]},
      mix[0], mix[1]);
  const uint64_t part = index % per_counter;
  switch (type) {
    case DataType::kBFloat16:
      return std::ldexp(words[part] & 0x7F, -7);
    case DataType::kFloat16:
      return std::ldexp(words[part] & 0x3FF, -10);
    case DataType::kFloat64:
      return std::ldexp(
          static_cast<double>((uint64_t{words[2 * part] & 0xFFFFF} << 32) | words[2 * part + 1]),
          -52);
    default:
      return std::ldexp(words[part] & 0x7FFFFF, -23);
  }
}

}  // namespace

Mask::Mask(DataType type, const DropoutSpec& spec, int64_t batch, int64_t pixels, int64_t channels)
    : type_(type), scale_(spec.rate < 1 ? RoundTo(type, 1 / (1 - spec.rate)) : 0) {
  const double rate = RoundTo(type, spec.rate);
  for (int64_t index = 0; index < batch * pixels * channels; ++index) {
    const int64_t number = spec.kind == DropoutKind::kElements
                               ? index
                               : index / (pixels * channels) * channels + index % channels;
    kept_.push_back(Uniform(type, spec.seed, number) >= rate);
  }
}

std::vector<double> Mask::Values(std::vector<double> values) const {
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = kept_[i] ? RoundTo(type_, values[i] * scale_) : 0;
  }
  return values;
}

std::vector<double> Mask::Codes(std::vector<double> codes, DataType code_type) const {
  const double dropped = code_type == DataType::kUint8 ? 0x7F : 0x7FFFFFFF;
  for (size_t i = 0; i < codes.size(); ++i) codes[i] = kept_[i] ? codes[i] : dropped;
  return codes;
}

size_t Mask::kept() const {
  size_t count = 0;
  for (bool kept : kept_) count += kept;
  return count;
}

}  // namespace fastconv::testing
