#include "conv2d_cases.h"

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>

namespace fastconv::testing {
namespace {

[[noreturn]] void Fail(const std::string& message) {
  std::cerr << FASTCONV_SHAPES_DIR "/conv2d.txt: " << message << std::endl;
  std::exit(1);
}

void Require(bool condition, const std::string& message) {
  if (!condition) Fail(message);
}

std::vector<int64_t> ParseInts(const std::string& text, char separator, size_t count) {
  std::vector<int64_t> values;
  std::istringstream stream(text);
  for (std::string item; std::getline(stream, item, separator);) {
    Require(!item.empty() && item.find_first_not_of("0123456789") == std::string::npos,
            "not a number: '" + item + "' in '" + text + "'");
    values.push_back(std::stoll(item));
  }
  Require(values.size() == count, "wrong number of sizes: '" + text + "'");
  return values;
}

WindowAxis Resolve(WindowAxis axis, Padding padding, const std::string& what) {
  const Status status = ResolveAxis(what.c_str(), padding, &axis);
  Require(status.ok(), status.message());
  return axis;
}

WindowAxis ConvAxis(int64_t in, int64_t window, int64_t stride, int64_t dilation,
                    const std::string& padding, size_t axis_index) {
  WindowAxis axis;
  axis.in = in;
  axis.window = window;
  axis.stride = stride;
  axis.dilation = dilation;
  const char* name = axis_index == 0 ? "height" : "width";
  if (padding == "valid") return Resolve(axis, Padding::kValid, name);
  if (padding == "same") return Resolve(axis, Padding::kSame, name);
  const std::vector<int64_t> paddings = ParseInts(padding, ',', 4);
  axis.pad_before = paddings[2 * axis_index];
  axis.pad_after = paddings[2 * axis_index + 1];
  return Resolve(axis, Padding::kExplicit, name);
}

void SetActivation(const std::string& text, Epilogue* epilogue) {
  constexpr char kLeaky[] = "leaky:";
  if (text == "relu") {
    epilogue->activation = Activation::kRelu;
  } else {
    Require(text.rfind(kLeaky, 0) == 0, "no such activation: " + text);
    epilogue->activation = Activation::kLeakyRelu;
    epilogue->negative_slope = std::stof(text.substr(sizeof(kLeaky) - 1));
  }
}

std::vector<Conv2DCase> LoadCases() {
  std::ifstream file(FASTCONV_SHAPES_DIR "/conv2d.txt");
  Require(file.good(), "cannot be read");
  std::vector<Conv2DCase> cases;
  int line_number = 0;
  for (std::string line; std::getline(file, line);) {
    ++line_number;
    std::istringstream stream(line);
    Conv2DCase conv_case;
    if (!(stream >> conv_case.name) || conv_case.name[0] == '#') continue;
    std::string problem;
    std::getline(stream, problem);
    conv_case.line = line_number;
    conv_case.problem = ParseConv2DProblem(problem);
    cases.push_back(conv_case);
  }
  return cases;
}

}  // namespace

MaxPoolSpec ParseMaxPool(const std::string& text, int64_t height, int64_t width) {
  const size_t slash = text.find('/');
  const size_t colon = text.find(':');
  Require(slash != std::string::npos, "pool needs window/strides: " + text);
  const std::vector<int64_t> window = ParseInts(text.substr(0, slash), 'x', 2);
  const std::vector<int64_t> strides = ParseInts(text.substr(slash + 1, colon - slash - 1), 'x', 2);
  const bool same = colon != std::string::npos;
  Require(!same || text.substr(colon) == ":same", "no such pool padding: " + text);
  const Padding padding = same ? Padding::kSame : Padding::kValid;
  MaxPoolSpec pool;
  pool.enabled = true;
  pool.window.h.in = height;
  pool.window.h.window = window[0];
  pool.window.h.stride = strides[0];
  pool.window.w.in = width;
  pool.window.w.window = window[1];
  pool.window.w.stride = strides[1];
  pool.window.h = Resolve(pool.window.h, padding, "pooled height");
  pool.window.w = Resolve(pool.window.w, padding, "pooled width");
  pool.code_type =
      pool.positions() <= MaxPoolSpec::kMaxUint8Positions ? DataType::kUint8 : DataType::kInt32;
  return pool;
}

FusedConv2DProblem ParseConv2DProblem(const std::string& text) {
  std::map<std::string, std::string> fields = {
      {"stride", "1x1"}, {"dilation", "1x1"}, {"groups", "1"}, {"padding", "valid"}};
  std::istringstream stream(text);
  for (std::string field; stream >> field;) {
    const size_t equals = field.find('=');
    const std::string key = field.substr(0, equals);
    fields[key] = equals == std::string::npos ? "" : field.substr(equals + 1);
  }
  const auto take = [&fields](const std::string& key) {
    const auto found = fields.find(key);
    if (found == fields.end()) return std::string();
    const std::string value = found->second;
    fields.erase(found);
    return value;
  };
  const auto take_flag = [&fields](const std::string& key) { return fields.erase(key) > 0; };

  const std::vector<int64_t> x = ParseInts(take("x"), 'x', 4);
  const std::vector<int64_t> filter = ParseInts(take("filter"), 'x', 3);
  const std::vector<int64_t> stride = ParseInts(take("stride"), 'x', 2);
  const std::vector<int64_t> dilation = ParseInts(take("dilation"), 'x', 2);
  const std::string padding = take("padding");

  FusedConv2DProblem problem;
  Conv2DProblem& conv = problem.conv;
  conv.batch = x[0];
  conv.in_channels = x[3];
  conv.out_channels = filter[2];
  conv.groups = ParseInts(take("groups"), 'x', 1)[0];
  Require(conv.in_channels % conv.groups == 0 && conv.out_channels % conv.groups == 0,
          "channels do not divide into groups:" + text);
  conv.window.h = ConvAxis(x[1], filter[0], stride[0], dilation[0], padding, 0);
  conv.window.w = ConvAxis(x[2], filter[1], stride[1], dilation[1], padding, 1);

  problem.epilogue.has_bias = take_flag("bias");
  problem.batch_statistics = take_flag("statistics");
  if (const std::string act = take("act"); !act.empty()) SetActivation(act, &problem.epilogue);
  if (const std::string pool = take("pool"); !pool.empty()) {
    problem.epilogue.pool = ParseMaxPool(pool, conv.window.h.out, conv.window.w.out);
  }
  Require(fields.empty(), "unknown fields in" + text);
  return problem;
}

const std::vector<Conv2DCase>& Conv2DCases() {
  static const auto* cases = new std::vector<Conv2DCase>(LoadCases());
  return *cases;
}

const Conv2DCase& FindConv2DCase(const std::string& name) {
  for (const Conv2DCase& conv_case : Conv2DCases()) {
    if (conv_case.name == name) return conv_case;
  }
  Fail("no problem is called " + name);
}

}  // namespace fastconv::testing
