"""Fused batch normalisation, alone and after a convolution."""

import functools
import math

import numpy as np
import pytest
import tensorflow as tf
from helpers import output_and_gradients, reference_output_and_gradients, values
from tolerances import (
    ELEMENTWISE_ROUNDINGS,
    NUMERIC_GRADIENT,
    NUMERIC_STEP,
    accumulation_roundoff,
    assert_close,
    assert_close_in_norm,
    chain_bound,
    largest,
    sum_bound,
)

from fastconv import ops
from fastconv.ops import arguments, reference

# The ops hold real arguments as float32: what is compared with float64 must be such a number.
SLOPE = 0.3125
EPSILON = 2.0**-10

BLOCKS = {
    "linear": {},
    "relu": {"activation": "relu"},
    "leaky": {"activation": "leaky_relu", "negative_slope": SLOPE},
    "leaky_1": {"activation": "leaky_relu", "negative_slope": 1.0},
    "pool": {"pool_size": 2},
    "relu_pool": {"activation": "relu", "pool_size": 2},
    "leaky_pool_overlap": {
        "activation": "leaky_relu",
        "negative_slope": SLOPE,
        "pool_size": 3,
        "pool_strides": 2,
        "pool_padding": "same",
    },
    "pool_132_positions": {"activation": "relu", "pool_size": (12, 11), "pool_strides": 1},
}
SHAPE = (3, 13, 12, 17)


def batch_norm_inputs(dtype, shape=SHAPE, gamma=True, beta=True):
    """Returns the inputs of `fused_batch_norm`, by name; continuous values, rounded to the type."""
    wide = arguments.accumulation_type(dtype)
    z = tf.cast(3 * values(shape, wide, 1) + 2 * values(shape[3:], wide, 2), dtype)
    mean, variance = tf.nn.moments(tf.cast(z, wide), [0, 1, 2])
    inputs = {"z": z, "mean": mean, "variance": variance}
    if gamma:
        inputs["gamma"] = 1.5 + values(shape[3:], wide, 3)
    if beta:
        inputs["beta"] = values(shape[3:], wide, 4)
    return inputs


def check(block, dtype, jit=False, **options):
    inputs = batch_norm_inputs(dtype, **options)
    statistics = {key: inputs.pop(key) for key in ("mean", "variance")}
    y, dy, gradients = output_and_gradients(
        functools.partial(ops.fused_batch_norm, **statistics, epsilon=EPSILON, **block),
        inputs,
        jit=jit,
    )
    wide = {key: tf.cast(value, tf.float64) for key, value in statistics.items()}
    expected_y, expected = reference_output_and_gradients(
        functools.partial(reference.fused_batch_norm, **wide, epsilon=EPSILON, **block), inputs, dy
    )
    z, mean = inputs["z"], statistics["mean"]
    inverse = 1 / tf.sqrt(statistics["variance"] + EPSILON)
    gamma, beta = inputs.get("gamma", tf.ones([1])), inputs.get("beta", tf.zeros([1]))
    roundings = ELEMENTWISE_ROUNDINGS * accumulation_roundoff(dtype)
    normalised = (largest(z) + largest(mean)) * largest(inverse)  # before it cancels
    samples = math.prod(z.shape[:3])
    windows = 4 if block.get("pool_strides") else 1
    da = windows * largest(dy)  # the largest gradient at the activation's input
    if block.get("pool_size") == (12, 11):
        da = 4 * largest(dy)  # 2 x 2 windows hold a position
    # Summed over at most all samples; the products' own roundings come on top of the sum's.
    dbeta = sum_bound(dtype, samples, da)
    dgamma = sum_bound(dtype, samples, da * normalised) + samples * roundings * da * normalised
    terms = da + largest(expected["z"])
    dz = (
        largest(gamma)
        * largest(inverse)
        * (roundings * terms * normalised + (dbeta + normalised * dgamma) / samples)
    )
    bounds = {"z": dz, "gamma": dgamma, "beta": dbeta}
    assert y.dtype == dtype
    assert_close(y, expected_y, roundings * (largest(gamma) * normalised + largest(beta)), "y")
    for key, gradient in gradients.items():
        assert_close(gradient, expected[key], bounds[key], f"d{key}")


