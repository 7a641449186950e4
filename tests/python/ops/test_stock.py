"""What TensorFlow computes of a fused convolution on a GPU, tried on the CPU."""

import functools

import pytest
import tensorflow as tf
from helpers import output_and_gradients, reference_output_and_gradients, values
from tolerances import assert_close, largest, sum_bound

from fastconv import ops, placement
from fastconv.ops import reference

BLOCK = {"activation": "relu", "pool_size": 2}
# Filters, and arguments of the convolution, that no GPU kernel takes.
LEFT_TO_TENSORFLOW = {
    "5x5": ((5, 5, 16, 32), {"padding": "same"}),
    "few_channels": ((3, 3, 5, 8), {}),
    "strides": ((3, 3, 16, 16), {"strides": (2, 1), "padding": "same"}),
    "strides_and_dilations": ((3, 3, 16, 16), {"strides": 2, "dilations": (1, 2)}),
    "explicit": ((3, 3, 16, 17), {"padding": ((1, 2), (0, 3))}),
}


@pytest.fixture
def on_gpu(monkeypatch, needs_native):
    """As on a GPU whose kernels are switched on; the ops run on the CPU all the same."""
    monkeypatch.setattr(placement, "on_gpu", lambda: True)
    monkeypatch.setattr(placement, "has_kernel", lambda dtype, gpu=True: gpu)


def inputs_of(filter_shape):
    x = values((2, 11, 12, filter_shape[2]), tf.float32, 1)
    bias = values(filter_shape[3:], tf.float32, 3)
    return {"x": x, "filter": values(filter_shape, tf.float32, 2), "bias": bias}


def operations(function, inputs):
    graph = tf.function(lambda: function(**inputs)).get_concrete_function().graph
    return {op.type for op in graph.get_operations()}


@pytest.mark.parametrize("name", LEFT_TO_TENSORFLOW)
def test_results(name, on_gpu):
    filter_shape, convolution = LEFT_TO_TENSORFLOW[name]
    inputs = inputs_of(filter_shape)
    fused = functools.partial(ops.fused_conv2d, **convolution, **BLOCK)
    found = operations(fused, inputs)
    assert {"Conv2D", "Fastconv>FusedEpilogue"} <= found
    assert "Fastconv>FusedConv2D" not in found
    y, dy, gradients = output_and_gradients(fused, inputs)
    twin = functools.partial(reference.fused_conv2d, **convolution, **BLOCK)
    expected_y, expected = reference_output_and_gradients(twin, inputs, dy)
    taps = filter_shape[0] * filter_shape[1]
    assert_close(y, expected_y, sum_bound(tf.float32, taps * filter_shape[2] + 1, 1.0), "y")
    terms = {"x": taps * filter_shape[3], "filter": 60, "bias": 60}
    for each, count in terms.items():
        bound = sum_bound(tf.float32, count, largest(dy))
        assert_close(gradients[each], expected[each], bound, f"d{each}")


def test_statistics(on_gpu):
    inputs = inputs_of((5, 5, 16, 8))
    statistics = functools.partial(ops.conv2d_batch_statistics, padding="same")
    assert "Fastconv>Conv2DBatchStatistics" not in operations(statistics, inputs)
    wide = {name: tf.cast(value, tf.float64) for name, value in inputs.items()}
    expected = reference.conv2d_batch_statistics(**wide, padding="same")
    bound = sum_bound(tf.float32, 401, 1.0)
    for found, exact, name in zip(
        statistics(**inputs), expected, ("z", "mean", "variance"), strict=True
    ):
        assert_close(found, exact, 4 * bound, name)


def test_convolutions_with_a_kernel_of_their_own_take_it(on_gpu):
    found = operations(functools.partial(ops.fused_conv2d, **BLOCK), inputs_of((3, 3, 32, 64)))
    assert "Fastconv>FusedConv2D" in found
    assert "Conv2D" not in found


def test_nothing_is_left_to_tensorflow_on_a_cpu(needs_native):
    with tf.device("/CPU:0"):
        found = operations(ops.fused_conv2d, inputs_of((5, 5, 16, 32)))
    assert "Conv2D" not in found
