"""The same functions in plain TensorFlow ops: the tests' oracle, and what runs without native ops.

Arguments are those of the functions in `fastconv.ops`, which check them. As in the kernels, sums
of 16-bit types are float32.
"""

import tensorflow as tf

from fastconv.ops import arguments
from fastconv.ops.statistics import combined_statistics, samples_per_channel


def max_pool2d(x, pool_size=2, pool_strides=None, pool_padding="valid"):
    """See `fastconv.ops.max_pool2d`; for a window of NaNs TensorFlow has no fixed result."""
    if pool_strides is None:
        pool_strides = pool_size
    wide = tf.cast(x, arguments.accumulation_type(x.dtype))
    return tf.cast(tf.nn.max_pool2d(wide, pool_size, pool_strides, pool_padding.upper()), x.dtype)


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
    """See `fastconv.ops.fused_conv2d`."""
    z = _convolution(x, filter, bias, strides, padding, dilations)
    y = _block(z, activation, negative_slope, pool_size, pool_strides, pool_padding)
    return _dropped(tf.cast(y, x.dtype), dropout, spatial_dropout, seed)


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
    """See `fastconv.ops.fused_epilogue`."""
    dtype = arguments.accumulation_type(z.dtype)
    a = tf.cast(z, dtype)
    if bias is not None:
        a += tf.cast(bias, dtype)
    y = _block(a, activation, negative_slope, pool_size, pool_strides, pool_padding)
    return _dropped(tf.cast(y, z.dtype), dropout, spatial_dropout, seed)


def fused_dense(x, kernel, bias=None, activation=None, negative_slope=0.3):
    """See `fastconv.ops.fused_dense`."""
    dtype = arguments.accumulation_type(x.dtype)
    z = tf.matmul(tf.cast(x, dtype), tf.cast(kernel, dtype))
    if bias is not None:
        z += tf.cast(bias, dtype)
    return tf.cast(_activated(z, activation, negative_slope), x.dtype)


def conv2d_batch_statistics(x, filter, bias=None, strides=1, padding="valid", dilations=1):
    """See `fastconv.ops.conv2d_batch_statistics`."""
    z = _convolution(x, filter, bias, strides, padding, dilations)
    mean, variance = tf.nn.moments(z, [0, 1, 2])
    return tf.cast(z, x.dtype), tf.stop_gradient(mean), tf.stop_gradient(variance)


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
    """See `fastconv.ops.fused_batch_norm`."""
    wide = tf.cast(z, mean.dtype)
    own_mean, own_variance = tf.nn.moments(wide, [0, 1, 2])
    if synchronized:
        count = samples_per_channel(z, mean.dtype)
        own_mean, own_variance, _ = combined_statistics(own_mean, own_variance, count)
    mean = _value_with_gradient_of(mean, own_mean)
    variance = _value_with_gradient_of(variance, own_variance)
    a = tf.nn.batch_normalization(wide, mean, variance, beta, gamma, epsilon)
    y = _block(a, activation, negative_slope, pool_size, pool_strides, pool_padding)
    return _dropped(tf.cast(y, z.dtype), dropout, spatial_dropout, seed)


def _value_with_gradient_of(value, other):
    return tf.stop_gradient(value) + (other - tf.stop_gradient(other))


def _convolution(x, filter, bias, strides, padding, dilations):
    """Returns `conv2d(x, filter) + bias` in the accumulation type."""
    dtype = arguments.accumulation_type(x.dtype)
    x = tf.cast(x, dtype)
    filter = dilated(tf.cast(filter, dtype), *arguments.pair(dilations, "dilations"))
    strides = arguments.pair(strides, "strides")
    pairs = arguments.padding_pairs(padding)
    if pairs is not None:
        x = tf.pad(x, [(0, 0), *pairs, (0, 0)])
        padding = "valid"
    if x.shape[0] == 0:  # oneDNN gives an empty batch as many channels as x has
        return _convolution(tf.pad(x, [(0, 1)] + 3 * [(0, 0)]), filter, bias, strides, padding, 1)[
            :0
        ]
    # One convolution for each group: TensorFlow has no gradient of grouped ones on the CPU.
    groups = x.shape[3] // filter.shape[2]
    parts = zip(tf.split(x, groups, axis=3), tf.split(filter, groups, axis=3), strict=True)
    z = tf.concat([tf.nn.conv2d(*part, strides, padding.upper()) for part in parts], axis=3)
    return z if bias is None else z + tf.cast(bias, dtype)


def dilated(filter, row_dilation, column_dilation):
    """Returns the filter with zeros between its taps: TensorFlow refuses dilation with strides."""
    if row_dilation == column_dilation == 1:
        return filter
    rows, columns, channels, filters = filter.shape
    spread = tf.pad(
        filter[:, None, :, None],
        [(0, 0), (0, row_dilation - 1), (0, 0), (0, column_dilation - 1), (0, 0), (0, 0)],
    )
    spread = tf.reshape(spread, [rows * row_dilation, columns * column_dilation, channels, filters])
    return spread[: (rows - 1) * row_dilation + 1, : (columns - 1) * column_dilation + 1]


def _activated(x, activation, negative_slope):
    if activation == "relu":
        return tf.nn.relu(x)
    return tf.nn.leaky_relu(x, negative_slope) if activation == "leaky_relu" else x


def _block(x, activation, negative_slope, pool_size, pool_strides, pool_padding):
    x = _activated(x, activation, negative_slope)
    return x if pool_size is None else max_pool2d(x, pool_size, pool_strides, pool_padding)


def dropout(x, rate, seed):
    """See `fastconv.ops.dropout`."""
    return _dropped(x, rate, 0.0, seed)


def _dropped(x, rate, spatial_rate, seed):
    rate = rate or spatial_rate
    if rate in (0, 1):  # 1 is beyond what TensorFlow's own dropout takes
        return x if rate == 0 else tf.zeros_like(x)
    shape = tf.shape(x)
    noise_shape = [shape[0], 1, 1, shape[3]] if spatial_rate else shape
    return tf.nn.experimental.stateless_dropout(x, rate, seed, noise_shape=noise_shape)
