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

// The first offset into `memory` behind the guard whose address is `past` bytes beyond a multiple
// of the alignment.
size_t GuardedOffset(const std::vector<uint8_t>& memory, size_t past) {
  const auto address = reinterpret_cast<uintptr_t>(memory.data()) + kGuardBytes;
  return kGuardBytes + (kAlignment - address % kAlignment) % kAlignment + past;
}

bool OnlyGuards(const std::vector<uint8_t>& memory, size_t offset, size_t bytes) {
  const auto is_guard = [](uint8_t byte) { return byte == kGuard; };
  return std::all_of(memory.begin(), memory.begin() + offset, is_guard) &&
         std::all_of(memory.begin() + offset + bytes, memory.end(), is_guard);
}

}  // namespace

InputBuffer::InputBuffer(DataType type, const std::vector<double>& values) {
  if (values.empty()) return;
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t bytes = values.size() * SizeOf(type);
  const size_t readable = (bytes + page - 1) / page * page;
  mapping_bytes_ = readable + page;
  mapping_ =
      mmap(nullptr, mapping_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping_ == MAP_FAILED) std::abort();
  data_ = static_cast<uint8_t*>(mapping_) + readable - bytes;
  for (size_t index = 0; index < values.size(); ++index) Store(type, values[index], data_, index);
  if (mprotect(mapping_, readable, PROT_READ) != 0) std::abort();
  if (mprotect(static_cast<uint8_t*>(mapping_) + readable, page, PROT_NONE) != 0) std::abort();
}

InputBuffer::~InputBuffer() {
  if (mapping_ != nullptr) munmap(mapping_, mapping_bytes_);
}

OutputBuffer::OutputBuffer(DataType type, size_t elements, Alignment alignment)
    : type_(type),
      elements_(elements),
      memory_(elements * SizeOf(type) + 2 * kGuardBytes + 2 * kAlignment, kGuard) {
  offset_ = GuardedOffset(memory_, alignment == Alignment::kElement ? SizeOf(type) : 0);
  std::fill_n(begin(), elements * SizeOf(type), 0xFF);
}

std::vector<double> OutputBuffer::Values() const {
  std::vector<double> values(elements_);
  for (size_t index = 0; index < elements_; ++index) {
    values[index] = Load(type_, memory_.data() + offset_, index);
  }
  return values;
}

std::vector<uint8_t> OutputBuffer::Bytes() const {
  const auto first = memory_.begin() + offset_;
  return std::vector<uint8_t>(first, first + elements_ * SizeOf(type_));
}

bool OutputBuffer::GuardsIntact() const {
  return OnlyGuards(memory_, offset_, elements_ * SizeOf(type_));
}

Workspace::Workspace(size_t bytes, uint8_t fill)
    : bytes_(bytes), memory_(bytes + 2 * kGuardBytes + kAlignment, kGuard) {
  offset_ = GuardedOffset(memory_, 0);
  std::fill_n(memory_.begin() + offset_, bytes, fill);
}

bool Workspace::GuardsIntact() const { return OnlyGuards(memory_, offset_, bytes_); }

}  // namespace fastconv::testing
