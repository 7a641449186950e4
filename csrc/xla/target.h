// Names of the XLA custom-call targets.
#ifndef FASTCONV_XLA_TARGET_H_
#define FASTCONV_XLA_TARGET_H_

#include <string>

namespace fastconv {

// "FusedConv2DBackpropInput" -> "fastconv_fused_conv2d_backprop_input".
std::string XlaTarget(const std::string& op_name);

}  // namespace fastconv

#endif  // FASTCONV_XLA_TARGET_H_
