// Stands in for farmhash, whose header TensorFlow's package lacks although
// tensorflow/compiler/tf2xla includes it (through tsl/platform/fingerprint.h). Declared so that
// those headers compile; never called, hence never defined. This folder is on the include path of
// compile.cc alone.
#ifndef FASTCONV_XLA_STAND_INS_FARMHASH_H_
#define FASTCONV_XLA_STAND_INS_FARMHASH_H_

#include <cstddef>
#include <cstdint>
#include <utility>

namespace util {

using uint128_t = std::pair<uint64_t, uint64_t>;

uint64_t Fingerprint64(const char* data, size_t size);
uint32_t Fingerprint32(const char* data, size_t size);
uint128_t Fingerprint128(const char* data, size_t size);
uint64_t Uint128Low64(const uint128_t& value);
uint64_t Uint128High64(const uint128_t& value);

}  // namespace util

namespace farmhash = util;

#endif  // FASTCONV_XLA_STAND_INS_FARMHASH_H_
