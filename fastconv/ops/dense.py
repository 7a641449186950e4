"""Fused dense layer: the forward function and, next to it, its gradients."""

import tensorflow as tf

from fastconv import native, placement
from fastconv.ops import arguments, reference

_ATTRIBUTES = ("activation", "negative_slope")


def fused_dense(x, kernel, bias=None, activation=None, negative_slope=0.3):
    """Computes `activation(x @ kernel + bias)` in one op.

    Args:
        x: tensor `(batch, inputs)` of float32, bfloat16, float16 or float64.
        kernel: tensor `(inputs, units)` of the same type.
        bias: tensor `(units,)` of the same type, or None. Defaults to `None`.
        activation: None or `"linear"`, `"relu"`, `"leaky_relu"`. Defaults to `None`.
        negative_slope: float >= 0, slope of `"leaky_relu"` below zero. Defaults to `0.3`.

    Returns:
        Tensor `(batch, units)` of the type of `x`.

    Raises:
        ValueError: an argument that does not fit, or a tensor whose type, rank or size does not.

    Example:

    >>> x, kernel = tf.ones([32, 4096]), tf.ones([4096, 256])
    >>> fastconv.ops.fused_dense(x, kernel, activation="relu").shape
    TensorShape([32, 256])
    """
    attributes = arguments.activation(activation, negative_slope)
    x, kernel, bias = arguments.dense_inputs(x, kernel, bias)
    if not placement.has_kernel(x.dtype, gpu=False):
        return reference.fused_dense(x, kernel, bias, activation, negative_slope)
    return native.ops().fastconv_fused_dense(
        x=x, kernel=kernel, bias=arguments.absent(x.dtype) if bias is None else bias, **attributes
    )


@tf.RegisterGradient("Fastconv>FusedDense")
def _fused_dense_gradient(op, dy):
    x, kernel, bias = op.inputs
    attributes = _attributes(op)
    y = arguments.absent(dy.dtype) if attributes["activation"] == b"linear" else op.outputs[0]
    # Two ops, and skipped inputs: see the gradients of the convolution.
    skipped = getattr(op, "skip_input_indices", None) or ()
    dx = dkernel = dbias = None
    if 0 not in skipped:
        dx = native.ops().fastconv_fused_dense_backprop_input(
            x=x, kernel=kernel, y=y, dy=dy, **attributes
        )
    if 1 not in skipped or 2 not in skipped:
        dkernel, dbias = native.ops().fastconv_fused_dense_backprop_kernel(
            x=x, kernel=kernel, y=y, dy=dy, **attributes
        )
    return dx, dkernel, None if arguments.is_absent(bias) else dbias


# The gradients are linear in dy and in one of x and kernel, so that theirs are the same ops.


@tf.RegisterGradient("Fastconv>FusedDenseBackpropInput")
def _fused_dense_backprop_input_gradient(op, ddx):
    _, kernel, y, dy = op.inputs
    attributes = _attributes(op)
    dkernel, _ = native.ops().fastconv_fused_dense_backprop_kernel(
        x=ddx, kernel=kernel, y=y, dy=dy, **attributes
    )
    ddy = native.ops().fastconv_fused_dense(
        x=ddx, kernel=kernel, bias=arguments.absent(dy.dtype), activation="linear"
    )
    return None, dkernel, None, _through_activation(ddy, y, attributes)


@tf.RegisterGradient("Fastconv>FusedDenseBackpropKernel")
def _fused_dense_backprop_kernel_gradient(op, ddkernel, ddbias):
    x, _, y, dy = op.inputs
    attributes = _attributes(op)
    dx = native.ops().fastconv_fused_dense_backprop_input(
        x=x, kernel=ddkernel, y=y, dy=dy, **attributes
    )
    ddy = native.ops().fastconv_fused_dense(x=x, kernel=ddkernel, bias=ddbias, activation="linear")
    return dx, None, None, _through_activation(ddy, y, attributes)


def _attributes(op):
    return {name: op.get_attr(name) for name in _ATTRIBUTES}


def _through_activation(gradient, y, attributes):
    if attributes["activation"] == b"linear":
        return gradient
    # The op keeps no slope but leaky relu's.
    slope = attributes["negative_slope"] if attributes["activation"] == b"leaky_relu" else 0.0
    return tf.where(y > 0, gradient, gradient * tf.cast(slope, gradient.dtype))
