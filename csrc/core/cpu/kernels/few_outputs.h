// Adds up tap products, see cpu/few_outputs: four channels of a pixel at a time, on every
// instruction set.
#ifndef FASTCONV_CORE_CPU_KERNELS_FEW_OUTPUTS_H_
#define FASTCONV_CORE_CPU_KERNELS_FEW_OUTPUTS_H_

#include "core/cpu/kernels/kernels.h"
#include "core/cpu/kernels/simd.h"

namespace fastconv::cpu::FASTCONV_ISA {

template <class Acc>
void AddTaps(const AddTapsArgs& args) {
  typedef Acc Pixel __attribute__((vector_size(kAddTapsChannels * sizeof(Acc))));
  Acc* acc = static_cast<Acc*>(args.acc);
  for (int64_t row = 0; row < args.rows; ++row) {
    const Acc* products = static_cast<const Acc*>(args.products) + row * args.row_stride;
    for (int64_t col = 0; col < args.cols; ++col) {
      Pixel sum = {};
      if (args.accumulate) sum = LoadVector<Pixel>(acc);
      for (int64_t tap = 0; tap < args.num_taps; ++tap) {
        sum += LoadVector<Pixel>(products + args.offsets[tap]);
      }
      StoreVector(acc, sum);
      acc += kAddTapsChannels;
      products += args.pixel_stride;
    }
  }
}

}  // namespace fastconv::cpu::FASTCONV_ISA

#endif  // FASTCONV_CORE_CPU_KERNELS_FEW_OUTPUTS_H_
