#include "core/ops/op.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <numeric>

#include "core/ops/families.h"
#include "core/shape.h"

namespace fastconv {

bool TensorSpec::fully_known() const {
  return known_rank && std::find(dims.begin(), dims.end(), kUnknown) == dims.end();
}

int64_t TensorSpec::elements() const {
  return std::accumulate(dims.begin(), dims.end(), int64_t{1}, std::multiplies<int64_t>());
}

Status Op::RunOnStream(const std::vector<TensorView>&, const std::vector<TensorView>&,
                       const StreamContext&) const {
  return Unimplemented("This op has no CUDA kernels");
}

Status Op::StreamWorkspaceBytes(const std::vector<TensorSpec>&, size_t* bytes) const {
  *bytes = 0;
  return Status();
}

const std::vector<OpDefinition>& AllOps() {
  static const std::vector<OpDefinition>* const ops = [] {
    auto* all = new std::vector<OpDefinition>();
    for (const std::vector<OpDefinition>& family :
         {Conv2DOps(), BatchNormOps(), EpilogueOps(), MaxPoolOps(), DropoutOps(), DenseOps(),
          WeightUpdateOps()}) {
      all->insert(all->end(), family.begin(), family.end());
    }
    return all;
  }();
  return *ops;
}

const OpDefinition* FindOp(const std::string& name) {
  for (const OpDefinition& op : AllOps()) {
    if (name == op.name) return &op;
  }
  return nullptr;
}

}  // namespace fastconv
