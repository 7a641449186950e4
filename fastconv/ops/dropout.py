"""Stand-alone dropout and its gradient."""

import tensorflow as tf

from fastconv import native, placement
from fastconv.ops import arguments, reference


def dropout(x, rate, seed):
    """Sets values to 0 with probability `rate` and multiplies the others by `1 / (1 - rate)`.

    The mask is that of `tf.nn.experimental.stateless_dropout` outside of XLA, also inside of it.
    The gradient draws it again.

    Args:
        x: tensor of any shape, of float32, bfloat16, float16 or float64.
        rate: float from 0 to 1.
        seed: int32 tensor `(2,)` that the mask is drawn from.

    Returns:
        Tensor of the shape and type of `x`.

    Raises:
        ValueError: an argument does not fit.

    Example:

    >>> fastconv.ops.dropout(tf.ones([2, 3]), 0.5, seed=(1, 2)).shape
    TensorShape([2, 3])
    """
    drop = arguments.dropout(rate, 0.0, seed)
    x = arguments.tensor(x, "x", None)
    if drop.pop("dropout") == "none":
        return x
    if not placement.has_kernel(x.dtype):
        return reference.dropout(x, rate, drop["dropout_seed"])
    return native.ops().fastconv_dropout(x=x, **drop)


@tf.RegisterGradient("Fastconv>Dropout")
def _dropout_gradient(op, dy):
    _, rate, seed = op.inputs
    dx = native.ops().fastconv_dropout(x=dy, dropout_rate=rate, dropout_seed=seed)
    return dx, None, None
