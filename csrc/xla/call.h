// A custom call as core sees it: what the handlers of all platforms have in common.
#ifndef FASTCONV_XLA_CALL_H_
#define FASTCONV_XLA_CALL_H_

#include <cstddef>
#include <memory>
#include <vector>

#include "core/ops/op.h"
#include "core/status.h"
#include "xla/ffi/api/ffi.h"

// Of xla/ffi/ffi_api.h, which needs MLIR headers that TensorFlow's package lacks.
namespace xla::ffi {
const XLA_FFI_Api* GetXlaFfiApi();
}  // namespace xla::ffi

namespace fastconv {

namespace ffi = ::xla::ffi;

ffi::Error ToFfiError(const Status& status);

struct Call {
  std::unique_ptr<Op> op;
  std::vector<TensorView> inputs, outputs;
  // What a call has as another result, behind the op's outputs: scratch memory that XLA plans.
  void* workspace = nullptr;
  size_t workspace_bytes = 0;
};

// Checks everything.
Status MakeCall(const ffi::RemainingArgs& args, const ffi::RemainingRets& rets,
                const ffi::Dictionary& attrs, Call* call);

}  // namespace fastconv

#endif  // FASTCONV_XLA_CALL_H_
