#include "cases.h"
#include "core/cuda/launch.h"

namespace fastconv::testing {

bool UseCapability(int capability) {
  cuda::emulated_capability = capability;
  return true;
}

}  // namespace fastconv::testing
