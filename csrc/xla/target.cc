#include "xla/target.h"

#include <cctype>

namespace fastconv {

std::string XlaTarget(const std::string& op_name) {
  const auto is_lower = [&op_name](size_t i) {
    return i < op_name.size() && std::islower(static_cast<unsigned char>(op_name[i]));
  };
  std::string target = "fastconv_";
  for (size_t i = 0; i < op_name.size(); ++i) {
    const unsigned char c = op_name[i];
    // A word begins at a capital after or before a lower-case letter ("2DBackprop": at the B).
    if (i > 0 && std::isupper(c) && (is_lower(i - 1) || is_lower(i + 1))) target += '_';
    target += static_cast<char>(std::tolower(c));
  }
  return target;
}

}  // namespace fastconv
