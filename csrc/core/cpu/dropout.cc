#include "core/dropout.h"

#include <algorithm>
#include <cstring>

#include "core/cpu/kernels/kernels.h"
#include "core/cpu/workspace.h"

namespace fastconv {

void Dropout(DataType dtype, const DropoutSpec& spec, int64_t elements, const void* x, void* y,
             ThreadPool* pool) {
  constexpr int64_t kItem = 4 << 10;  // elements, copied and dropped while they are in the cache
  const cpu::Kernels& kernels = cpu::GetKernels(ActiveIsa(), dtype);
  const cpu::DropoutStream stream = kernels.dropout_stream(spec);
  ParallelFor(pool, pool->num_threads(), (elements + kItem - 1) / kItem, [&](int64_t item, int) {
    const int64_t first = item * kItem;
    const int64_t count = std::min(kItem, elements - first);
    cpu::DropRowsArgs args{};
    args.values = cpu::At(y, first, SizeOf(dtype));
    args.rows = args.cols = 1;
    args.channels = args.pixel_stride = args.number_pixel_stride = count;
    args.stream = &stream;
    args.first_number = first;
    if (x != y) {
      std::memcpy(args.values, cpu::At(x, first, SizeOf(dtype)), count * SizeOf(dtype));
    }
    kernels.drop_rows_of_tensor(args);
  });
}

}  // namespace fastconv
