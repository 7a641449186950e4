// Names in XLA's custom calls.
#ifndef FASTCONV_XLA_TARGET_H_
#define FASTCONV_XLA_TARGET_H_

#include <string>

namespace fastconv {

// "FusedConv2DBackpropInput" -> "fastconv_fused_conv2d_backprop_input".
std::string XlaTarget(const std::string& op_name);

// The attribute that is the op's name; the others are the op's own.
inline constexpr char kOpAttr[] = "op";

}  // namespace fastconv

#endif  // FASTCONV_XLA_TARGET_H_
