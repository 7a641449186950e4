// The shape rule against a table written by hand from TensorFlow's documentation and outputs, and
// against counting window positions one by one.
#include "core/shape.h"

#include <gtest/gtest.h>

#include <string>

namespace fastconv {
namespace {

WindowAxis Axis(int64_t in, int64_t window, int64_t stride, int64_t dilation = 1,
                int64_t pad_before = 0, int64_t pad_after = 0) {
  WindowAxis axis;
  axis.in = in;
  axis.window = window;
  axis.stride = stride;
  axis.dilation = dilation;
  axis.pad_before = pad_before;
  axis.pad_after = pad_after;
  return axis;
}

struct Row {
  Padding padding;
  int64_t in, window, stride, dilation;
  int64_t given_before, given_after;
  int64_t out, pad_before, pad_after;
};

// clang-format off
constexpr Row kTable[] = {
    //                      in  window stride dilation  given    out  before after
    {Padding::kValid,       32,   3,     1,     1,      0, 0,     30,   0,   0},
    {Padding::kValid,       30,   2,     2,     1,      0, 0,     15,   0,   0},
    {Padding::kValid,       15,   2,     2,     1,      0, 0,      7,   0,   0},
    {Padding::kValid,       13,   2,     2,     1,      0, 0,      6,   0,   0},
    {Padding::kValid,      227,  11,     4,     1,      0, 0,     55,   0,   0},
    {Padding::kValid,        9,   3,     1,     2,      0, 0,      5,   0,   0},
    {Padding::kValid,        5,   5,     3,     1,      0, 0,      1,   0,   0},
    {Padding::kValid,        1,   1,     1,     1,      0, 0,      1,   0,   0},
    {Padding::kSame,        32,   3,     1,     1,      0, 0,     32,   1,   1},
    {Padding::kSame,        32,   2,     1,     1,      0, 0,     32,   0,   1},
    {Padding::kSame,        32,   5,     1,     1,      0, 0,     32,   2,   2},
    {Padding::kSame,        32,   4,     1,     1,      0, 0,     32,   1,   2},
    {Padding::kSame,         8,   3,     2,     1,      0, 0,      4,   0,   1},
    {Padding::kSame,         9,   3,     2,     1,      0, 0,      5,   1,   1},
    {Padding::kSame,       224,   7,     2,     1,      0, 0,    112,   2,   3},
    {Padding::kSame,        10,   5,     3,     1,      0, 0,      4,   2,   2},
    {Padding::kSame,        11,   5,     3,     1,      0, 0,      4,   1,   2},
    {Padding::kSame,         9,   2,     2,     1,      0, 0,      5,   0,   1},
    {Padding::kSame,        11,   2,     3,     1,      0, 0,      4,   0,   0},  // windows leave gaps
    {Padding::kSame,         1,   7,     1,     1,      0, 0,      1,   3,   3},
    {Padding::kSame,         9,   3,     1,     2,      0, 0,      9,   2,   2},
    {Padding::kSame,         8,   2,     1,     3,      0, 0,      8,   1,   2},
    {Padding::kSame,         8,   2,     1,     3,      7, 9,      8,   1,   2},  // given ones are replaced
    {Padding::kExplicit,     7,   3,     1,     1,      2, 0,      7,   2,   0},
    {Padding::kExplicit,     4,   3,     1,     1,      5, 4,     11,   5,   4},
    {Padding::kExplicit,     4,   2,     2,     1,      4, 3,      5,   4,   3},
    {Padding::kExplicit,     1,   3,     1,     1,      1, 1,      1,   1,   1},
    {Padding::kExplicit,    10,   3,     2,     2,      1, 2,      5,   1,   2},
};
// clang-format on

TEST(ResolveAxisTest, FollowsTheTable) {
  for (const Row& row : kTable) {
    SCOPED_TRACE("in " + std::to_string(row.in) + ", window " + std::to_string(row.window) +
                 ", stride " + std::to_string(row.stride) + ", dilation " +
                 std::to_string(row.dilation));
    WindowAxis axis =
        Axis(row.in, row.window, row.stride, row.dilation, row.given_before, row.given_after);
    const Status status = ResolveAxis("height", row.padding, &axis);
    ASSERT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(axis.out, row.out);
    EXPECT_EQ(axis.pad_before, row.pad_before);
    EXPECT_EQ(axis.pad_after, row.pad_after);
  }
}

// Windows that fit into the padded axis, counted.
int64_t CountWindows(const WindowAxis& axis) {
  int64_t count = 0;
  while (count * axis.stride + (axis.window - 1) * axis.dilation <
         axis.pad_before + axis.in + axis.pad_after) {
    ++count;
  }
  return count;
}

TEST(ResolveAxisTest, AgreesWithCounting) {
  for (int64_t in = 1; in <= 12; ++in) {
    for (int64_t window = 1; window <= 7; ++window) {
      for (int64_t stride = 1; stride <= 4; ++stride) {
        for (int64_t dilation = 1; dilation <= 3; ++dilation) {
          SCOPED_TRACE("in " + std::to_string(in) + ", window " + std::to_string(window) +
                       ", stride " + std::to_string(stride) + ", dilation " +
                       std::to_string(dilation));
          WindowAxis valid = Axis(in, window, stride, dilation);
          const int64_t expected = CountWindows(valid);
          EXPECT_EQ(ResolveAxis("height", Padding::kValid, &valid).ok(), expected > 0);
          if (expected > 0) {
            EXPECT_EQ(valid.out, expected);
          }

          WindowAxis padded = Axis(in, window, stride, dilation, 3, 2);
          const int64_t expected_padded = CountWindows(padded);
          EXPECT_EQ(ResolveAxis("height", Padding::kExplicit, &padded).ok(), expected_padded > 0);
          if (expected_padded > 0) {
            EXPECT_EQ(padded.out, expected_padded);
          }

          // One output per stride begun, no more padding than that needs, the odd one behind.
          WindowAxis same = Axis(in, window, stride, dilation);
          ASSERT_TRUE(ResolveAxis("height", Padding::kSame, &same).ok());
          int64_t starts = 0;
          for (int64_t start = 0; start < in; start += stride) ++starts;
          EXPECT_EQ(same.out, starts);
          const int64_t odd = same.pad_after - same.pad_before;
          EXPECT_TRUE(odd == 0 || odd == 1) << odd;
          const int64_t last = (same.out - 1) * stride - same.pad_before + (window - 1) * dilation;
          if (same.pad_before + same.pad_after > 0) {
            EXPECT_EQ(last, in - 1 + same.pad_after);
          } else {
            EXPECT_LT(last, in);
          }
        }
      }
    }
  }
}

TEST(ResolveAxisTest, UnknownSizesStayUnknown) {
  for (Padding padding : {Padding::kValid, Padding::kSame, Padding::kExplicit}) {
    WindowAxis unknown_in = Axis(kUnknown, 3, 2);
    ASSERT_TRUE(ResolveAxis("height", padding, &unknown_in).ok());
    EXPECT_EQ(unknown_in.out, kUnknown);
    WindowAxis unknown_window = Axis(8, kUnknown, 1);
    ASSERT_TRUE(ResolveAxis("height", padding, &unknown_window).ok());
    EXPECT_EQ(unknown_window.out, kUnknown);
  }
}

void ExpectRefusal(Padding padding, WindowAxis axis, const std::string& received) {
  const Status status = ResolveAxis("height", padding, &axis);
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("height"), std::string::npos) << status.message();
  const size_t found = status.message().find("Received: ");
  ASSERT_NE(found, std::string::npos) << status.message();
  EXPECT_NE(status.message().find(received, found), std::string::npos) << status.message();
}

TEST(ResolveAxisTest, RefusesWhatHasNoMeaning) {
  for (Padding padding : {Padding::kValid, Padding::kSame, Padding::kExplicit}) {
    ExpectRefusal(padding, Axis(8, 0, 1), "0");
    ExpectRefusal(padding, Axis(8, -2, 1), "-2");
    ExpectRefusal(padding, Axis(8, 3, 0), "0");
    ExpectRefusal(padding, Axis(8, 3, -1), "-1");
    ExpectRefusal(padding, Axis(8, 3, 1, 0), "0");
    ExpectRefusal(padding, Axis(kUnknown, 3, 0), "0");
  }
  ExpectRefusal(Padding::kExplicit, Axis(8, 3, 1, 1, -1, 0), "-1");
  ExpectRefusal(Padding::kExplicit, Axis(8, 3, 1, 1, 0, -4), "-4");
}

TEST(ResolveAxisTest, RefusesOutputSizesBelowOne) {
  ExpectRefusal(Padding::kValid, Axis(2, 3, 1), "2");
  ExpectRefusal(Padding::kValid, Axis(4, 3, 1, 2), "4");
  ExpectRefusal(Padding::kExplicit, Axis(1, 5, 1, 1, 1, 2), "1");
  ExpectRefusal(Padding::kSame, Axis(0, 3, 1), "0");
}

}  // namespace
}  // namespace fastconv
