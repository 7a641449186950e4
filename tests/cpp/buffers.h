// Memory that catches what kernels do wrong with it, on the CPU or on a device with memory of its
// own.
#ifndef FASTCONV_TESTS_CPP_BUFFERS_H_
#define FASTCONV_TESTS_CPP_BUFFERS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/dtype.h"

namespace fastconv::testing {

// A device whose kernels do not see this program's memory. `copy` is in either direction, and waits
// for the kernels started before.
struct Device {
  void* (*allocate)(size_t bytes);
  void (*free)(void* memory);
  void (*copy)(void* to, const void* from, size_t bytes);
};
// All buffers made from now on are on the device.
void UseDevice(const Device& device);

// What kernels see of a piece of this program's memory: itself or, on a device, as much memory with
// the same alignment and undefined contents.
class KernelMemory {
 public:
  KernelMemory(uint8_t* host, size_t bytes);

  uint8_t* data() const { return data_; }
  // Between the two, where they differ.
  void Write(size_t offset, size_t bytes);
  std::vector<uint8_t> Read(size_t offset, size_t bytes) const;

 private:
  uint8_t* host_;
  std::unique_ptr<void, void (*)(void*)> allocation_;
  uint8_t* data_;
};

// A tensor that is only read. On the CPU it ends right before a page without access and its pages
// are read-only, so that reading beyond it or writing to it ends the test program; on a device its
// allocation ends there. Aligned no better than its elements. An empty one is null, as in
// TensorFlow.
class InputBuffer {
 public:
  InputBuffer(DataType type, const std::vector<double>& values);
  ~InputBuffer();
  InputBuffer(const InputBuffer&) = delete;
  InputBuffer& operator=(const InputBuffer&) = delete;

  const void* data() const { return mutable_data(); }
  // For the arguments that a forward pass writes and a backward pass reads.
  void* mutable_data() const { return memory_ == nullptr ? nullptr : memory_->data(); }

 private:
  void* mapping_ = nullptr;
  size_t mapping_bytes_ = 0;
  std::unique_ptr<KernelMemory> memory_;
};

// How a tensor to be written is aligned: no better than its elements, or to 64 bytes.
enum class Alignment { kElement, kLine };

// Bytes between guards; null for 0 bytes.
class GuardedMemory {
 public:
  // `past` bytes beyond a multiple of 64 bytes, filled with `fill`.
  GuardedMemory(size_t bytes, size_t past, uint8_t fill);

  void* data() const { return bytes_ == 0 ? nullptr : kernels_.data() + offset_; }
  std::vector<uint8_t> Bytes() const { return kernels_.Read(offset_, bytes_); }
  bool GuardsIntact() const;
  // Copies to a device what lies between the guards.
  void WriteContents() { kernels_.Write(offset_, bytes_); }

 private:
  size_t bytes_;
  std::vector<uint8_t> memory_;
  size_t offset_;
  KernelMemory kernels_;
};

// A tensor to be written: all ones (a NaN, or an impossible pooling code) between guards.
class OutputBuffer {
 public:
  OutputBuffer(DataType type, size_t elements, Alignment alignment = Alignment::kElement);

  void* data() { return memory_.data(); }
  std::vector<double> Values() const;
  std::vector<uint8_t> Bytes() const { return memory_.Bytes(); }
  bool GuardsIntact() const { return memory_.GuardsIntact(); }

 private:
  DataType type_;
  GuardedMemory memory_;
};

// Scratch memory aligned to 64 bytes, filled with `fill`, between guards; null for 0 bytes. On a
// device it is not filled, so that tools can see what is read before it is written.
class Workspace {
 public:
  Workspace(size_t bytes, uint8_t fill);

  void* data() { return memory_.data(); }
  bool GuardsIntact() const { return memory_.GuardsIntact(); }

 private:
  GuardedMemory memory_;
};

// What workspaces are filled with: a harmless number in every type, and a NaN in every type.
inline constexpr uint8_t kWorkspaceFills[] = {0xA5, 0xFF};

}  // namespace fastconv::testing

#endif  // FASTCONV_TESTS_CPP_BUFFERS_H_
