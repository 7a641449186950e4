"""Fused 2-D convolution: forward functions and, next to each, its gradient."""

import tensorflow as tf

from fastconv import native, placement
from fastconv.ops import arguments, reference, stock
from fastconv.ops.epilogue import fused_epilogue
from fastconv.ops.statistics import batch_statistics

_CONVOLUTION_ATTRIBUTES = ("strides", "dilations", "padding", "explicit_paddings")
_BLOCK_ATTRIBUTES = (
    "activation",
    "negative_slope",
    "pool_size",
    "pool_strides",
    "pool_padding",
    "dropout",
)

# Elements. Scratch memory is several times as large, and the smaller ones' gradients are up to 3 %
# faster when they overlap (two threads).
_LARGE_FILTER = 1 << 20


def fused_conv2d(
    x,
    filter,
    bias=None,
    strides=1,
    padding="valid",
    dilations=1,
    activation=None,
    negative_slope=0.3,
    pool_size=None,
    pool_strides=None,
    pool_padding="valid",
    dropout=0.0,
    spatial_dropout=0.0,
    seed=None,
):
    """Computes `dropout(max_pool(activation(conv2d(x, filter) + bias)))` in one op.

    The gradient needs neither the convolution's output nor the activation's where the result is
    pooled: it works from one byte per pooled cell. It can be taken once, not twice. No mask of
    dropout is kept: those bytes tell of it or, without pooling, it is drawn again.

    Args:
        x: tensor `(batch, height, width, channels)` of float32, bfloat16, float16 or float64.
        filter: tensor `(rows, columns, channels / groups, filters)` of the same type. The number
            of groups follows from the two channel counts.
        bias: tensor `(filters,)` of the same type, or None. Defaults to `None`.
        strides: int or pair of ints. Defaults to `1`.
        padding: `"valid"`, `"same"` (TensorFlow's rule, the odd row or column goes after) or
            `((top, bottom), (left, right))`. Defaults to `"valid"`.
        dilations: int or pair of ints. Defaults to `1`.
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
        Tensor `(batch, out_height, out_width, filters)` of the type of `x`.

    Raises:
        ValueError: an argument that does not fit, or a tensor whose type, rank or channels do not.

    Example:

    >>> x = tf.random.normal([8, 32, 32, 3])
    >>> filter = tf.random.normal([3, 3, 3, 16])
    >>> y = fastconv.ops.fused_conv2d(x, filter, padding="same", activation="relu", pool_size=2)
    >>> y.shape
    TensorShape([8, 16, 16, 16])
    """
    convolution = arguments.convolution(strides, padding, dilations)
    block = arguments.block(activation, negative_slope, pool_size, pool_strides, pool_padding)
    drop = arguments.dropout(dropout, spatial_dropout, seed)
    x, filter, bias = arguments.convolution_inputs(x, filter, bias)
    if not placement.has_kernel(x.dtype):
        return reference.fused_conv2d(
            x,
            filter,
            bias,
            strides,
            padding,
            dilations,
            activation,
            negative_slope,
            pool_size,
            pool_strides,
            pool_padding,
            dropout,
            spatial_dropout,
            seed,
        )
    if stock.is_faster(x, filter, convolution):
        return fused_epilogue(
            stock.conv2d(x, filter, strides, padding, dilations),
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
    y, _ = native.ops().fastconv_fused_conv2d(
        x=x,
        filter=filter,
        bias=arguments.absent(x.dtype) if bias is None else bias,
        **convolution,
        **block,
        **drop,
    )
    return y


@tf.RegisterGradient("Fastconv>FusedConv2D")
def _fused_conv2d_gradient(op, dy, _):
    x, filter, bias, dropout_rate, dropout_seed = op.inputs
    y, code = op.outputs
    attributes = {name: op.get_attr(name) for name in _CONVOLUTION_ATTRIBUTES + _BLOCK_ATTRIBUTES}
    if attributes["activation"] == b"linear" or attributes["pool_size"]:
        y = arguments.absent(y.dtype)
    attributes.update(dropout_rate=dropout_rate, dropout_seed=dropout_seed)
    return *_convolution_gradients(op, x, filter, bias, y, code, dy, attributes), None, None


def conv2d_batch_statistics(x, filter, bias=None, strides=1, padding="valid", dilations=1):
    """Computes a convolution and the mean and population variance of its result, in one pass.

    The first half of a batch-normalised convolution; `fused_batch_norm` is the second. The
    statistics are constants for differentiation: `fused_batch_norm`'s gradient on `z` accounts
    for them.

    Args:
        x: tensor `(batch, height, width, channels)` of float32, bfloat16, float16 or float64.
        filter: tensor `(rows, columns, channels / groups, filters)` of the same type.
        bias: tensor `(filters,)` of the same type, or None. Defaults to `None`.
        strides: int or pair of ints. Defaults to `1`.
        padding: `"valid"`, `"same"` or `((top, bottom), (left, right))`. Defaults to `"valid"`.
        dilations: int or pair of ints. Defaults to `1`.

    Returns:
        Tuple `(z, mean, variance)`: `z` of shape `(batch, out_height, out_width, filters)` and the
        type of `x`; the others of shape `(filters,)`, float64 for a float64 `x`, else float32.

    Raises:
        ValueError: an argument that does not fit, or a tensor whose type, rank or channels do not.

    Example:

    >>> x, filter = tf.random.normal([8, 32, 32, 3]), tf.random.normal([3, 3, 3, 16])
    >>> z, mean, variance = fastconv.ops.conv2d_batch_statistics(x, filter)
    >>> z.shape, mean.shape, variance.shape
    (TensorShape([8, 30, 30, 16]), TensorShape([16]), TensorShape([16]))
    """
    convolution = arguments.convolution(strides, padding, dilations)
    x, filter, bias = arguments.convolution_inputs(x, filter, bias)
    if not placement.has_kernel(x.dtype):
        return reference.conv2d_batch_statistics(x, filter, bias, strides, padding, dilations)
    if stock.is_faster(x, filter, convolution):
        z = fused_epilogue(stock.conv2d(x, filter, strides, padding, dilations), bias)
        return z, *batch_statistics(z)
    z, mean, variance = native.ops().fastconv_conv2d_batch_statistics(
        x=x,
        filter=filter,
        bias=arguments.absent(x.dtype) if bias is None else bias,
        U=arguments.accumulation_type(x.dtype),
        **convolution,
    )
    return z, mean, variance


@tf.RegisterGradient("Fastconv>Conv2DBatchStatistics")
def _conv2d_batch_statistics_gradient(op, dz, *_):
    x, filter, bias = op.inputs
    attributes = {name: op.get_attr(name) for name in _CONVOLUTION_ATTRIBUTES}
    attributes.update(arguments.block(None, 0.0, None, None, "valid"))
    attributes.update(arguments.dropout(0.0, 0.0, None))
    del attributes["code_type"]  # follows from `code`
    y, code = arguments.absent(dz.dtype), arguments.absent(tf.uint8)
    return _convolution_gradients(op, x, filter, bias, y, code, dz, attributes)


def _convolution_gradients(op, x, filter, bias, y, code, dy, attributes):
    """Returns the gradients on x, filter and bias that the caller did not ask to skip.

    Two ops, so that a graph drops the one that nobody needs (frozen filters, the first layer's x);
    tapes name the unneeded ones in `skip_input_indices`. Where both are known to be needed, those
    of a large filter run one after the other, so that only one's scratch memory is held at a time.
    """
    skipped = getattr(op, "skip_input_indices", None)
    dx = dfilter = dbias = None
    if skipped is None or not {1, 2} <= set(skipped):
        dfilter, dbias = native.ops().fastconv_fused_conv2d_backprop_filter(
            x=x, filter=filter, y=y, code=code, dy=dy, **attributes
        )
    if skipped is None or 0 not in skipped:
        both = skipped is not None and dfilter is not None
        ordered = both and (filter.shape.num_elements() or 0) >= _LARGE_FILTER
        with tf.control_dependencies([dfilter] if ordered else []):
            dx = native.ops().fastconv_fused_conv2d_backprop_input(
                x=x, filter=filter, y=y, code=code, dy=dy, **attributes
            )
    return dx, dfilter, None if arguments.is_absent(bias) else dbias
