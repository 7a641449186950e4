// Max poolings that are tested, and what their maps hold.
#ifndef FASTCONV_TESTS_CPP_MAX_POOL_CASES_H_
#define FASTCONV_TESTS_CPP_MAX_POOL_CASES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "core/dtype.h"
#include "core/problem.h"

namespace fastconv::testing {

struct MaxPoolCase {
  const char* name;
  int64_t batch, height, width, channels;
  const char* pool;
};

inline constexpr MaxPoolCase kMaxPoolCases[] = {
    {"plain", 3, 8, 10, 32, "2x2/2x2"},
    {"one_channel", 2, 9, 7, 1, "2x2/2x2"},
    {"three_channels_same", 2, 9, 7, 3, "2x2/2x2:same"},
    {"odd_channels", 2, 7, 9, 17, "2x2/2x2"},
    {"33_channels_overlap", 2, 11, 10, 33, "3x3/2x2"},
    {"overlap_same", 2, 10, 11, 64, "3x3/2x2:same"},
    {"dense", 1, 8, 9, 16, "3x3/1x1"},
    {"dense_same", 1, 7, 6, 5, "4x5/1x1:same"},
    {"not_square", 2, 9, 11, 31, "2x3/2x3"},
    {"uneven_strides", 2, 9, 11, 16, "3x2/1x3"},
    {"gaps", 2, 11, 13, 15, "2x2/4x3"},
    {"gaps_same", 2, 11, 13, 4, "2x2/3x5:same"},
    {"columns", 2, 3, 20, 16, "1x4/1x4"},
    {"global", 3, 6, 7, 100, "6x7/1x1"},
    {"window_beyond_image_same", 2, 3, 2, 17, "5x7/1x2:same"},
    {"127_positions", 1, 128, 3, 19, "127x1/1x1"},
    {"128_positions", 1, 18, 9, 19, "16x8/1x1"},
    {"129_positions", 1, 5, 45, 16, "3x43/1x1"},
    {"225_positions_same", 1, 17, 18, 3, "15x15/4x4:same"},
    {"single_pixel", 1, 1, 1, 1, "1x1/1x1"},
    {"pixels_of_width_1", 2, 9, 1, 7, "2x1/2x1:same"},
    {"copy", 2, 5, 6, 18, "1x1/1x1"},
    {"subsample", 2, 7, 8, 16, "1x1/2x3"},
    {"empty_batch", 0, 8, 8, 16, "2x2/2x2"},
    {"wide_row", 1, 4, 700, 3, "2x2/2x2"},
    {"many_channels", 1, 4, 5, 1030, "2x2/2x2:same"},
};

// What the map holds.
enum class Numbers { kRandom, kTies, kNotANumber, kAllNotANumber, kInfinities };
inline constexpr Numbers kNumbers[] = {Numbers::kRandom, Numbers::kTies, Numbers::kNotANumber,
                                       Numbers::kAllNotANumber, Numbers::kInfinities};

const char* Name(Numbers numbers);

MaxPoolProblem MakeMaxPoolProblem(const MaxPoolCase& pool_case, DataType type);
std::vector<double> MakeMap(Numbers numbers, DataType type, const std::string& name, int64_t size);

}  // namespace fastconv::testing

#endif  // FASTCONV_TESTS_CPP_MAX_POOL_CASES_H_
