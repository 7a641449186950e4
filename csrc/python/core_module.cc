// Python module `fastconv._core`: what core knows without TensorFlow. Types: fastconv/_core.pyi.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <map>
#include <sstream>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "core/conv2d.h"
#include "core/cpu_features.h"
#include "core/cuda/conv2d.h"
#include "core/cuda/conv2d_dispatch.h"
#include "core/ops/attrs.h"
#include "core/ops/op.h"
#include "core/ops/tensor_checks.h"
#include "core/problem.h"
#include "core/shape.h"
#include "core/status.h"

namespace fastconv {
namespace {

namespace py = ::pybind11;

void ThrowIfError(const Status& status) {
  if (!status.ok()) throw py::value_error(status.message());
}

// Attributes as keyword arguments, checked as those of an op are.
struct KeywordAttrs final : public AttrReader {
  Status GetInts(const char* name, std::vector<int64_t>* value) const override {
    *value = ints.at(name);
    return Status();
  }
  Status GetFloat(const char* name, float* value) const override {
    *value = floats.at(name);
    return Status();
  }
  Status GetString(const char* name, std::string* value) const override {
    *value = strings.at(name);
    return Status();
  }

  std::map<std::string, std::vector<int64_t>> ints;
  std::map<std::string, float> floats;
  std::map<std::string, std::string> strings;
};

DataType ParseFloatingType(const std::string& name) {
  for (DataType dtype :
       {DataType::kFloat32, DataType::kBFloat16, DataType::kFloat16, DataType::kFloat64}) {
    if (name == Name(dtype)) return dtype;
  }
  throw py::value_error("`dtype` must be float32, bfloat16, float16 or float64. Received: " + name);
}

py::dict BuildInfo() {
  std::vector<std::string> isas;
  std::istringstream list(FASTCONV_ISAS);
  for (std::string isa; std::getline(list, isa, ',');) isas.push_back(isa);
  py::dict info;
  info["version"] = FASTCONV_VERSION;
  info["tensorflow_version"] = FASTCONV_TENSORFLOW_VERSION;
  info["cxx11_abi"] = FASTCONV_TENSORFLOW_CXX11_ABI != 0;
  info["compiler"] = FASTCONV_COMPILER;
  info["cuda"] = FASTCONV_WITH_CUDA != 0;
  info["isas"] = isas;
  return info;
}

int64_t OutputSize(int64_t in, int64_t window, int64_t stride, int64_t dilation,
                   const std::string& padding) {
  WindowAxis axis;
  axis.in = in;
  axis.window = window;
  axis.stride = stride;
  axis.dilation = dilation;
  if (padding != "valid" && padding != "same") {
    throw py::value_error("`padding` must be \"valid\" or \"same\". Received: " + padding);
  }
  ThrowIfError(ResolveAxis("axis", padding == "same" ? Padding::kSame : Padding::kValid, &axis));
  return axis.out;
}

using Explanation = std::tuple<std::string, std::string, std::string>;

// By the kernels of this build on the GPU that is there.
std::vector<DispatchEntry> ExplainOnGpu(Conv2DPass pass, const FusedConv2DProblem& problem,
                                        bool allow_tf32) {
#if FASTCONV_WITH_CUDA
  const bool has_warpgroups = cuda::HasWarpgroups();
#else
  constexpr bool has_warpgroups = false;
#endif
  return cuda::ExplainConv2D(pass, problem, has_warpgroups, allow_tf32);
}

std::vector<Explanation> Explain(std::vector<int64_t> x_shape, std::vector<int64_t> filter_shape,
                                 const std::string& dtype, bool bias, bool batch_statistics,
                                 KeywordAttrs attrs, const std::string& device, bool tf32) {
  if (device != "cpu" && device != "gpu") {
    throw py::value_error("`device` must be \"cpu\" or \"gpu\". Received: " + device);
  }
  ConvAttrs conv;
  BlockAttrs block;
  ThrowIfError(conv.Read(attrs));
  ThrowIfError(block.Read(attrs));
  const DataType type = ParseFloatingType(dtype);
  FusedConv2DProblem problem;
  ThrowIfError(conv.MakeProblem(MakeSpec(type, std::move(x_shape)),
                                MakeSpec(type, std::move(filter_shape)), &problem.conv));
  const Window2D& window = problem.conv.window;
  ThrowIfError(block.MakeEpilogue(window.h.out, window.w.out, &problem.epilogue));
  problem.epilogue.has_bias = bias;
  problem.epilogue.dropout.kind = block.dropout;
  problem.batch_statistics = batch_statistics;
  std::vector<Explanation> explanations;
  for (Conv2DPass pass :
       {Conv2DPass::kForward, Conv2DPass::kBackwardInput, Conv2DPass::kBackwardFilter}) {
    for (const DispatchEntry& entry :
         device == "gpu" ? ExplainOnGpu(pass, problem, tf32) : ExplainConv2D(pass, problem)) {
      explanations.emplace_back(Name(pass), entry.implementation, entry.refusal);
    }
  }
  return explanations;
}

}  // namespace

PYBIND11_MODULE(_core, module) {
  module.doc() = "What fastconv's kernel library knows without TensorFlow.";
  module.def("build_info", &BuildInfo, "How this copy of fastconv was built.");
  module.def(
      "detected_isa", [] { return Name(DetectedIsa()); },
      "The widest instruction set that this machine runs.");
  module.def(
      "active_isa", [] { return Name(ActiveIsa()); },
      "The instruction set in use: detected_isa(), capped by FASTCONV_MAX_ISA.");
  module.def("max_isa_error", &MaxIsaError, "Empty, or what is wrong with FASTCONV_MAX_ISA.");
  module.def("output_size", &OutputSize, py::arg("size"), py::arg("window"), py::arg("stride") = 1,
             py::arg("dilation") = 1, py::arg("padding") = "valid",
             "How often a window fits along an axis.");
  module.def(
      "explain_conv2d",
      [](std::vector<int64_t> x_shape, std::vector<int64_t> filter_shape, const std::string& dtype,
         bool bias, bool batch_statistics, std::vector<int64_t> strides,
         std::vector<int64_t> dilations, const std::string& padding,
         std::vector<int64_t> explicit_paddings, const std::string& activation,
         float negative_slope, const std::string& dropout, std::vector<int64_t> pool_size,
         std::vector<int64_t> pool_strides, const std::string& pool_padding,
         const std::string& code_type, const std::string& device, bool tf32) {
        KeywordAttrs attrs;
        attrs.ints = {{"strides", std::move(strides)},
                      {"dilations", std::move(dilations)},
                      {"explicit_paddings", std::move(explicit_paddings)},
                      {"pool_size", std::move(pool_size)},
                      {"pool_strides", std::move(pool_strides)}};
        attrs.floats = {{"negative_slope", negative_slope}};
        attrs.strings = {{"padding", padding},
                         {"activation", activation},
                         {"dropout", dropout},
                         {"pool_padding", pool_padding},
                         {"code_type", code_type}};
        return Explain(std::move(x_shape), std::move(filter_shape), dtype, bias, batch_statistics,
                       std::move(attrs), device, tf32);
      },
      py::arg("x_shape"), py::arg("filter_shape"), py::kw_only(), py::arg("dtype") = "float32",
      py::arg("bias") = true, py::arg("batch_statistics") = false,
      py::arg("strides") = std::vector<int64_t>{1, 1},
      py::arg("dilations") = std::vector<int64_t>{1, 1}, py::arg("padding") = "VALID",
      py::arg("explicit_paddings") = std::vector<int64_t>{}, py::arg("activation") = "linear",
      py::arg("negative_slope") = 0.0f, py::arg("dropout") = "none",
      py::arg("pool_size") = std::vector<int64_t>{},
      py::arg("pool_strides") = std::vector<int64_t>{}, py::arg("pool_padding") = "VALID",
      py::arg("code_type") = "uint8", py::arg("device") = "cpu", py::arg("tf32") = true,
      "The implementations of each pass in order of preference, as (pass, implementation, "
      "refusal); the first without a refusal is the one that runs.");
}

}  // namespace fastconv
