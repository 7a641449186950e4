"""What follows a convolution that another library computes, and its gradient."""

import tensorflow as tf

from fastconv import native, placement
from fastconv.ops import arguments, reference

_ATTRIBUTES = (
    "activation",
    "negative_slope",
    "pool_size",
    "pool_strides",
    "pool_padding",
    "dropout",
)


def fused_epilogue(
    z,
    bias=None,
    activation=None,
    negative_slope=0.3,
    pool_size=None,
    pool_strides=None,
    pool_padding="valid",
    dropout=0.0,
    spatial_dropout=0.0,
    seed=None,
):
    """Computes `dropout(max_pool(activation(z + bias)))` in one op.

    It stands behind convolutions that another library computes. Its gradient does not need `z`. It
    can be taken once, not twice.

    On a GPU a bias, with or without `"relu"` and nothing else, is left to TensorFlow's own ops:
    XLA makes them a part of cuDNN's convolution, which then takes no pass behind it.

    Args:
        z: tensor `(batch, height, width, channels)` of float32, bfloat16, float16 or float64.
        bias: tensor `(channels,)` of the same type, or None. Defaults to `None`.
        activation: None or `"linear"`, `"relu"`, `"leaky_relu"`. Defaults to `None`.
        negative_slope: float >= 0, slope of `"leaky_relu"` below zero. Defaults to `0.3`.
        pool_size: int or pair of ints, the max pooling window; None for no pooling. Defaults to
            `None`.
        pool_strides: int or pair of ints; None means `pool_size`. Defaults to `None`.
        pool_padding: `"valid"` or `"same"`. Defaults to `"valid"`.
        dropout: float from 0 to 1, the probability that dropout sets a value to 0; it multiplies
            the others by `1 / (1 - dropout)`. Defaults to `0.0`.
        spatial_dropout: float from 0 to 1, the same for whole channels of an image; at most one of
            the two may be other than 0. Defaults to `0.0`.
        seed: int32 tensor `(2,)` that the mask is drawn from, needed with dropout: the mask is that
            of `tf.nn.experimental.stateless_dropout` outside of XLA. Defaults to `None`.

    Returns:
        Tensor `(batch, out_height, out_width, channels)` of the type of `z`.

    Raises:
        ValueError: an argument that does not fit, or a tensor whose type, rank or channels do not.

    Example:

    >>> z = tf.random.normal([8, 32, 32, 16])
    >>> fastconv.ops.fused_epilogue(z, tf.zeros(16), activation="relu", pool_size=2).shape
    TensorShape([8, 16, 16, 16])
    """
    block = arguments.block(activation, negative_slope, pool_size, pool_strides, pool_padding)
    drop = arguments.dropout(dropout, spatial_dropout, seed)
    z = arguments.tensor(z, "z", 4)
    bias = arguments.channel_vector(bias, "bias", z.shape[3], z.dtype)
    if not placement.has_kernel(z.dtype):
        return reference.fused_epilogue(
            z,
            bias,
            activation,
            negative_slope,
            pool_size,
            pool_strides,
            pool_padding,
            dropout,
            spatial_dropout,
            seed,
        )
    if placement.on_gpu() and _fits_into_convolution(block, drop):
        biased = () if bias is None else (bias,)
        return (_relu if activation == "relu" else _sum)(z, *biased)
    y, _ = native.ops().fastconv_fused_epilogue(
        z=z, bias=arguments.absent(z.dtype) if bias is None else bias, **block, **drop
    )
    return y


def _fits_into_convolution(block, drop):
    """Tells whether cuDNN's convolutions take in all of an epilogue."""
    return (
        block["activation"] in ("linear", "relu")
        and not block["pool_size"]
        and drop["dropout"] == "none"
    )


def _sum(z, bias=None):
    return z if bias is None else tf.nn.bias_add(z, bias)


@tf.custom_gradient
def _relu(z, *bias):
    """Returns `relu(z + bias)`.

    With TensorFlow's own gradient, XLA asks for the signs of `z + bias` instead of the result's;
    then both have to be stored, and relu becomes a pass of its own.
    """
    y = tf.nn.relu(_sum(z, *bias))

    def gradients(dy):
        dz, dbias = native.ops().fastconv_fused_epilogue_grad(
            z=dy,  # for its shape
            bias=bias[0] if bias else arguments.absent(y.dtype),
            y=y,
            code=arguments.absent(tf.uint8),
            dy=dy,
            activation="relu",
            **arguments.dropout(0.0, 0.0, None),
        )
        return (dz, dbias) if bias else dz

    return y, gradients


@tf.RegisterGradient("Fastconv>FusedEpilogue")
def _fused_epilogue_gradient(op, dy, _):
    z, bias, dropout_rate, dropout_seed = op.inputs
    y, code = op.outputs
    attributes = {name: op.get_attr(name) for name in _ATTRIBUTES}
    if not attributes["pool_size"]:
        z = dy  # it has the shape, and z need not wait in memory for this
    if attributes["activation"] == b"linear" or attributes["pool_size"]:
        y = arguments.absent(y.dtype)
    dz, dbias = native.ops().fastconv_fused_epilogue_grad(
        z=z,
        bias=bias,
        y=y,
        code=code,
        dy=dy,
        dropout_rate=dropout_rate,
        dropout_seed=dropout_seed,
        **attributes,
    )
    return dz, None if arguments.is_absent(bias) else dbias, None, None
