// Which ops TensorFlow and XLA find on a GPU.
#ifndef FASTCONV_TENSORFLOW_GPU_H_
#define FASTCONV_TENSORFLOW_GPU_H_

#include <string>
#include <vector>

#include "tensorflow/core/framework/types.pb.h"

namespace fastconv {

// TensorFlow's names of the ops that run on a stream; none unless FASTCONV_GPU=on, which is read
// when the library is loaded: their kernels have not been run on hardware yet.
std::vector<std::string> GpuOps();

// Of their attribute T.
inline constexpr tensorflow::DataType kGpuTypes[] = {tensorflow::DT_FLOAT, tensorflow::DT_BFLOAT16,
                                                     tensorflow::DT_HALF};

}  // namespace fastconv

#endif  // FASTCONV_TENSORFLOW_GPU_H_
