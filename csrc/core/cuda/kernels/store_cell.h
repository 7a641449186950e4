// How pooled cells get into memory, behind dropout where there is any.
#ifndef FASTCONV_CORE_CUDA_KERNELS_STORE_CELL_H_
#define FASTCONV_CORE_CUDA_KERNELS_STORE_CELL_H_

#include <cstdint>

#include "core/cuda/kernels/codes.h"
#include "core/cuda/kernels/dropout.h"
#include "core/cuda/kernels/pooled_cell.h"
#include "core/cuda/kernels/values.h"

namespace fastconv::cuda {

// Where the channels of a cell are: element `at` of the pooled map, which are channels from
// `channel` on, of as many as `channels`, of an image.
struct CellPlace {
  int64_t at, image;
  int channels, channel;
};

template <class T, int kVector>
FASTCONV_DEVICE void StoreCell(const PooledCell<kVector>& cell, const DropoutMask<T>& dropout,
                               const CellPlace& place, bool wide_codes, T* y, void* codes) {
  float v[kVector];
  int code[kVector];
  FASTCONV_UNROLL
  for (int c = 0; c < kVector; ++c) {
    v[c] = cell.maximum[c];
    code[c] = CodeOf(wide_codes, cell.position[c], v[c] > 0);
  }
  if (dropout.enabled()) {
    bool keep[kVector];
    dropout.template Draw<kVector>(place.at, place.image, place.channels, place.channel, keep);
    dropout.Drop(keep, v);
    FASTCONV_UNROLL
    for (int c = 0; c < kVector; ++c) {
      if (!keep[c]) code[c] = DroppedCode(wide_codes);
    }
  }
  StoreValues(v, y + place.at);
  StoreCodes(wide_codes, code, codes, place.at);
}

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_KERNELS_STORE_CELL_H_
