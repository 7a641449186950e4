"""Convolutions left to TensorFlow: on a GPU cuDNN computes what fastconv has no kernel for."""

import tensorflow as tf

from fastconv import native, placement
from fastconv.ops import arguments, reference


def is_faster(x, filter, convolution):
    """Tells whether the convolution is better left to TensorFlow.

    Args:
        x: tensor `(batch, height, width, channels)`.
        filter: tensor `(rows, columns, channels / groups, filters)`.
        convolution: dict, as `arguments.convolution` returns it.
    """
    if not placement.on_gpu():
        return False
    if None in (x.shape[3], *filter.shape):  # nothing can be known of it
        return True
    entries = native.core().explain_conv2d(
        [-1 if size is None else size for size in x.shape],
        list(filter.shape),
        dtype=x.dtype.name,
        device="gpu",
        **convolution,
    )
    return next(name for _, name, refusal in entries if not refusal) == "stock"


def conv2d(x, filter, strides, padding, dilations):
    """Computes a convolution with TensorFlow's own op; arguments as of `fused_conv2d`."""
    strides, dilations = arguments.pair(strides, "strides"), arguments.pair(dilations, "dilations")
    if strides != (1, 1):  # TensorFlow refuses dilation with strides
        filter, dilations = reference.dilated(filter, *dilations), (1, 1)
    pairs = arguments.padding_pairs(padding)
    padding = padding.upper() if pairs is None else [(0, 0), *pairs, (0, 0)]
    return tf.nn.conv2d(x, filter, strides, padding, dilations=dilations)
