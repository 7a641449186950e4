"""Checks of the ops' arguments, and their form as attributes of the native ops."""

import numbers

import tensorflow as tf

SUPPORTED_TYPES = (tf.float32, tf.bfloat16, tf.float16, tf.float64)

# A pooling code is a position in the window, or the mark of dropout, and one bit for the sign: 7
# bits are left in a byte.
_MAX_UINT8_POSITIONS = 127


def accumulation_type(dtype):
    """Returns the type of sums, statistics and per-channel parameters for tensors of `dtype`."""
    return tf.float64 if dtype == tf.float64 else tf.float32


def absent(dtype):
    """Returns what stands for a tensor that is not there: one of shape `[0]`."""
    return tf.zeros([0], dtype)


def is_absent(tensor):
    """Tells whether an input of a native op is not there."""
    return tensor.shape.rank == 1 and tensor.shape[0] == 0


def pair(value, name):
    """Returns `value`, an int or a pair of ints, as a pair of positive ints."""
    values = (value, value) if isinstance(value, numbers.Integral) else value
    if (
        not isinstance(values, (tuple, list))
        or len(values) != 2
        or not all(isinstance(v, numbers.Integral) and v > 0 for v in values)
    ):
        raise ValueError(
            f"`{name}` must be a positive integer or a pair of positive integers. "
            f"Received: {name}={value}"
        )
    return int(values[0]), int(values[1])


def padding_pairs(padding):
    """Returns explicit paddings as `((top, bottom), (left, right))`; None for a named padding."""
    if isinstance(padding, str):
        if padding.lower() not in ("valid", "same"):
            raise ValueError(
                "`padding` must be 'valid', 'same' or ((top, bottom), (left, right)). "
                f"Received: padding={padding!r}"
            )
        return None
    try:
        (top, bottom), (left, right) = padding
    except (TypeError, ValueError):
        top = bottom = left = right = None
    values = (top, bottom, left, right)
    if not all(isinstance(v, numbers.Integral) and v >= 0 for v in values):
        raise ValueError(
            "`padding` must be 'valid', 'same' or ((top, bottom), (left, right)) of integers >= 0. "
            f"Received: padding={padding!r}"
        )
    return (int(top), int(bottom)), (int(left), int(right))


def convolution(strides, padding, dilations):
    """Returns the attributes that all convolution ops share."""
    pairs = padding_pairs(padding)
    return {
        "strides": pair(strides, "strides"),
        "dilations": pair(dilations, "dilations"),
        "padding": padding.upper() if pairs is None else "EXPLICIT",
        "explicit_paddings": [] if pairs is None else [*pairs[0], *pairs[1]],
    }


def pooling(pool_size, pool_strides, pool_padding):
    """Returns the attributes of pooling; `pool_size=None` means no pooling."""
    if not isinstance(pool_padding, str) or pool_padding.lower() not in ("valid", "same"):
        raise ValueError(
            f"`pool_padding` must be 'valid' or 'same'. Received: pool_padding={pool_padding!r}"
        )
    if pool_size is None:
        if pool_strides is not None:
            raise ValueError(
                "`pool_strides` needs `pool_size`. "
                f"Received: pool_size=None, pool_strides={pool_strides}"
            )
        size, strides, code_type = (), (), tf.uint8
    else:
        size = pair(pool_size, "pool_size")
        strides = size if pool_strides is None else pair(pool_strides, "pool_strides")
        code_type = tf.uint8 if size[0] * size[1] <= _MAX_UINT8_POSITIONS else tf.int32
    return {
        "pool_size": size,
        "pool_strides": strides,
        "pool_padding": pool_padding.upper(),
        "code_type": code_type,
    }


def activation(activation, negative_slope):
    """Returns the attributes of an activation."""
    if activation not in (None, "linear", "relu", "leaky_relu"):
        raise ValueError(
            "`activation` must be None, 'linear', 'relu' or 'leaky_relu'. "
            f"Received: activation={activation!r}"
        )
    if not isinstance(negative_slope, numbers.Real) or not negative_slope >= 0:
        raise ValueError(
            f"`negative_slope` must be a number >= 0. Received: negative_slope={negative_slope}"
        )
    return {"activation": activation or "linear", "negative_slope": float(negative_slope)}


def block(activation_name, negative_slope, pool_size, pool_strides, pool_padding):
    """Returns the attributes of the stages after convolution or normalisation."""
    return {
        **activation(activation_name, negative_slope),
        **pooling(pool_size, pool_strides, pool_padding),
    }


