"""Batch statistics, of one replica and over those of a distribution strategy."""

import tensorflow as tf

from fastconv.ops import arguments


def batch_statistics(z):
    """Returns mean and population variance of each channel, from one pass over `z`.

    Both are of deviations from the mean of a row in the first image's middle, so that a mean far
    from zero costs no digits (shifted data: Chan, Golub and LeVeque, The American Statistician
    37(3), 1983). Of the mean square of those, at least 1 / (batch * height) is the variance: a row
    that differs from all others costs so much, and no more.

    Args:
        z: tensor `(batch, height, width, channels)`.

    Returns:
        Tuple `(mean, variance)` of shape `(channels,)`, float64 for a float64 `z`, else float32.
        They are constants for differentiation.
    """
    wide = tf.cast(tf.stop_gradient(z), arguments.accumulation_type(z.dtype))
    axes = [0, 1, 2]
    middle = tf.shape(z)[1] // 2
    shift = tf.reduce_mean(wide[:1, middle : middle + 1], axes)
    deviation = wide - shift
    mean = tf.reduce_mean(deviation, axes)
    variance = tf.reduce_mean(tf.square(deviation), axes) - tf.square(mean)
    return shift + mean, tf.maximum(variance, 0)


def samples_per_channel(z, dtype):
    """Returns batch * height * width of `z`, as a scalar of `dtype`."""
    return tf.cast(tf.reduce_prod(tf.shape(z, out_type=tf.int64)[:3]), dtype)


def replica_sums(*tensors):
    """Returns each tensor summed over the replicas in sync (as it is, where there is one only)."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return tensors
    return tuple(context.all_reduce(tf.distribute.ReduceOp.SUM, list(tensors)))


def combined_statistics(mean, variance, count):
    """Combines per-replica means and population variances exactly.

    `variance = E[variance_i + (mean_i - mean)^2]`, weighted by the counts: no difference of large
    sums, so a mean far from zero loses nothing (Chan, Golub and LeVeque, 1979).

    Args:
        mean: tensor `(channels,)`, this replica's mean.
        variance: tensor `(channels,)`, this replica's population variance.
        count: scalar tensor of the same type, samples per channel on this replica; may be zero.

    Returns:
        Tuple `(mean, variance, count)` over all replicas.
    """
    # multiply_no_nan: an empty replica has no mean, and must not spoil the others' one.
    total, weighted_mean = replica_sums(count, tf.math.multiply_no_nan(mean, count))
    global_mean = weighted_mean / total
    spread = variance + tf.math.square(mean - global_mean)
    (weighted_spread,) = replica_sums(tf.math.multiply_no_nan(spread, count))
    return global_mean, weighted_spread / total, total
