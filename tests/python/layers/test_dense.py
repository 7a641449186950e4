"""Dense against Keras's own layer, on both sides of the size from which on it is fused."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import values
from tolerances import (
    assert_close,
    assert_close_in_norm,
    chain_bound,
    largest,
    roundoff,
    sum_bound,
)

from fastconv.layers import Dense
from fastconv.layers.dense import _MIN_WEIGHTS

UNITS = 64
# (batch, inputs): few and many rows, big and small weights, no row at all.
SHAPES = [
    (3, _MIN_WEIGHTS // UNITS),
    (130, _MIN_WEIGHTS // UNITS),
    (3, _MIN_WEIGHTS // UNITS - 1),
    (5, 7),
    (0, _MIN_WEIGHTS // UNITS),
]


def run(layer, x, dy, jit, static):
    def step(x, dy):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        return (y, *tape.gradient(y, [x, *layer.trainable_variables], dy))

    if not static:
        specs = [tf.TensorSpec([None, tensor.shape[1]], tensor.dtype) for tensor in (x, dy)]
        step = tf.function(step, jit_compile=jit, input_signature=specs)
    return step(x, dy)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("static", [True, False])
def test_computes_what_keras_computes(shape, static, jit, dtype):
    x, dy = values(shape, dtype, 1), values((shape[0], UNITS), dtype, 2)
    layer = Dense(UNITS, dtype=dtype.name)
    layer.build(shape)
    layer.set_weights([values(weight.shape, dtype, 3) for weight in layer.weights])
    exact = keras.layers.Dense(UNITS, dtype="float64")
    exact.build(shape)
    exact.set_weights([tf.cast(weight, tf.float64) for weight in layer.get_weights()])
    actual = run(layer, x, dy, jit, static)
    expected = run(exact, tf.cast(x, tf.float64), tf.cast(dy, tf.float64), False, True)
    weights = layer.kernel
    # The sums' terms, and the largest product in them: y, dx, dkernel, dbias.
    sums = [
        (shape[1] + 1, max(largest(x, weights), 1.0)),
        (UNITS, largest(dy, weights)),
        (shape[0], largest(x, dy)),
        (shape[0], largest(dy)),
    ]
    for name, one, other, (terms, product) in zip(
        ("y", "dx", "dkernel", "dbias"), actual, expected, sums, strict=True
    ):
        assert one.dtype == dtype
        # The product is rounded to its type before the bias is added.
        rounded = roundoff(dtype) * largest(other) if name == "y" else 0.0
        assert_close(one, other, sum_bound(dtype, terms, product) + rounded, name)


def test_more_dimensions_are_left_to_keras():
    layer = Dense(4)
    x = values((2, 3, 5), "float32", 1)
    y = layer(x)
    assert y.shape == (2, 3, 4)
    np.testing.assert_array_equal(y, keras.layers.Dense.call(layer, x))


ACTIVATIONS = ["tanh", "sigmoid", "relu", "leaky_relu", keras.layers.LeakyReLU(0.1)]


@pytest.mark.parametrize("activation", [None, *ACTIVATIONS])
def test_activations(activation):
    units = 1024
    x = values((5, _MIN_WEIGHTS // units), "float32", 1)
    layer = Dense(units, activation=activation)
    stock = keras.layers.Dense(units, activation=activation, dtype="float64")
    for each in (layer, stock):
        each.build(x.shape)
    stock.set_weights([tf.cast(weight, tf.float64) for weight in layer.get_weights()])
    bound = sum_bound(x.dtype, x.shape[1] + 2, max(largest(x, layer.kernel), 1.0))
    assert_close(layer(x), stock(tf.cast(x, tf.float64)), bound, "y")


def test_second_gradients():
    weights = values((_MIN_WEIGHTS // UNITS, UNITS), "float32", 2)
    x = tf.Variable(values((2, _MIN_WEIGHTS // UNITS), "float32", 1))
    layer = Dense(UNITS, activation="tanh", use_bias=False)
    layer.build(x.shape)
    layer.set_weights([weights])
    stock = keras.layers.Dense(UNITS, activation="tanh", use_bias=False)
    stock.build(x.shape)
    stock.set_weights([weights])
    seconds = []
    for each in (layer, stock):
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                y = tf.reduce_sum(each(x))
            first = inner.gradient(y, x)
        seconds.append(outer.gradient(first, x))
    assert_close_in_norm(*seconds, chain_bound("float32", x.shape[1]), "second gradient")


def test_saves_and_reloads(tmp_path):
    model = keras.Sequential([keras.Input((6,)), Dense(4, activation="relu", name="hidden")])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.get_layer("hidden")) is Dense
    x = np.ones((2, 6), "float32")
    np.testing.assert_array_equal(loaded(x), model(x))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    layer = Dense(4, dtype=policy)
    with tf.GradientTape() as tape:
        y = layer(tf.ones((2, 6)))
    gradient = tape.gradient(y, layer.kernel.value)
    assert y.dtype == layer.compute_dtype
    assert gradient.dtype == tf.float32
    np.testing.assert_array_equal(gradient, np.full((6, 4), 2, "float32"))
