// A CUDA stream, without CUDA's headers: their types clash with TensorFlow's.
#ifndef FASTCONV_CORE_CUDA_STREAM_H_
#define FASTCONV_CORE_CUDA_STREAM_H_

struct CUstream_st;

namespace fastconv::cuda {

using Stream = ::CUstream_st*;  // cudaStream_t

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_STREAM_H_
