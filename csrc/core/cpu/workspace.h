// Cuts one block of scratch memory into aligned parts.
#ifndef FASTCONV_CORE_CPU_WORKSPACE_H_
#define FASTCONV_CORE_CPU_WORKSPACE_H_

#include <cstddef>
#include <cstdint>

namespace fastconv::cpu {

class WorkspaceLayout {
 public:
  // Returns the offset of `bytes` more, aligned to a cache line. An odd number of lines between
  // parts of a power-of-two size keeps them off the same cache sets.
  size_t Add(size_t bytes) {
    const size_t offset = bytes_;
    bytes_ += (bytes + kLine - 1) / kLine * kLine + kLine;
    return offset;
  }
  size_t bytes() const { return bytes_; }

 private:
  static constexpr size_t kLine = 64;
  size_t bytes_ = 0;
};

template <class T = char>
T* At(void* workspace, size_t offset) {
  return reinterpret_cast<T*>(static_cast<char*>(workspace) + offset);
}
inline const void* At(const void* base, int64_t elements, int64_t element_bytes) {
  return base == nullptr ? nullptr : static_cast<const char*>(base) + elements * element_bytes;
}
inline void* At(void* base, int64_t elements, int64_t element_bytes) {
  return base == nullptr ? nullptr : static_cast<char*>(base) + elements * element_bytes;
}

}  // namespace fastconv::cpu

#endif  // FASTCONV_CORE_CPU_WORKSPACE_H_
