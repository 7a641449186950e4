// What the kernels behind a convolution are told: plain data. A block is
//   y = dropout(pool(activation((z - mean) * scale + shift))),
// with the stages that it has; see core/problem.h.
#ifndef FASTCONV_CORE_CUDA_KERNELS_BLOCK_ARGS_H_
#define FASTCONV_CORE_CUDA_KERNELS_BLOCK_ARGS_H_

#include <cstdint>

#include "core/cuda/kernels/traversal.h"

namespace fastconv::cuda {

// How a kernel pools. Most networks take the maximum of 2x2, two pixels apart.
enum class Pooling { kNone, kTwoByTwo, kAny };

struct PoolAxis {
  int in, out, window, stride, pad;
};

struct Pool {
  PoolAxis h, w;
  bool wide_codes;  // int32, else uint8
};

// Null vectors count as 0, and gamma as 1. Without a variance nothing is normalised.
struct Affine {
  const float* mean;
  const float* variance;
  const float* gamma;
  const float* beta;
  const void* bias;  // T, instead of beta
  float epsilon;
};

struct ActivationArgs {
  bool linear;
  float slope;  // of what is not positive; 0: relu
};

// The values lie in the GPU's memory, so that nobody waits for them.
struct DropoutArgs {
  bool enabled;
  bool whole_channels;
  const double* rate;
  const int32_t* seed;  // 2
};

struct BlockArgs {
  Traversal
      traversal;      // of the output's cells forward; backward of patches of the map (gradient.h)
  int height, width;  // of the map
  Affine affine;
  ActivationArgs activation;
  Pool pool;
  DropoutArgs dropout;
  const void* z;
  void* y;         // read backward, unless null
  void* code;      // likewise
  const void* dy;  // backward
  void* dz;
  // Of batch normalisation: sums over all samples, and their number.
  const float* dgamma;
  const float* dbeta;
  const float* count;
  float* partials;  // [block][2][channels]: sums of a block
};

}  // namespace fastconv::cuda

#endif  // FASTCONV_CORE_CUDA_KERNELS_BLOCK_ARGS_H_
