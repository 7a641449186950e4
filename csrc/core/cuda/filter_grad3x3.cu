#include "core/cuda/conv3x3_launch.h"
#include "core/cuda/kernels/channel_sums.h"

namespace fastconv::cuda {

Status LaunchFilterGrad3x3(DataType dtype, FloatPrecision precision, const FilterGrad3x3Args& args,
                           Stream stream) {
  return LaunchFilterGrad3x3Variant<Folded::kNothing>(dtype, precision, args, stream);
}

Status AddFilterGrads(DataType dtype, const FilterGrad3x3Args& args, void* dfilter, void* dbias,
                      Stream stream) {
  const int size = 9 * args.channels * args.outputs;
  return WithProduct(dtype, FloatPrecision::kTf32, [&](auto type, auto) {
    using T = decltype(type);
    using Add = AddPartials<T>;
    const typename Add::Args add = {args.partials,
                                    args.blocks,
                                    size + (args.sum_dz ? args.outputs : 0),
                                    size,
                                    args.sum_dz ? args.outputs : 0,
                                    static_cast<T*>(dfilter),
                                    static_cast<T*>(dbias)};
    return Launch<Add>(Add::GridFor(add), Add::kSharedBytes, stream, add);
  });
}

}  // namespace fastconv::cuda