@pytest.mark.parametrize("name", BLOCKS)
def test_every_block(name):
    check(BLOCKS[name], tf.float32)


@pytest.mark.parametrize("channels", [1, 3, 32, 64])
def test_channel_counts(channels):
    check(BLOCKS["leaky_pool_overlap"], tf.float32, shape=(2, 9, 8, channels))


@pytest.mark.parametrize("gamma", [False, True])
@pytest.mark.parametrize("beta", [False, True])
def test_without_scale_or_center(gamma, beta):
    check(BLOCKS["relu_pool"], tf.float32, gamma=gamma, beta=beta)


@pytest.mark.parametrize("name", ["linear", "relu_pool", "leaky_pool_overlap"])
def test_xla(name):
    check(BLOCKS[name], tf.float32, jit=True)


@pytest.mark.parametrize("name", BLOCKS)
def test_each_instruction_set(name, isa):
    check(BLOCKS[name], tf.float32)


@pytest.mark.parametrize("name", ["linear", "leaky"])
def test_each_type(name, dtype):
    check(BLOCKS[name], dtype)


@pytest.mark.parametrize("name", ["relu", "relu_pool", "leaky_pool_overlap"])
def test_float64(name):
    check(BLOCKS[name], tf.float64)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", ["linear", "relu_pool", "leaky_pool_overlap"])
def test_convolution_and_batch_norm(name, bias, training, jit):
    inputs = {
        "x": values((4, 11, 10, 3), tf.float32, 1),
        "filter": values((3, 3, 3, 17), tf.float32, 2),
        "gamma": 1.5 + values((17,), tf.float32, 4),
        "beta": values((17,), tf.float32, 5),
    }
    if bias:
        inputs["bias"] = values((17,), tf.float32, 3)
    moving = {
        "moving_mean": values((17,), tf.float32, 6),
        "moving_variance": 1.5 + values((17,), tf.float32, 7),
    }

    def block(x, filter, gamma, beta, bias=None):
        return ops.fused_conv2d_batch_norm(
            x,
            filter,
            bias=bias,
            gamma=gamma,
            beta=beta,
            **moving,
            training=training,
            padding="same",
            **BLOCKS[name],
        )[0]

    def stock(x, filter, gamma, beta, bias=None):
        z = tf.nn.conv2d(x, filter, 1, "SAME")
        if bias is not None:
            z += bias
        if training:
            mean, variance = tf.nn.moments(z, [0, 1, 2])
        else:
            mean, variance = (tf.cast(value, tf.float64) for value in moving.values())
        a = tf.nn.batch_normalization(z, mean, variance, beta, gamma, 1e-3)
        if name == "relu_pool":
            return tf.nn.max_pool2d(tf.nn.relu(a), 2, 2, "VALID")
        if name == "leaky_pool_overlap":
            return tf.nn.max_pool2d(tf.nn.leaky_relu(a, SLOPE), 3, 2, "SAME")
        return a

    y, dy, gradients = output_and_gradients(block, inputs, jit=jit)
    expected_y, expected = reference_output_and_gradients(stock, inputs, dy)
    bound = chain_bound(tf.float32, 4 * 11 * 10)
    assert_close_in_norm(y, expected_y, bound, "y")
    for key, gradient in gradients.items():
        if key == "bias" and training:
            # The normalisation removes a constant: exactly 0, but for the roundings of the sum.
            scale = float(tf.norm(expected["beta"]))
            assert np.linalg.norm(gradient) <= bound * scale
        else:
            assert_close_in_norm(gradient, expected[key], bound, f"d{key}")


