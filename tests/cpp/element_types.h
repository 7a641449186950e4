// Values of every element type as double, and back: the tests' own conversions, independent of the
// kernels'.
#ifndef FASTCONV_TESTS_CPP_ELEMENT_TYPES_H_
#define FASTCONV_TESTS_CPP_ELEMENT_TYPES_H_

#include <cstddef>
#include <vector>

#include "core/dtype.h"

namespace fastconv::testing {

// The floating-point types of tensors.
inline constexpr DataType kTensorTypes[] = {DataType::kFloat32, DataType::kBFloat16,
                                            DataType::kFloat16, DataType::kFloat64};

// Largest relative error of rounding to a floating-point type: half a unit in the last place.
double UnitRoundoff(DataType type);

// The spacing of the type's numbers just above zero.
double SmallestSpacing(DataType type);

// `value` rounded to the nearest number of `type`, ties to even.
double RoundTo(DataType type, double value);
std::vector<double> RoundTo(DataType type, std::vector<double> values);

// Element `index` of an array of `type`. Store takes values that RoundTo(type) leaves as they are.
double Load(DataType type, const void* data, size_t index);
void Store(DataType type, double value, void* data, size_t index);

}  // namespace fastconv::testing

#endif  // FASTCONV_TESTS_CPP_ELEMENT_TYPES_H_
