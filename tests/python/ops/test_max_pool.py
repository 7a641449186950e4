"""Stand-alone max pooling."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from helpers import output_and_gradients, reference_output_and_gradients, values
from tolerances import NUMERIC_GRADIENT, NUMERIC_STEP, assert_close, largest, sum_bound

from fastconv import ops
from fastconv.ops import reference

CASES = {
    "2x2": ((2, 8, 10, 17), {}),
    "2x2_left_over": ((2, 9, 7, 3), {"pool_size": 2}),
    "2x2_same": ((2, 9, 7, 32), {"pool_size": 2, "pool_padding": "same"}),
    "3x3_overlap": ((2, 10, 11, 16), {"pool_size": 3, "pool_strides": 2}),
    "3x3_dense_same": ((2, 6, 5, 3), {"pool_size": 3, "pool_strides": 1, "pool_padding": "same"}),
    "gaps": ((1, 11, 12, 64), {"pool_size": 2, "pool_strides": (3, 4)}),
    "1x3": ((2, 5, 9, 1), {"pool_size": (1, 3)}),
    "global": ((3, 6, 7, 17), {"pool_size": (6, 7)}),
    "127_positions": ((1, 130, 3, 3), {"pool_size": (127, 1), "pool_strides": 1}),
    "128_positions": ((1, 18, 10, 3), {"pool_size": (16, 8), "pool_strides": 1}),
    "132_positions": ((1, 13, 12, 3), {"pool_size": (11, 12), "pool_strides": (1, 2)}),
    "beyond_image": (
        (2, 3, 2, 5),
        {"pool_size": 5, "pool_strides": 1, "pool_padding": "same"},
    ),
    "pixel": ((2, 1, 1, 33), {"pool_size": 1}),
    "batch_0": ((0, 4, 4, 3), {"pool_size": 2}),
}


def check(name, dtype, jit=False):
    shape, arguments = CASES[name]
    inputs = {"x": values(shape, dtype, 1)}
    y, dy, gradients = output_and_gradients(
        functools.partial(ops.max_pool2d, **arguments), inputs, jit=jit
    )
    expected_y, expected = reference_output_and_gradients(
        functools.partial(reference.max_pool2d, **{"pool_size": 2, **arguments}), inputs, dy
    )
    np.testing.assert_array_equal(tf.cast(y, tf.float64), expected_y)
    window = arguments.get("pool_size", 2)
    terms = window**2 if isinstance(window, int) else window[0] * window[1]
    assert_close(gradients["x"], expected["x"], sum_bound(dtype, terms, largest(dy)), f"{name}: dx")


@pytest.mark.parametrize("name", CASES)
def test_every_case(name, dtype):
    check(name, dtype)


@pytest.mark.parametrize("name", ["2x2_left_over", "3x3_overlap", "beyond_image", "batch_0"])
def test_xla(name):
    check(name, tf.float32, jit=True)


@pytest.mark.parametrize("name", CASES)
def test_each_instruction_set(name, isa):
    check(name, tf.float32)


def test_first_of_equal_maxima_gets_the_gradient(jit):
    y, dy, gradients = output_and_gradients(
        lambda x: ops.max_pool2d(x, 3), {"x": tf.ones([1, 3, 6, 2])}, jit=jit
    )
    np.testing.assert_array_equal(y, tf.ones([1, 1, 2, 2]))
    expected = np.zeros([1, 3, 6, 2], np.float32)
    expected[:, 0, ::3] = dy[:, 0]
    np.testing.assert_array_equal(gradients["x"], expected)


def test_nan_loses(jit, needs_native):
    nan = np.nan
    x = tf.constant([[nan, 1.0, nan, nan], [-2.0, nan, nan, nan]])[None, :, :, None]
    y, dy, gradients = output_and_gradients(ops.max_pool2d, {"x": x}, jit=jit)
    np.testing.assert_array_equal(y[0, 0, :, 0], [1.0, -np.inf])
    expected = np.zeros([1, 2, 4, 1], np.float32)
    expected[0, 0, 1:3, 0] = dy[0, 0, :, 0]  # the window without a number: its first position
    np.testing.assert_array_equal(gradients["x"], expected)


@pytest.mark.parametrize("row", [0, 1])
@pytest.mark.parametrize("column", [0, 1])
def test_nan_loses_as_in_tensorflow(row, column, jit, needs_native):
    numbers = values((2, 6, 6, 16), tf.float32, 1).numpy()
    x = numbers.copy()
    x[:, row::2, column::2] = np.nan
    numbers[:, row::2, column::2] = -2.0
    y, dy, gradients = output_and_gradients(ops.max_pool2d, {"x": tf.constant(x)}, jit=jit)
    with tf.device("/CPU:0"):
        np.testing.assert_array_equal(y, tf.nn.max_pool2d(x, 2, 2, "VALID"))
    # TensorFlow's gradient depends on the mode: eager, it can hit the NaN, in XLA the last number.
    # Here, as in a TensorFlow graph, it is that of the maximum.
    _, _, expected = output_and_gradients(
        lambda x: tf.nn.max_pool2d(x, 2, 2, "VALID"),
        {"x": tf.constant(numbers)},
        dy,
        device="CPU",
    )
    np.testing.assert_array_equal(gradients["x"], expected["x"])


def test_numeric_gradients():
    x = values((2, 5, 6, 2), tf.float64, 1)
    exact, numeric = tf.test.compute_gradient(
        lambda x: ops.max_pool2d(x, 3, 2, "same"), [x], delta=NUMERIC_STEP
    )
    np.testing.assert_allclose(exact[0], numeric[0], rtol=0, atol=NUMERIC_GRADIENT)
    assert exact[0].max() == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": tf.zeros([4, 4, 3])}, "rank 4"),
        ({"x": tf.zeros([1, 4, 4, 3], tf.int32)}, "types"),
        ({"pool_size": None}, "pool_size"),
        ({"pool_size": 0}, "pool_size"),
        ({"pool_strides": 0}, "pool_strides"),
        ({"pool_padding": "full"}, "pool_padding"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=rf"(?s){message}.*Received: "):
        ops.max_pool2d(**{"x": tf.zeros([1, 4, 4, 3]), **arguments})