@pytest.mark.parametrize("training", [False, True])
def test_statistics_returned(training):
    x, filter = values((2, 6, 6, 3), tf.float32, 1), values((3, 3, 3, 5), tf.float32, 2)
    moving = values((5,), tf.float32, 6), 1.5 + values((5,), tf.float32, 7)
    _, mean, variance = ops.fused_conv2d_batch_norm(x, filter, *moving, training=training)
    expected = tf.nn.moments(tf.nn.conv2d(x, filter, 1, "VALID"), [0, 1, 2]) if training else moving
    for actual, exact in zip((mean, variance), expected, strict=True):
        assert_close_in_norm(actual, exact, chain_bound(tf.float32, 27), "statistics")


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("z_is_needed", [False, True])
@pytest.mark.parametrize("name", ["relu", "relu_pool"])
def test_gradient_in_place(name, z_is_needed, jit):
    # In a graph the gradient takes z's memory; in eager execution the tape holds z.
    inputs = batch_norm_inputs(tf.float32)
    halved = inputs.pop("z") / 2

    def run(halved):
        z = 2 * halved
        with tf.GradientTape() as tape:
            tape.watch(z)
            y = ops.fused_batch_norm(z, **inputs, **BLOCKS[name])
        dz = tape.gradient(y, z, values(tuple(y.shape), y.dtype, 9))
        with tf.control_dependencies([dz]):
            return dz, z + 1 if z_is_needed else None

    dz, z_plus_1 = tf.function(run, jit_compile=jit)(halved)
    np.testing.assert_array_equal(dz, run(halved)[0])
    if z_is_needed:
        np.testing.assert_array_equal(z_plus_1, 2 * halved + 1)


def test_xla_plans_the_gradient_in_place(needs_native):
    inputs = batch_norm_inputs(tf.float32)

    @tf.function(jit_compile=True)
    def gradient(z):
        with tf.GradientTape() as tape:
            tape.watch(z)
            y = ops.fused_batch_norm(**{**inputs, "z": z})
        return tape.gradient(y, z)

    program = gradient.experimental_get_compiler_ir(inputs["z"])(stage="hlo")
    (call,) = (line for line in program.splitlines() if '"fastconv_fused_batch_norm_grad_a' in line)
    assert "output_to_operand_aliasing={{}: (0, {})}" in call


@pytest.mark.parametrize("name", ["linear", "leaky", "pool"])
def test_numeric_gradients(name):
    inputs = [
        values((2, 5, 4, 2), tf.float64, 1),
        values((2, 3, 2, 3), tf.float64, 2),
        1.5 + values((3,), tf.float64, 3),
        values((3,), tf.float64, 4),
    ]

    def block(x, filter, gamma, beta):
        zeros = tf.zeros([3], tf.float64)
        return ops.fused_conv2d_batch_norm(
            x, filter, zeros, zeros, gamma=gamma, beta=beta, training=True, **BLOCKS[name]
        )[0]

    exact, numeric = tf.test.compute_gradient(block, inputs, delta=NUMERIC_STEP)
    for one, other in zip(exact, numeric, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=NUMERIC_GRADIENT)
        assert np.abs(one).max() > 1000 * NUMERIC_GRADIENT


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"z": tf.zeros([4, 3])}, "rank 4"),
        ({"z": tf.zeros([1, 4, 4, 3], tf.int32)}, "types"),
        ({"mean": tf.zeros([4])}, "channels"),
        ({"variance": tf.zeros([3], tf.float64)}, "type"),
        ({"gamma": tf.zeros([1])}, "channels"),
        ({"beta": tf.zeros([3, 1])}, "rank 1"),
        ({"activation": "tanh"}, "activation"),
        ({"pool_size": (2, 0)}, "pool_size"),
    ],
)
def test_bad_arguments(change, message):
    inputs = {
        "z": tf.zeros([1, 4, 4, 3]),
        "mean": tf.zeros([3]),
        "variance": tf.ones([3]),
        **change,
    }
    with pytest.raises(ValueError, match=rf"(?s){message}.*Received: "):
        ops.fused_batch_norm(**inputs)
