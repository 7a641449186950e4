"""Bias, activation, pooling and dropout behind a convolution that another library computes."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from helpers import output_and_gradients, reference_output_and_gradients, values
from tolerances import assert_close, largest, sum_bound

from fastconv import native, ops
from fastconv.ops import reference

SEED = (3, 4)
CASES = {
    "bias": ((2, 5, 6, 17), True, {}),
    "relu": ((3, 7, 9, 32), True, {"activation": "relu"}),
    "leaky_no_bias": ((2, 6, 5, 3), False, {"activation": "leaky_relu", "negative_slope": 0.25}),
    "relu_2x2": ((2, 9, 11, 33), True, {"activation": "relu", "pool_size": 2}),
    "leaky_3x3_overlap": (
        (2, 11, 10, 16),
        True,
        {
            "activation": "leaky_relu",
            "negative_slope": 0.25,
            "pool_size": 3,
            "pool_strides": 2,
            "pool_padding": "same",
        },
    ),
    "linear_gaps": ((1, 11, 12, 5), False, {"pool_size": 2, "pool_strides": (3, 4)}),
    "132_positions": ((1, 13, 12, 3), True, {"pool_size": (11, 12), "pool_strides": (1, 2)}),
    "dropout": ((2, 6, 7, 17), True, {"activation": "relu", "dropout": 0.5}),
    "dropout_2x2": ((2, 8, 7, 9), True, {"activation": "relu", "pool_size": 2, "dropout": 0.25}),
    "channels_2x2": ((3, 8, 7, 20), True, {"pool_size": 2, "spatial_dropout": 0.5}),
    "many_bands": ((3, 70, 64, 33), True, {"activation": "relu"}),
    "many_bands_2x2": ((2, 70, 64, 40), True, {"activation": "relu", "pool_size": 2}),
    "pixel": ((1, 1, 1, 1), True, {}),
    "batch_0": ((0, 4, 4, 3), True, {"activation": "relu", "pool_size": 2}),
}


def check(name, dtype, jit=False):
    shape, bias, arguments = CASES[name]
    if arguments.keys() & {"dropout", "spatial_dropout"}:
        arguments = {**arguments, "seed": SEED}
    inputs = {"z": values(shape, dtype, 1)}
    if bias:
        inputs["bias"] = values(shape[3:], dtype, 2)
    y, dy, gradients = output_and_gradients(
        functools.partial(ops.fused_epilogue, **arguments), inputs, jit=jit
    )
    # The twin in the type of the tensors: drawn numbers depend on the type.
    expected_y, _, expected = output_and_gradients(
        functools.partial(reference.fused_epilogue, **arguments), inputs, dy, device="CPU"
    )
    assert_close(y, expected_y, sum_bound(dtype, 3, 4.0), f"{name}: y")
    windows = np.prod(arguments.get("pool_size", 1)) if arguments.get("pool_strides") else 1
    bound = sum_bound(dtype, int(windows) + 1, 2 * largest(dy))
    assert_close(gradients["z"], expected["z"], bound, f"{name}: dz")
    if bias:
        exact = tf.reduce_sum(tf.cast(expected["z"], tf.float64), axis=[0, 1, 2])
        terms = int(np.prod(shape[:3])) + 1
        bound = sum_bound(dtype, terms, 2 * largest(dy))
        assert_close(gradients["bias"], exact, bound, f"{name}: dbias")


@pytest.mark.parametrize("name", CASES)
def test_every_case(name, dtype):
    check(name, dtype)


@pytest.mark.parametrize("name", ["relu_2x2", "leaky_3x3_overlap", "dropout", "batch_0"])
def test_xla(name):
    check(name, tf.float32, jit=True)


@pytest.mark.parametrize("name", ["relu", "many_bands_2x2", "dropout_2x2"])
def test_each_instruction_set(name, isa, dtype):
    check(name, dtype)


def test_it_completes_a_convolution():
    """Behind TensorFlow's own convolution it makes what the fused convolution makes."""
    inputs = {
        "x": values((2, 9, 8, 5), tf.float32, 1),
        "filter": values((3, 3, 5, 7), tf.float32, 2),
        "bias": values((7,), tf.float32, 3),
    }
    block = {"activation": "relu", "pool_size": 2}

    def separate(x, filter, bias):
        z = tf.nn.conv2d(x, filter, 1, "SAME")
        return ops.fused_epilogue(z, bias, **block)

    y, dy, gradients = output_and_gradients(separate, inputs)
    expected_y, expected = reference_output_and_gradients(
        functools.partial(reference.fused_conv2d, padding="same", **block), inputs, dy
    )
    assert_close(y, expected_y, sum_bound(tf.float32, 46, 1.0), "y")
    for name, terms in (("x", 63), ("filter", 40), ("bias", 40)):
        bound = sum_bound(tf.float32, terms, largest(dy))
        assert_close(gradients[name], expected[name], bound, f"d{name}")


@pytest.mark.parametrize("activation", [None, "relu"])
def test_the_gradient_keeps_nothing_of_its_input(activation, needs_native):
    @tf.function
    def gradient(z):
        with tf.GradientTape() as tape:
            tape.watch(z)
            y = ops.fused_epilogue(z, activation=activation)
        return tape.gradient(y, z)

    with tf.device("/CPU:0"):
        graph = gradient.get_concrete_function(tf.TensorSpec([2, 4, 4, 3])).graph
    (op,) = (op for op in graph.get_operations() if op.type == "Fastconv>FusedEpilogueGrad")
    assert graph.inputs[0].name not in {source.name for source in op.inputs}
    assert op.outputs[0].shape == [2, 4, 4, 3]


def test_bad_arguments_are_refused():
    z = tf.zeros([1, 4, 4, 3])
    with pytest.raises(
        ValueError, match=r"`bias` must have one entry .*Received: bias.shape=\(2,\)"
    ):
        ops.fused_epilogue(z, tf.zeros(2))
    with pytest.raises(ValueError, match="`activation`"):
        ops.fused_epilogue(z, activation="tanh")
    with pytest.raises(ValueError, match="Received"):
        ops.fused_epilogue(tf.zeros([4, 4, 3]))


def test_raw_gradient_checks_its_tensors(needs_native):
    z, absent = tf.zeros([1, 4, 4, 3]), tf.zeros([0])
    none = {"dropout_rate": tf.zeros([0], tf.float64), "dropout_seed": tf.zeros([0], tf.int32)}
    code = tf.zeros([0], tf.uint8)
    with pytest.raises(tf.errors.InvalidArgumentError, match="y must"):
        native.ops().fastconv_fused_epilogue_grad(
            z=z, bias=absent, y=absent, code=code, dy=z, activation="relu", **none
        )
    with pytest.raises(tf.errors.InvalidArgumentError, match="dy must"):
        native.ops().fastconv_fused_epilogue_grad(
            z=z, bias=absent, y=absent, code=code, dy=z[:, :2], **none
        )
