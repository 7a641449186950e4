// Framework-neutral ops: what TensorFlow's OpKernels, the XLA kernels and the FFI handlers share.
// Each op names its inputs, outputs and attributes once; glue only converts.
#ifndef FASTCONV_CORE_OPS_OP_H_
#define FASTCONV_CORE_OPS_OP_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/cuda/stream.h"
#include "core/dtype.h"
#include "core/status.h"
#include "core/thread_pool.h"

namespace fastconv {

// Type and shape. A dimension may be kUnknown (shape.h) and the whole rank unknown while a graph is
// built.
struct TensorSpec {
  DataType dtype = DataType::kFloat32;
  bool known_rank = true;
  std::vector<int64_t> dims;

  bool fully_known() const;
  int64_t elements() const;  // of a fully known shape
};

struct TensorView {
  void* data = nullptr;
  TensorSpec spec;
};

// Attributes as the framework holds them. One that is a type reads as a string, its name ("uint8").
class AttrReader {
 public:
  virtual ~AttrReader() = default;
  virtual Status GetInts(const char* name, std::vector<int64_t>* value) const = 0;
  virtual Status GetFloat(const char* name, float* value) const = 0;
  virtual Status GetString(const char* name, std::string* value) const = 0;
};

enum class AttrKind { kInts, kFloat, kString };
struct AttrSpec {
  const char* name;
  AttrKind kind;
};

class ScratchAllocator {
 public:
  virtual ~ScratchAllocator() = default;
  // At least `bytes`, aligned to 64 bytes, valid until the op has run; null when there is no
  // memory.
  virtual void* Allocate(size_t bytes) = 0;
};

struct OpContext {
  ThreadPool* pool;
  ScratchAllocator* scratch;
};

// Of a call on a GPU, whose memory the workspace is too.
struct StreamContext {
  cuda::Stream stream;
  void* workspace;  // of StreamWorkspaceBytes, aligned to 256 bytes
  bool allow_tf32;  // float32 operands of products may be rounded to TF32
};

class Op {
 public:
  virtual ~Op() = default;
  // Checks attributes; called once, first.
  virtual Status Init(const AttrReader& attrs) = 0;
  // The shape rule, and every check of types and shapes. Unknown sizes stay unknown.
  virtual Status InferOutputs(const std::vector<TensorSpec>& inputs,
                              std::vector<TensorSpec>* outputs) const = 0;
  // Inputs are fully known, outputs allocated as InferOutputs said. An op that updates variables
  // has them as its first inputs; output i is the new value of input i and may be its memory.
  virtual Status Run(const std::vector<TensorView>& inputs, const std::vector<TensorView>& outputs,
                     const OpContext& context) const = 0;
  // The same on a GPU, which has all tensors in its memory: starts kernels on the stream, does not
  // wait for them, and reads no tensor's values itself. It allocates nothing either: a CUDA graph
  // that has recorded the kernels starts them again with the same addresses. Of ops whose
  // definition says so, in builds with CUDA.
  virtual Status RunOnStream(const std::vector<TensorView>& inputs,
                             const std::vector<TensorView>& outputs,
                             const StreamContext& context) const;
  // Scratch memory for RunOnStream on the current GPU.
  virtual Status StreamWorkspaceBytes(const std::vector<TensorSpec>& inputs, size_t* bytes) const;
};

// As a number of inputs or outputs.
constexpr int kVariesByAttribute = -1;

struct OpDefinition {
  const char* name;  // "FusedConv2D"
  std::vector<AttrSpec> attrs;
  int num_inputs;
  int num_outputs;
  std::unique_ptr<Op> (*create)();
  // An input, of the first output's type and shape, whose memory that output may take when nobody
  // else needs it: Run reads each of its elements before it writes there. Negative: none.
  int in_place_input = -1;
  bool runs_on_stream = false;
  // Whether the output takes that memory in XLA, too, which is told before anybody knows who else
  // needs the input. Where somebody does, XLA copies it first.
  bool in_place_in_xla = false;
};

// All ops; FindOp returns null for an unknown name.
const std::vector<OpDefinition>& AllOps();
const OpDefinition* FindOp(const std::string& name);

}  // namespace fastconv

#endif  // FASTCONV_CORE_OPS_OP_H_
