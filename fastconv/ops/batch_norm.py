"""Fused batch normalisation: forward functions and the gradient."""

import tensorflow as tf

from fastconv import native, placement
from fastconv.ops import arguments, reference
from fastconv.ops.conv2d import conv2d_batch_statistics, fused_conv2d
from fastconv.ops.statistics import combined_statistics, replica_sums, samples_per_channel

_ATTRIBUTES = (
    "epsilon",
    "activation",
    "negative_slope",
    "pool_size",
    "pool_strides",
    "pool_padding",
    "dropout",
)


def fused_batch_norm(
    z,
    mean,
    variance,
    gamma=None,
    beta=None,
    epsilon=1e-3,
    activation=None,
    negative_slope=0.3,
    pool_size=None,
    pool_strides=None,
    pool_padding="valid",
    synchronized=False,
    dropout=0.0,
    spatial_dropout=0.0,
    seed=None,
):
    """Computes normalisation by given statistics, activation, max pooling and dropout in one op.

    `y = dropout(max_pool(activation(gamma * (z - mean) / sqrt(variance + epsilon) + beta)))`.

    `mean` and `variance` must be the statistics of `z` over batch, height and width (over all
    replicas, where `synchronized`), as from `conv2d_batch_statistics`: the gradient on `z` is the
    total one, with what reaches it through the statistics, which get no gradient of their own.
    It can be taken once, not twice.

    Args:
        z: tensor `(batch, height, width, channels)` of float32, bfloat16, float16 or float64.
        mean: tensor `(channels,)`, float64 for a float64 `z`, else float32.
        variance: tensor like `mean`, the population variance.
        gamma: tensor like `mean`, or None for 1. Defaults to `None`.
        beta: tensor like `mean`, or None for 0. Defaults to `None`.
        epsilon: float, added to the variance. Defaults to `1e-3`.
        activation: None or `"linear"`, `"relu"`, `"leaky_relu"`. Defaults to `None`.
        negative_slope: float >= 0, slope of `"leaky_relu"` below zero. Defaults to `0.3`.
        pool_size: int or pair of ints, the max pooling window; None for no pooling. Defaults to
            `None`.
        pool_strides: int or pair of ints; None means `pool_size`. Defaults to `None`.
        pool_padding: `"valid"` or `"same"`. Defaults to `"valid"`.
        synchronized: bool, whether the statistics are those over all replicas; then backward
            sums over them as well. Defaults to `False`.
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

    >>> x, filter = tf.random.normal([8, 32, 32, 3]), tf.random.normal([3, 3, 3, 16])
    >>> z, mean, variance = fastconv.ops.conv2d_batch_statistics(x, filter)
    >>> fastconv.ops.fused_batch_norm(z, mean, variance, activation="relu", pool_size=2).shape
    TensorShape([8, 15, 15, 16])
    """
    block = arguments.block(activation, negative_slope, pool_size, pool_strides, pool_padding)
    drop = arguments.dropout(dropout, spatial_dropout, seed)
    z = arguments.tensor(z, "z", 4)
    channels, dtype = z.shape[3], arguments.accumulation_type(z.dtype)
    mean, variance, gamma, beta = arguments.channel_vectors(
        channels, dtype, mean=mean, variance=variance, gamma=gamma, beta=beta
    )
    if not placement.has_kernel(z.dtype):
        return reference.fused_batch_norm(
            z,
            mean,
            variance,
            gamma,
            beta,
            epsilon,
            activation,
            negative_slope,
            pool_size,
            pool_strides,
            pool_padding,
            synchronized,
            dropout,
            spatial_dropout,
            seed,
        )
    y, _ = native.ops().fastconv_fused_batch_norm(
        z=z,
        mean=mean,
        variance=variance,
        gamma=arguments.absent(dtype) if gamma is None else gamma,
        beta=arguments.absent(dtype) if beta is None else beta,
        epsilon=float(epsilon),
        synchronized=bool(synchronized),
        **block,
        **drop,
    )
    return y


@tf.RegisterGradient("Fastconv>FusedBatchNorm")
def _fused_batch_norm_gradient(op, dy, _):
    z, mean, variance, gamma, beta, dropout_rate, dropout_seed = op.inputs
    attributes = {name: op.get_attr(name) for name in _ATTRIBUTES}
    inputs = dict(
        z=z,
        mean=mean,
        variance=variance,
        gamma=gamma,
        beta=beta,
        code=op.outputs[1],
        dropout_rate=dropout_rate,
        dropout_seed=dropout_seed,
    )
    dgamma, dbeta = native.ops().fastconv_fused_batch_norm_grad_reduce(
        **inputs, dy=dy, **attributes
    )
    sums = dgamma, dbeta, samples_per_channel(z, mean.dtype)
    if op.get_attr("synchronized"):
        sums = replica_sums(*sums)
    dz = native.ops().fastconv_fused_batch_norm_grad_apply(
        **inputs, dy=dy, dgamma=sums[0], dbeta=sums[1], count=sums[2], **attributes
    )
    # The gradients on gamma and beta stay those of this replica, as all weights' do: the optimizer
    # sums them.
    return (
        dz,
        None,
        None,
        None if arguments.is_absent(gamma) else dgamma,
        None if arguments.is_absent(beta) else dbeta,
        None,
        None,
    )