def dropout_rates(dropout, spatial_dropout):
    """Returns dropout's kind, as the ops name it, and its rate."""
    for name, rate in (("dropout", dropout), ("spatial_dropout", spatial_dropout)):
        if not isinstance(rate, numbers.Real) or not 0 <= rate <= 1:
            raise ValueError(f"`{name}` must be a number from 0 to 1. Received: {name}={rate}")
    if dropout and spatial_dropout:
        raise ValueError(
            "At most one of `dropout` and `spatial_dropout` may be other than 0. "
            f"Received: dropout={dropout}, spatial_dropout={spatial_dropout}"
        )
    if spatial_dropout:
        return "channels", float(spatial_dropout)
    return ("elements", float(dropout)) if dropout else ("none", 0.0)


def dropout(dropout, spatial_dropout, seed):
    """Returns the attribute and the inputs of dropout."""
    kind, rate = dropout_rates(dropout, spatial_dropout)
    if kind == "none":
        return {
            "dropout": kind,
            "dropout_rate": absent(tf.float64),
            "dropout_seed": absent(tf.int32),
        }
    if seed is None:
        raise ValueError(
            "Dropout needs a `seed` of two int32 numbers. "
            f"Received: seed=None, dropout={dropout}, spatial_dropout={spatial_dropout}"
        )
    seed = tf.convert_to_tensor(seed)
    if seed.dtype != tf.int32 or not seed.shape.is_compatible_with([2]):
        raise ValueError(
            "`seed` must have the type int32 and the shape (2,). "
            f"Received: seed.dtype={seed.dtype.name}, seed.shape={seed.shape}"
        )
    return {
        "dropout": kind,
        "dropout_rate": tf.constant(rate, tf.float64),
        "dropout_seed": seed,
    }


def tensor(value, name, rank, dtype=None):
    """Returns `value` as a tensor of a supported type and, where given, of `rank` and `dtype`."""
    result = tf.convert_to_tensor(value)
    if result.dtype not in SUPPORTED_TYPES:
        names = ", ".join(t.name for t in SUPPORTED_TYPES)
        raise ValueError(
            f"`{name}` must have one of the types {names}. "
            f"Received: {name}.dtype={result.dtype.name}"
        )
    if dtype is not None and result.dtype != dtype:
        raise ValueError(
            f"`{name}` must have the type {dtype.name} here. "
            f"Received: {name}.dtype={result.dtype.name}"
        )
    if rank is not None and result.shape.rank not in (None, rank):
        raise ValueError(f"`{name}` must have rank {rank}. Received: {name}.shape={result.shape}")
    return result


def channel_vector(value, name, channels, dtype):
    """Returns a vector with one entry for each channel; None stays None."""
    if value is None:
        return None
    result = tensor(value, name, 1, dtype)
    if not result.shape.is_compatible_with([channels]):
        raise ValueError(
            f"`{name}` must have one entry for each of {channels} channels. "
            f"Received: {name}.shape={result.shape}"
        )
    return result


def channel_vectors(channels, dtype, **values):
    """Returns `channel_vector` of each value, given by name, in a list."""
    return [channel_vector(value, name, channels, dtype) for name, value in values.items()]


def convolution_inputs(x, filter, bias):
    """Returns the checked inputs of a convolution; an absent bias stays None."""
    x = tensor(x, "x", 4)
    filter = tensor(filter, "filter", 4, x.dtype)
    channels, group_channels, filters = x.shape[3], filter.shape[2], filter.shape[3]
    if channels is not None and group_channels is not None:
        divides = group_channels > 0 and channels % group_channels == 0
        if not divides or (filters is not None and filters % (channels // group_channels)):
            raise ValueError(
                "The channels of `x` must be a multiple of the input channels of `filter`, and its "
                "output channels a multiple of their ratio, the number of groups. "
                f"Received: x.shape={x.shape}, filter.shape={filter.shape}"
            )
    return x, filter, channel_vector(bias, "bias", filters, x.dtype)


def dense_inputs(x, kernel, bias):
    """Returns the checked inputs of a dense layer; an absent bias stays None."""
    x = tensor(x, "x", 2)
    kernel = tensor(kernel, "kernel", 2, x.dtype)
    inputs, units = kernel.shape if kernel.shape.rank == 2 else (None, None)
    if x.shape.rank == 2 and None not in (inputs, x.shape[1]) and inputs != x.shape[1]:
        raise ValueError(
            "`kernel` must have one row for each input. "
            f"Received: x.shape={x.shape}, kernel.shape={kernel.shape}"
        )
    return x, kernel, channel_vector(bias, "bias", units, x.dtype)
