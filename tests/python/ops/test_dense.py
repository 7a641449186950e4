"""The fused dense op against plain TensorFlow in float64, and its second gradients."""

import numpy as np
import pytest
import tensorflow as tf
from helpers import output_and_gradients, reference_output_and_gradients, values
from tolerances import (
    NUMERIC_GRADIENT,
    NUMERIC_STEP,
    assert_close,
    largest,
    sum_bound,
)

from fastconv import ops
from fastconv.ops import reference

# (batch, inputs, units)
SHAPES = [(5, 7, 3), (1, 300, 100), (33, 1030, 37), (32, 512, 64), (530, 20, 65), (0, 40, 33)]


def dense_inputs(shape, dtype, bias=True):
    batch, inputs, units = shape
    result = {"x": values((batch, inputs), dtype, 1), "kernel": values((inputs, units), dtype, 2)}
    if bias:
        result["bias"] = values((units,), dtype, 3)
    return result


def check(shape, dtype, jit, bias=True, **block):
    inputs = dense_inputs(shape, dtype, bias)
    y, dy, gradients = output_and_gradients(
        lambda **inputs: ops.fused_dense(**inputs, **block), inputs, jit=jit
    )
    expected_y, expected = reference_output_and_gradients(
        lambda **inputs: reference.fused_dense(**inputs, **block), inputs, dy
    )
    assert y.dtype == dtype
    slope = max(1.0, block.get("negative_slope", 0.0))
    batch, columns, units = shape
    product = slope * max(largest(inputs["x"], inputs["kernel"]), 1.0)
    assert_close(y, expected_y, sum_bound(dtype, columns + 2, product), "y")
    bounds = {
        "x": (units, slope * largest(dy, inputs["kernel"])),
        "kernel": (batch, slope * largest(dy, inputs["x"])),
        "bias": (batch, slope * largest(dy)),
    }
    for name, gradient in gradients.items():
        terms, product = bounds[name]
        assert_close(gradient, expected[name], sum_bound(dtype, terms + 1, product), f"d{name}")


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape(shape, dtype, jit):
    check(shape, dtype, jit, activation="relu")


@pytest.mark.parametrize(
    "block", [{}, {"activation": "leaky_relu"}, {"activation": "leaky_relu", "negative_slope": 1.5}]
)
@pytest.mark.parametrize("bias", [True, False])
def test_activations(block, bias, jit):
    check((33, 130, 37), tf.float64, jit, bias, **block)


def test_each_instruction_set(isa, dtype):
    check((33, 130, 37), dtype, False, activation="leaky_relu", negative_slope=0.25)


def test_numeric_gradients():
    inputs = dense_inputs((3, 5, 4), "float64")
    dy = values((3, 4), "float64", 9)

    def loss(**inputs):
        return tf.reduce_sum(dy * ops.fused_dense(**inputs, activation="leaky_relu"))

    with tf.GradientTape() as tape:
        tape.watch(inputs)
        value = loss(**inputs)
    for name, gradient in tape.gradient(value, inputs).items():
        for index in np.ndindex(*gradient.shape):
            step = np.zeros(gradient.shape)
            step[index] = NUMERIC_STEP
            up, down = (loss(**{**inputs, name: inputs[name] + s}) for s in (step, -step))
            numeric = (up - down) / (2 * NUMERIC_STEP)
            assert abs(numeric - gradient[index]) < NUMERIC_GRADIENT, (name, index)


@pytest.mark.parametrize("activation", [None, "relu", "leaky_relu"])
def test_second_gradients(activation, jit):
    inputs = dense_inputs((6, 5, 4), "float64")

    def seconds(function):
        def run():
            with tf.GradientTape(persistent=True) as outer:
                outer.watch(inputs)
                with tf.GradientTape() as inner:
                    inner.watch(inputs)
                    loss = tf.reduce_sum(function(**inputs, activation=activation) ** 3)
                firsts = inner.gradient(loss, inputs)
                penalty = tf.add_n([tf.reduce_sum(tf.sin(first)) for first in firsts.values()])
            return outer.gradient(penalty, inputs)

        return tf.function(run, jit_compile=jit)()

    expected = seconds(reference.fused_dense)
    for name, gradient in seconds(ops.fused_dense).items():
        np.testing.assert_allclose(gradient, expected[name], rtol=1e-11, atol=1e-11)


def test_unknown_sizes(jit):
    inputs = dense_inputs((9, 40, 12), "float32")
    specs = {
        "x": tf.TensorSpec([None, None]),
        "kernel": tf.TensorSpec([None, None]),
        "bias": tf.TensorSpec([None]),
    }
    function = tf.function(
        lambda x, kernel, bias: ops.fused_dense(x, kernel, bias, "relu"),
        input_signature=list(specs.values()),
        jit_compile=jit,
    )
    y = reference.fused_dense(
        **{k: tf.cast(v, tf.float64) for k, v in inputs.items()}, activation="relu"
    )
    assert_close(function(**inputs), y, sum_bound("float32", 42, 1.0), "y")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"activation": "tanh"}, "`activation` must be"),
        ({"negative_slope": -1}, "`negative_slope` must be a number >= 0"),
        ({"x": tf.ones([2, 3, 4])}, "`x` must have rank 2"),
        ({"x": tf.ones([2, 4])}, "`kernel` must have one row for each input"),
        ({"kernel": tf.ones([3, 4], tf.float64)}, "`kernel` must have the type float32"),
        ({"bias": tf.ones([3])}, "`bias` must have one entry for each"),
    ],
)
def test_bad_arguments(arguments, message):
    inputs = {"x": tf.ones([2, 3]), "kernel": tf.ones([3, 4]), **arguments}
    with pytest.raises(ValueError, match=f"{message}.*Received: "):
        ops.fused_dense(**inputs)