def fused_conv2d_batch_norm(
    x,
    filter,
    moving_mean,
    moving_variance,
    bias=None,
    gamma=None,
    beta=None,
    training=False,
    epsilon=1e-3,
    synchronized=False,
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
    """Computes `dropout(max_pool(activation(batch_norm(conv2d(x, filter) + bias))))`.

    In training the batch normalises itself; its statistics are returned for the moving averages.
    In inference the moving statistics are folded into filter and bias (in float32, then rounded to
    the type of `x`), and what is left is one fused convolution.

    Args:
        x: tensor `(batch, height, width, channels)` of float32, bfloat16, float16 or float64.
        filter: tensor `(rows, columns, channels / groups, filters)` of the same type.
        moving_mean: tensor `(filters,)`, float64 for a float64 `x`, else float32.
        moving_variance: tensor like `moving_mean`.
        bias: tensor `(filters,)` of the type of `x`, or None. Defaults to `None`.
        gamma: tensor like `moving_mean`, or None for 1. Defaults to `None`.
        beta: tensor like `moving_mean`, or None for 0. Defaults to `None`.
        training: bool. Defaults to `False`.
        epsilon: float, added to the variance. Defaults to `1e-3`.
        synchronized: bool, whether the statistics of training are those over all replicas.
            Defaults to `False`.
        strides: int or pair of ints. Defaults to `1`.
        padding: `"valid"`, `"same"` or `((top, bottom), (left, right))`. Defaults to `"valid"`.
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
        Tuple `(y, mean, variance)`: `y` of shape `(batch, out_height, out_width, filters)` and the
        type of `x`, and the statistics that normalised it, of shape `(filters,)`.

    Raises:
        ValueError: an argument that does not fit, or a tensor whose type, rank or channels do not.

    Example:

    >>> x, filter = tf.random.normal([8, 32, 32, 3]), tf.random.normal([3, 3, 3, 16])
    >>> y, mean, variance = fastconv.ops.fused_conv2d_batch_norm(
    ...     x, filter, tf.zeros(16), tf.ones(16), training=True, activation="relu", pool_size=2
    ... )
    >>> y.shape
    TensorShape([8, 15, 15, 16])
    """
    convolution = dict(strides=strides, padding=padding, dilations=dilations)
    block = dict(
        activation=activation,
        negative_slope=negative_slope,
        pool_size=pool_size,
        pool_strides=pool_strides,
        pool_padding=pool_padding,
        dropout=dropout,
        spatial_dropout=spatial_dropout,
        seed=seed,
    )
    if training:
        if bias is not None and placement.on_gpu():  # there the gradient may be a pass of its own
            bias = _with_zero_gradient(tf.convert_to_tensor(bias))
        z, mean, variance = conv2d_batch_statistics(x, filter, bias, **convolution)
        if synchronized:
            count = samples_per_channel(z, mean.dtype)
            mean, variance, _ = combined_statistics(mean, variance, count)
        y = fused_batch_norm(
            z, mean, variance, gamma, beta, epsilon, synchronized=synchronized, **block
        )
        return y, mean, variance

    x, filter, bias = arguments.convolution_inputs(x, filter, bias)
    dtype = arguments.accumulation_type(x.dtype)
    mean, variance, gamma, beta = arguments.channel_vectors(
        filter.shape[3],
        dtype,
        moving_mean=moving_mean,
        moving_variance=moving_variance,
        gamma=gamma,
        beta=beta,
    )
    scale = tf.math.rsqrt(variance + epsilon)
    if gamma is not None:
        scale *= gamma
    offset = -mean if bias is None else tf.cast(bias, dtype) - mean
    offset *= scale
    if beta is not None:
        offset += beta
    y = fused_conv2d(
        x,
        tf.cast(tf.cast(filter, dtype) * scale, x.dtype),
        tf.cast(offset, x.dtype),
        **convolution,
        **block,
    )
    return y, mean, variance


@tf.custom_gradient
def _with_zero_gradient(bias):
    """Returns a bias that the mean of the batch takes away again.

    So its gradient is 0, of which sums over the gradient on `z` leave roundings.
    """
    return tf.identity(bias), tf.zeros_like
