"""Dropout after the fused blocks: stock Keras's masks, bit for bit, and its gradients."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import output_and_gradients, values
from tolerances import NUMERIC_GRADIENT, NUMERIC_STEP, assert_close_in_norm, dropout_bound

from fastconv import ops
from fastconv.ops import reference

SEED = (-1234567, 2000000011)
KINDS = ("dropout", "spatial_dropout")
# Channel counts whose rows begin within a group of numbers, and end within a vector.
SHAPES = ((1, 4, 5, 1), (3, 6, 7, 3), (2, 9, 8, 17), (2, 8, 8, 32), (1, 3, 3, 1030), (0, 4, 4, 3))
BLOCKS = {
    "linear": {},
    "relu": {"activation": "relu"},
    "leaky": {"activation": "leaky_relu"},
    "relu_pool": {"activation": "relu", "pool_size": 2},
    "leaky_pool_overlap": {
        "activation": "leaky_relu",
        "pool_size": 3,
        "pool_strides": 2,
        "pool_padding": "same",
    },
}


def identity(channels, dtype):
    """Returns the filter of a convolution that copies."""
    return tf.reshape(tf.eye(channels, dtype=dtype), [1, 1, channels, channels])


def stock_dropout(x, kind, rate, seed=SEED):
    noise_shape = [x.shape[0], 1, 1, x.shape[3]] if kind == "spatial_dropout" else None
    return tf.nn.experimental.stateless_dropout(x, rate, seed, noise_shape=noise_shape)


def convolution_inputs(dtype, channels=17):
    return {
        "x": values((2, 9, 8, 5), dtype, 1),
        "filter": values((3, 3, 5, channels), dtype, 2),
        "bias": values((channels,), dtype, 3),
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_mask_is_that_of_stock(shape, kind, dtype, jit):
    x = tf.ones(shape, dtype)
    for rate in (0.2, 0.25, 1 / 3, 0.5, 0.97):
        function = functools.partial(ops.fused_conv2d, seed=tf.constant(SEED), **{kind: rate})
        y = tf.function(function, jit_compile=jit)(x, identity(shape[3], dtype))
        np.testing.assert_array_equal(y, stock_dropout(x, kind, rate))


@pytest.mark.parametrize("kind", KINDS)
def test_mask_on_each_instruction_set(kind, isa, dtype):
    x = tf.ones((2, 9, 8, 17), dtype)
    y = ops.fused_conv2d(x, identity(17, dtype), seed=tf.constant(SEED), **{kind: 0.3})
    np.testing.assert_array_equal(y, stock_dropout(x, kind, 0.3))


def test_mask_of_many_values():
    x = tf.ones((64, 30, 30, 32))
    seed = (0, 2**31 - 1)
    y = ops.fused_conv2d(x, identity(32, x.dtype), seed=tf.constant(seed), dropout=0.25)
    np.testing.assert_array_equal(y, stock_dropout(x, "dropout", 0.25, seed))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", BLOCKS)
def test_blocks(name, kind, dtype, jit):
    inputs = convolution_inputs(dtype)
    arguments = {"padding": "same", **BLOCKS[name]}
    fused = functools.partial(ops.fused_conv2d, **arguments, seed=tf.constant(SEED), **{kind: 0.3})
    y, dy, gradients = output_and_gradients(fused, inputs, jit=jit)
    without = ops.fused_conv2d(**inputs, **arguments)
    if not jit:  # XLA's threads may cut the work in another way
        np.testing.assert_array_equal(y, stock_dropout(without, kind, 0.3))

    # The mask is that of the type, so the reference computes in it as far as the mask goes.
    mask = stock_dropout(tf.ones_like(without), kind, 0.3)

    def masked(**inputs):
        return reference.fused_conv2d(**inputs, **arguments) * tf.cast(mask, tf.float64)

    wide = {key: tf.cast(value, tf.float64) for key, value in inputs.items()}
    expected_y, _, expected = output_and_gradients(
        masked, wide, tf.cast(dy, tf.float64), device="CPU"
    )
    assert_close_in_norm(y, expected_y, dropout_bound(dtype, 46), "y")
    for key, gradient in gradients.items():
        bound = dropout_bound(dtype, 9 * 17 if key == "x" else 2 * 9 * 8)
        assert_close_in_norm(gradient, expected[key], bound, f"d{key}")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", BLOCKS)
def test_batch_norm(name, kind, jit):
    z = values((3, 7, 8, 17), tf.float32, 1)
    inputs = {"z": z, "gamma": values((17,), z.dtype, 2) + 1.5, "beta": values((17,), z.dtype, 3)}
    mean, variance = tf.nn.moments(z, [0, 1, 2])
    arguments = {**BLOCKS[name], "seed": tf.constant(SEED), kind: 0.3}

    def block(function, **inputs):
        dtype = inputs["gamma"].dtype
        return function(
            inputs["z"],
            tf.cast(mean, dtype),
            tf.cast(variance, dtype),
            inputs["gamma"],
            inputs["beta"],
            **arguments,
        )

    y, dy, gradients = output_and_gradients(
        functools.partial(block, ops.fused_batch_norm), inputs, jit=jit
    )
    expected_y, _, expected = output_and_gradients(
        functools.partial(block, reference.fused_batch_norm), inputs, dy, device="CPU"
    )
    np.testing.assert_array_equal(y == 0, expected_y == 0)
    assert_close_in_norm(y, expected_y, dropout_bound(tf.float32, 1), "y")
    for key, gradient in gradients.items():
        bound = dropout_bound(tf.float32, 3 * 7 * 8)
        assert_close_in_norm(gradient, expected[key], bound, f"d{key}")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", BLOCKS)
def test_numeric_gradients(name, kind):
    inputs = convolution_inputs(tf.float64, channels=3)
    arguments = {**BLOCKS[name], "seed": tf.constant(SEED), kind: 0.4}
    _, dy, gradients = output_and_gradients(
        functools.partial(ops.fused_conv2d, **arguments), inputs
    )
    for key, gradient in gradients.items():
        direction = values(inputs[key].shape, tf.float64, 5)

        def objective(step, key=key, direction=direction):
            moved = {**inputs, key: inputs[key] + step * direction}
            return tf.reduce_sum(dy * ops.fused_conv2d(**moved, **arguments))

        numeric = (objective(NUMERIC_STEP) - objective(-NUMERIC_STEP)) / (2 * NUMERIC_STEP)
        analytic = tf.reduce_sum(gradient * direction)
        np.testing.assert_allclose(analytic, numeric, rtol=0, atol=NUMERIC_GRADIENT)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pool_size", [None, 2])
def test_rates_at_the_ends(kind, pool_size):
    inputs = convolution_inputs(tf.float32)
    arguments = {"activation": "relu", "pool_size": pool_size}
    y, dy, gradients = output_and_gradients(
        functools.partial(ops.fused_conv2d, **arguments, **{kind: 0.0}), inputs
    )
    plain, _, expected = output_and_gradients(
        functools.partial(ops.fused_conv2d, **arguments), inputs, dy
    )
    np.testing.assert_array_equal(y, plain)
    for key, gradient in gradients.items():
        np.testing.assert_array_equal(gradient, expected[key])

    everything = functools.partial(
        ops.fused_conv2d, **arguments, seed=tf.constant(SEED), **{kind: 1.0}
    )
    y, _, gradients = output_and_gradients(everything, inputs)
    for zeros in (y, *gradients.values()):
        np.testing.assert_array_equal(zeros, tf.zeros_like(zeros))


def test_seed_of_a_graph():
    """A compiled function draws another mask for another seed."""
    x = tf.ones((2, 8, 8, 5))

    @tf.function(jit_compile=True)
    def block(seed):
        return ops.fused_conv2d(x, identity(5, x.dtype), dropout=0.5, seed=seed)

    for seed in ((1, 0), (1, 1), (-1, 7)):
        np.testing.assert_array_equal(
            block(tf.constant(seed)), stock_dropout(x, "dropout", 0.5, seed)
        )


def test_keras_draws_the_same(needs_native):
    """The layer's seed is that of keras.layers.Dropout."""
    x = tf.ones((2, 8, 8, 5))
    generator = keras.random.SeedGenerator(5)
    seed = tf.cast(generator.next(), tf.int32)
    y = ops.fused_conv2d(x, identity(5, x.dtype), dropout=0.5, seed=seed)
    np.testing.assert_array_equal(y, keras.layers.Dropout(0.5, seed=5)(x, training=True))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dropout": -0.1}, "`dropout` must be a number from 0 to 1. Received: dropout=-0.1"),
        ({"dropout": 1.1}, "`dropout` must be a number from 0 to 1. Received: dropout=1.1"),
        ({"dropout": float("nan")}, "Received: dropout=nan"),
        ({"dropout": "0.5"}, "Received: dropout=0.5"),
        ({"spatial_dropout": 2}, "`spatial_dropout` must .*Received: spatial_dropout=2"),
        ({"dropout": 0.1, "spatial_dropout": 0.2}, "At most one .*spatial_dropout=0.2"),
        ({"dropout": 0.1}, "needs a `seed`.*Received: seed=None"),
        ({"dropout": 0.1, "seed": (1.0, 2.0)}, "`seed` must .*Received: seed.dtype=float32"),
        ({"dropout": 0.1, "seed": (1, 2, 3)}, r"`seed` must .*seed.shape=\(3,\)"),
    ],
)
def test_bad_arguments(arguments, message):
    x = tf.ones((1, 4, 4, 3))
    with pytest.raises(ValueError, match=message):
        ops.fused_conv2d(x, identity(3, x.dtype), **arguments)
    with pytest.raises(ValueError, match=message):
        ops.fused_batch_norm(x, tf.zeros(3), tf.ones(3), **arguments)
