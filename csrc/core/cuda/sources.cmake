# What fastconv_cuda (nvcc) and its emulation in tests/cpp/cuda (C++ compiler) both compile.
set(FASTCONV_CUDA_SOURCES
  batch_norm.cu
  block_backward.cu
  block_forward.cu
  conv2d.cu
  conv3x3.cu
  conv3x3_pooled.cu
  conv3x3_rotated.cu
  conv3x3_rotated_activation.cu
  conv3x3_rotated_pooling.cu
  conv3x3_statistics.cu
  dropout.cu
  epilogue.cu
  filter_grad3x3.cu
  filter_grad3x3_activation.cu
  filter_grad3x3_pooling.cu
  image_conv3x3.cu
  image_filter_grad3x3.cu
  max_pool.cu
  tensor_map.cu
  warpgroup_conv3x3.cu
  warpgroup_filter_grad3x3.cu)
list(TRANSFORM FASTCONV_CUDA_SOURCES PREPEND ${CMAKE_CURRENT_LIST_DIR}/)
