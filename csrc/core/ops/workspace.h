// Scratch memory of one call.
#ifndef FASTCONV_CORE_OPS_WORKSPACE_H_
#define FASTCONV_CORE_OPS_WORKSPACE_H_

#include <cstddef>
#include <string>

#include "core/ops/op.h"
#include "core/status.h"

namespace fastconv {

// Null for no bytes.
inline Status AllocateWorkspace(ScratchAllocator* scratch, size_t bytes, void** workspace) {
  *workspace = bytes == 0 ? nullptr : scratch->Allocate(bytes);
  if (bytes == 0 || *workspace != nullptr) return Status();
  return Status(StatusCode::kResourceExhausted,
                "No memory for a workspace of " + std::to_string(bytes) + " bytes");
}

}  // namespace fastconv

#endif  // FASTCONV_CORE_OPS_WORKSPACE_H_
