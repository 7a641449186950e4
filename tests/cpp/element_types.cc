#include "element_types.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

namespace fastconv::testing {
namespace {

// A binary floating-point format: `fraction_bits` after the leading one, exponents from
// `min_exponent` (below it: subnormal numbers) to `max_exponent`.
struct Format {
  int fraction_bits;
  int min_exponent;
  int max_exponent;
};

Format FormatOf(DataType type) {
  switch (type) {
    case DataType::kFloat32:
      return {23, -126, 127};
    case DataType::kBFloat16:
      return {7, -126, 127};
    case DataType::kFloat16:
      return {10, -14, 15};
    default:
      return {52, -1022, 1023};
  }
}

template <typename T>
T LoadAs(const void* data, size_t index) {
  T value;
  std::memcpy(&value, static_cast<const char*>(data) + index * sizeof(T), sizeof(T));
  return value;
}

template <typename T>
void StoreAs(T value, void* data, size_t index) {
  std::memcpy(static_cast<char*>(data) + index * sizeof(T), &value, sizeof(T));
}

// Sign, biased exponent and fraction, 16 bits in all.
uint16_t Encode16(const Format& format, double value) {
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const int exponent_mask = (1 << (15 - format.fraction_bits)) - 1;
  if (std::isnan(value)) return sign | 0x7fff;
  if (std::isinf(value)) return sign | static_cast<uint16_t>(exponent_mask << format.fraction_bits);
  const double magnitude = std::fabs(value);
  const int exponent =
      magnitude == 0 ? format.min_exponent : std::max(std::ilogb(magnitude), format.min_exponent);
  // The leading one of a normal number carries into the exponent field, which starts at 0.
  const auto significand =
      static_cast<uint16_t>(std::ldexp(magnitude, format.fraction_bits - exponent));
  return sign | static_cast<uint16_t>(((exponent - format.min_exponent) << format.fraction_bits) +
                                      significand);
}

double Decode16(const Format& format, uint16_t bits) {
  const int exponent_mask = (1 << (15 - format.fraction_bits)) - 1;
  const int exponent = bits >> format.fraction_bits & exponent_mask;
  const int fraction = bits & ((1 << format.fraction_bits) - 1);
  double magnitude;
  if (exponent == exponent_mask) {
    magnitude = fraction == 0 ? std::numeric_limits<double>::infinity()
                              : std::numeric_limits<double>::quiet_NaN();
  } else if (exponent == 0) {
    magnitude = std::ldexp(fraction, format.min_exponent - format.fraction_bits);
  } else {
    magnitude = std::ldexp((1 << format.fraction_bits) + fraction,
                           exponent - 1 + format.min_exponent - format.fraction_bits);
  }
  return bits & 0x8000 ? -magnitude : magnitude;
}

}  // namespace

double UnitRoundoff(DataType type) { return std::ldexp(1, -FormatOf(type).fraction_bits - 1); }

double SmallestSpacing(DataType type) {
  const Format format = FormatOf(type);
  return std::ldexp(1, format.min_exponent - format.fraction_bits);
}

double RoundTo(DataType type, double value) {
  if (type == DataType::kFloat64 || value == 0 || !std::isfinite(value)) return value;
  const Format format = FormatOf(type);
  const int exponent = std::max(std::ilogb(value), format.min_exponent);
  const double spacing = std::ldexp(1, exponent - format.fraction_bits);
  const double rounded = std::nearbyint(value / spacing) * spacing;
  if (std::fabs(rounded) >= std::ldexp(1, format.max_exponent + 1)) {
    return std::copysign(std::numeric_limits<double>::infinity(), value);
  }
  return rounded;
}

std::vector<double> RoundTo(DataType type, std::vector<double> values) {
  for (double& value : values) value = RoundTo(type, value);
  return values;
}

double Load(DataType type, const void* data, size_t index) {
  switch (type) {
    case DataType::kFloat32:
      return LoadAs<float>(data, index);
    case DataType::kFloat64:
      return LoadAs<double>(data, index);
    case DataType::kUint8:
      return LoadAs<uint8_t>(data, index);
    case DataType::kInt32:
      return LoadAs<int32_t>(data, index);
    case DataType::kBFloat16:
    case DataType::kFloat16:
      return Decode16(FormatOf(type), LoadAs<uint16_t>(data, index));
  }
  return 0;
}

void Store(DataType type, double value, void* data, size_t index) {
  switch (type) {
    case DataType::kFloat32:
      return StoreAs(static_cast<float>(value), data, index);
    case DataType::kFloat64:
      return StoreAs(value, data, index);
    case DataType::kUint8:
      return StoreAs(static_cast<uint8_t>(value), data, index);
    case DataType::kInt32:
      return StoreAs(static_cast<int32_t>(value), data, index);
    case DataType::kBFloat16:
    case DataType::kFloat16:
      return StoreAs(Encode16(FormatOf(type), value), data, index);
  }
}

}  // namespace fastconv::testing
