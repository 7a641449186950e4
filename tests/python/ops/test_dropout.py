"""Stand-alone dropout against stock TensorFlow."""

import numpy as np
import pytest
import tensorflow as tf
from helpers import output_and_gradients, values

from fastconv import ops

SEED = (-7, 123456789)


@pytest.mark.parametrize("shape", [(7,), (5, 3), (256, 512), (3, 4, 5, 6), (0, 3), (1, 1, 1)])
def test_equals_stock(shape, dtype, jit):
    inputs = {"x": values(shape, dtype, 1)}
    for rate in (0.2, 0.5):
        y, dy, gradients = output_and_gradients(
            lambda x, rate=rate: ops.dropout(x, rate, tf.constant(SEED)), inputs, jit=jit
        )
        expected_y, _, expected = output_and_gradients(
            lambda x, rate=rate: tf.nn.experimental.stateless_dropout(x, rate, SEED), inputs, dy
        )
        np.testing.assert_array_equal(y, expected_y)
        np.testing.assert_array_equal(gradients["x"], expected["x"])


def test_each_instruction_set(isa, dtype):
    x = values((33, 41), dtype, 1)
    y = ops.dropout(x, 0.3, tf.constant(SEED))
    np.testing.assert_array_equal(y, tf.nn.experimental.stateless_dropout(x, 0.3, SEED))


def test_rates_at_the_ends():
    x = values((5, 6), "float32", 1)
    np.testing.assert_array_equal(ops.dropout(x, 0.0, tf.constant(SEED)), x)
    np.testing.assert_array_equal(ops.dropout(x, 1.0, tf.constant(SEED)), tf.zeros_like(x))


def test_what_is_dropped_may_be_anything():
    x = tf.fill([1000], float("nan"))
    kept = tf.nn.experimental.stateless_dropout(tf.ones_like(x), 0.5, SEED) != 0
    np.testing.assert_array_equal(tf.math.is_nan(ops.dropout(x, 0.5, tf.constant(SEED))), kept)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rate": 1.5}, "must be a number from 0 to 1"),
        ({"seed": None}, "needs a `seed`"),
        ({"x": tf.ones(3, tf.int32)}, "`x` must have one of the types"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=f"{message}.*Received: "):
        ops.dropout(**{"x": tf.ones(3), "rate": 0.5, "seed": tf.constant(SEED), **arguments})
