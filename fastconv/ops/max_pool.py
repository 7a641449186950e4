"""Stand-alone 2-D max pooling and its gradient."""

import tensorflow as tf

from fastconv import native, placement
from fastconv.ops import arguments, reference

_POOLING_ATTRIBUTES = ("pool_size", "pool_strides", "pool_padding")


def max_pool2d(x, pool_size=2, pool_strides=None, pool_padding="valid"):
    """Computes the maximum of each window of each channel.

    Of equal maxima the first in row-major order receives the gradient. NaNs lose against every
    number; a window of nothing else yields `-inf`.

    Args:
        x: tensor `(batch, height, width, channels)` of float32, bfloat16, float16 or float64.
        pool_size: int or pair of ints, the window. Defaults to `2`.
        pool_strides: int or pair of ints; None means `pool_size`. Defaults to `None`.
        pool_padding: `"valid"` or `"same"`. Defaults to `"valid"`.

    Returns:
        Tensor `(batch, out_height, out_width, channels)` of the type of `x`.

    Raises:
        ValueError: an argument that does not fit, or a tensor whose type or rank does not.

    Example:

    >>> fastconv.ops.max_pool2d(tf.random.normal([8, 32, 32, 3]), 3, 2, "same").shape
    TensorShape([8, 16, 16, 3])
    """
    size = arguments.pair(pool_size, "pool_size")
    pooling = arguments.pooling(size, pool_strides, pool_padding)
    x = arguments.tensor(x, "x", 4)
    if not placement.has_kernel(x.dtype):
        return reference.max_pool2d(x, size, pool_strides, pool_padding)
    y, _ = native.ops().fastconv_max_pool(x=x, **pooling)
    return y


@tf.RegisterGradient("Fastconv>MaxPool")
def _max_pool_gradient(op, dy, _):
    return native.ops().fastconv_max_pool_grad(
        x=op.inputs[0],
        code=op.outputs[1],
        dy=dy,
        **{name: op.get_attr(name) for name in _POOLING_ATTRIBUTES},
    )
