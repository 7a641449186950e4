// Memory that catches what kernels do wrong with it.
#ifndef FASTCONV_TESTS_CPP_BUFFERS_H_
#define FASTCONV_TESTS_CPP_BUFFERS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/dtype.h"

namespace fastconv::testing {

// A tensor that is only read. It ends right before a page without access and its pages are
// read-only, so that reading beyond it or writing to it ends the test program. Aligned no better
// than its elements. An empty one is null, as in TensorFlow.
class InputBuffer {
 public:
  InputBuffer(DataType type, const std::vector<double>& values);
  ~InputBuffer();
  InputBuffer(const InputBuffer&) = delete;
  InputBuffer& operator=(const InputBuffer&) = delete;

  const void* data() const { return data_; }
  // For the arguments that a forward pass writes and a backward pass reads.
  void* mutable_data() const { return data_; }

 private:
  void* mapping_ = nullptr;
  size_t mapping_bytes_ = 0;
  void* data_ = nullptr;
};

// How a tensor to be written is aligned: no better than its elements, or to 64 bytes.
enum class Alignment { kElement, kLine };

// A tensor to be written: all ones (a NaN, or an impossible pooling code) between guards.
class OutputBuffer {
 public:
  OutputBuffer(DataType type, size_t elements, Alignment alignment = Alignment::kElement);

  void* data() { return elements_ == 0 ? nullptr : begin(); }
  std::vector<double> Values() const;
  std::vector<uint8_t> Bytes() const;
  bool GuardsIntact() const;

 private:
  uint8_t* begin() { return memory_.data() + offset_; }

  DataType type_;
  size_t elements_;
  size_t offset_;
  std::vector<uint8_t> memory_;
};

// Scratch memory aligned to 64 bytes, filled with `fill`, between guards; null for 0 bytes.
class Workspace {
 public:
  Workspace(size_t bytes, uint8_t fill);

  void* data() { return bytes_ == 0 ? nullptr : memory_.data() + offset_; }
  bool GuardsIntact() const;

 private:
  size_t bytes_;
  size_t offset_;
  std::vector<uint8_t> memory_;
};

// What workspaces are filled with: a harmless number in every type, and a NaN in every type.
inline constexpr uint8_t kWorkspaceFills[] = {0xA5, 0xFF};

}  // namespace fastconv::testing

#endif  // FASTCONV_TESTS_CPP_BUFFERS_H_
