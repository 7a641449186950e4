// The problems of tests/shapes/conv2d.txt.
#ifndef FASTCONV_TESTS_CPP_CONV2D_CASES_H_
#define FASTCONV_TESTS_CPP_CONV2D_CASES_H_

#include <string>
#include <vector>

#include "core/problem.h"

namespace fastconv::testing {

struct Conv2DCase {
  std::string name;
  int line = 0;                // in the file
  FusedConv2DProblem problem;  // of float32
};

// All of them, in order. Ends the program with a message where the file cannot be read.
const std::vector<Conv2DCase>& Conv2DCases();
const Conv2DCase& FindConv2DCase(const std::string& name);

// A problem from a line of the file, without its name.
FusedConv2DProblem ParseConv2DProblem(const std::string& text);

// "2x2/2x2:same": pooling of a map of the given size.
MaxPoolSpec ParseMaxPool(const std::string& text, int64_t height, int64_t width);

}  // namespace fastconv::testing

#endif  // FASTCONV_TESTS_CPP_CONV2D_CASES_H_
