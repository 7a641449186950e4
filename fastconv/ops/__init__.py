"""Functions on tensors: checks, the native op (or its twin in plain TensorFlow), the gradient."""

from fastconv.ops.batch_norm import fused_batch_norm, fused_conv2d_batch_norm
from fastconv.ops.conv2d import conv2d_batch_statistics, fused_conv2d
from fastconv.ops.dense import fused_dense
from fastconv.ops.dropout import dropout
from fastconv.ops.epilogue import fused_epilogue
from fastconv.ops.max_pool import max_pool2d

__all__ = [
    "conv2d_batch_statistics",
    "dropout",
    "fused_batch_norm",
    "fused_conv2d",
    "fused_conv2d_batch_norm",
    "fused_dense",
    "fused_epilogue",
    "max_pool2d",
]
