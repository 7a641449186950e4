#include "buffers.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "element_types.h"

namespace fastconv::testing {
namespace {

constexpr uint8_t kGuard = 0x5C;
constexpr size_t kGuardBytes = 256;
constexpr size_t kAlignment = 64;

constexpr size_t kDeviceAlignment = 256;  // of what a device allocates

// Null: kernels see this program's memory.
const Device* device = nullptr;

// The first offset into `memory` behind the guard whose address is `past` bytes beyond a multiple
// of the alignment.
size_t GuardedOffset(const std::vector<uint8_t>& memory, size_t past) {
  const auto address = reinterpret_cast<uintptr_t>(memory.data()) + kGuardBytes;
  return kGuardBytes + (kAlignment - address % kAlignment) % kAlignment + past;
}

bool OnlyGuards(const std::vector<uint8_t>& bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](uint8_t byte) { return byte == kGuard; });
}

}  // namespace

void UseDevice(const Device& used) {
  static Device kept;
  kept = used;
  device = &kept;
}

KernelMemory::KernelMemory(uint8_t* host, size_t bytes)
    : host_(host), allocation_(nullptr, [](void*) {}), data_(host) {
  if (device == nullptr) return;
  const size_t past = reinterpret_cast<uintptr_t>(host) % kDeviceAlignment;
  allocation_ = {device->allocate(past + bytes), device->free};
  data_ = static_cast<uint8_t*>(allocation_.get()) + past;
}

void KernelMemory::Write(size_t offset, size_t bytes) {
  if (data_ != host_) device->copy(data_ + offset, host_ + offset, bytes);
}

std::vector<uint8_t> KernelMemory::Read(size_t offset, size_t bytes) const {
  std::vector<uint8_t> read(bytes);
  if (data_ != host_) {
    device->copy(read.data(), data_ + offset, bytes);
  } else {
    std::copy_n(host_ + offset, bytes, read.begin());
  }
  return read;
}

InputBuffer::InputBuffer(DataType type, const std::vector<double>& values) {
  if (values.empty()) return;
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t bytes = values.size() * SizeOf(type);
  const size_t readable = (bytes + page - 1) / page * page;
  mapping_bytes_ = readable + page;
  mapping_ =
      mmap(nullptr, mapping_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping_ == MAP_FAILED) std::abort();
  uint8_t* host = static_cast<uint8_t*>(mapping_) + readable - bytes;
  for (size_t index = 0; index < values.size(); ++index) Store(type, values[index], host, index);
  memory_ = std::make_unique<KernelMemory>(host, bytes);
  memory_->Write(0, bytes);
  if (mprotect(mapping_, readable, PROT_READ) != 0) std::abort();
  if (mprotect(static_cast<uint8_t*>(mapping_) + readable, page, PROT_NONE) != 0) std::abort();
}

InputBuffer::~InputBuffer() {
  if (mapping_ != nullptr) munmap(mapping_, mapping_bytes_);
}

GuardedMemory::GuardedMemory(size_t bytes, size_t past, uint8_t fill)
    : bytes_(bytes),
      memory_(bytes + 2 * kGuardBytes + 2 * kAlignment, kGuard),
      offset_(GuardedOffset(memory_, past)),
      kernels_(memory_.data(), memory_.size()) {
  std::fill_n(memory_.begin() + offset_, bytes, fill);
  kernels_.Write(0, offset_);
  kernels_.Write(offset_ + bytes_, memory_.size() - offset_ - bytes_);
}

bool GuardedMemory::GuardsIntact() const {
  const size_t end = offset_ + bytes_;
  return OnlyGuards(kernels_.Read(0, offset_)) &&
         OnlyGuards(kernels_.Read(end, memory_.size() - end));
}

OutputBuffer::OutputBuffer(DataType type, size_t elements, Alignment alignment)
    : type_(type),
      memory_(elements * SizeOf(type), alignment == Alignment::kElement ? SizeOf(type) : 0, 0xFF) {
  memory_.WriteContents();
}

std::vector<double> OutputBuffer::Values() const {
  const std::vector<uint8_t> bytes = Bytes();
  std::vector<double> values(bytes.size() / SizeOf(type_));
  for (size_t index = 0; index < values.size(); ++index) {
    values[index] = Load(type_, bytes.data(), index);
  }
  return values;
}

Workspace::Workspace(size_t bytes, uint8_t fill) : memory_(bytes, /*past=*/0, fill) {}

}  // namespace fastconv::testing
