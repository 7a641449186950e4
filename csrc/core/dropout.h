// Stand-alone dropout, of single elements.
#ifndef FASTCONV_CORE_DROPOUT_H_
#define FASTCONV_CORE_DROPOUT_H_

#include <cstdint>

#include "core/dtype.h"
#include "core/problem.h"
#include "core/thread_pool.h"

namespace fastconv {

// x -> y, or of y's gradient x's; `elements` of a floating-point type. y may be x. spec.kind is not
// read.
void Dropout(DataType dtype, const DropoutSpec& spec, int64_t elements, const void* x, void* y,
             ThreadPool* pool);

}  // namespace fastconv

#endif  // FASTCONV_CORE_DROPOUT_H_
