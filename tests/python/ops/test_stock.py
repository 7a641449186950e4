"""What TensorFlow computes of a fused convolution on a GPU, tried on the CPU."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import output_and_gradients, reference_output_and_gradients, values
from tolerances import (
    assert_close,
    assert_close_in_norm,
    assert_statistics,
    chain_bound,
    largest,
    sum_bound,
)

import fastconv
from fastconv import ops, placement
from fastconv.layers import FusedConv2D
from fastconv.ops import reference

BLOCK = {"activation": "relu", "pool_size": 2}
# Filters, and arguments of the convolution, that no GPU kernel takes, or that cuDNN is better at.
LEFT_TO_TENSORFLOW = {
    "5x5": ((5, 5, 16, 32), {"padding": "same"}),
    "few_channels": ((3, 3, 5, 8), {}),
    "strides": ((3, 3, 16, 16), {"strides": (2, 1), "padding": "same"}),
    "strides_and_dilations": ((3, 3, 16, 16), {"strides": 2, "dilations": (1, 2)}),
    "many_channels": ((3, 3, 64, 80), {"padding": "same"}),
    "explicit": ((3, 3, 16, 17), {"padding": ((1, 2), (0, 3))}),
}


@pytest.fixture
def on_gpu(monkeypatch, needs_native):
    """As on a GPU whose kernels are switched on; the ops run on the CPU all the same."""
    monkeypatch.setattr(placement, "on_gpu", lambda: True)
    monkeypatch.setattr(placement, "has_kernel", lambda dtype, gpu=True: gpu)


def inputs_of(filter_shape, dtype=tf.float32):
    x = values((2, 11, 12, filter_shape[2]), dtype, 1)
    bias = values(filter_shape[3:], dtype, 3)
    return {"x": x, "filter": values(filter_shape, dtype, 2), "bias": bias}


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


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("activation", [None, "relu"])
def test_what_cudnn_takes_in_is_left_to_it(activation, bias, on_gpu, dtype):
    inputs = inputs_of((3, 3, 5, 8), dtype)
    if not bias:
        del inputs["bias"]
    fused = functools.partial(ops.fused_conv2d, padding="same", activation=activation)
    found = operations(fused, inputs)
    assert found >= {"Conv2D"} | ({"BiasAdd"} if bias else set()) | (
        {"Relu"} if activation else set()
    )
    assert "Fastconv>FusedEpilogue" not in found
    twin = functools.partial(reference.fused_conv2d, padding="same", activation=activation)
    for jit in (False, True):
        y, dy, gradients = output_and_gradients(fused, inputs, jit=jit)
        expected_y, expected = reference_output_and_gradients(twin, inputs, dy)
        assert_close(y, expected_y, sum_bound(dtype, 46, largest(*inputs.values())), "y")
        for each, count in {"x": 72, "filter": 264, "bias": 264}.items():
            if each in inputs:
                bound = sum_bound(dtype, count, largest(dy, inputs["x"]))
                assert_close(gradients[each], expected[each], bound, f"d{each}")


def test_the_gradient_of_relu_is_one_pass_over_what_is_stored_anyway(on_gpu):
    @tf.function
    def gradients(x, filter, bias):
        with tf.GradientTape() as tape:
            tape.watch([x, filter, bias])
            y = ops.fused_conv2d(x, filter, bias, activation="relu")
        return tape.gradient(y, [x, filter, bias])

    graph = gradients.get_concrete_function(**inputs_of((3, 3, 5, 8))).graph
    (gradient,) = (op for op in graph.get_operations() if op.type == "Fastconv>FusedEpilogueGrad")
    sources = {source.op.type for source in gradient.inputs}
    assert "Relu" in sources
    assert not sources & {"Conv2D", "BiasAdd"}
    (relu,) = (op for op in graph.get_operations() if op.type == "Relu")
    (biased,) = relu.inputs
    assert biased.consumers() == [relu]


def test_the_gradient_of_relu_can_be_taken_once(on_gpu):
    inputs = inputs_of((3, 3, 5, 8))
    with tf.GradientTape() as outer:
        outer.watch(inputs)
        with tf.GradientTape() as inner:
            inner.watch(inputs)
            y = ops.fused_conv2d(**inputs, activation="relu")
        first = inner.gradient(y, inputs["x"])
    with pytest.raises(LookupError, match="FusedEpilogueGrad"):
        outer.gradient(first, inputs["filter"])


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_statistics(offset, on_gpu):
    inputs = inputs_of((5, 5, 16, 8))
    inputs["bias"] += offset
    statistics = functools.partial(ops.conv2d_batch_statistics, padding="same")
    found = operations(statistics, inputs)
    assert not found & {"Fastconv>Conv2DBatchStatistics", "Fastconv>FusedEpilogue"}
    z, mean, variance = statistics(**inputs)
    twin = functools.partial(reference.fused_conv2d, padding="same")
    exact, _ = reference_output_and_gradients(twin, inputs, tf.zeros(z.shape))
    bound = sum_bound(tf.float32, 401, 1.0 + offset / 401)
    assert_close(z, exact, bound, "z")
    assert_statistics(mean, variance, tf.float32, z, 0.0)


def test_statistics_of_images_unlike_the_first(on_gpu):
    """The first image's mean is as far from the others' as it can be."""
    x = tf.concat([tf.fill([1, 4, 4, 1], 1000.0), values((15, 4, 4, 1), tf.float32, 1)], axis=0)
    z, mean, variance = ops.conv2d_batch_statistics(x, tf.ones([1, 1, 1, 3]))
    assert_statistics(mean, variance, tf.float32, z, 0.0)


def test_a_bias_that_is_normalised_away_takes_no_pass(on_gpu):
    inputs = inputs_of((5, 5, 16, 8))
    moving = {"moving_mean": tf.zeros(8), "moving_variance": tf.ones(8)}

    def gradients(**inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            y, _, _ = ops.fused_conv2d_batch_norm(**inputs, **moving, training=True)
            loss = tf.reduce_sum(y * values(tuple(y.shape), y.dtype, 9))
        return tape.gradient(loss, inputs)

    np.testing.assert_array_equal(gradients(**inputs)["bias"], tf.zeros(8))
    graph = tf.function(gradients).get_concrete_function(**inputs).graph
    used, ahead = set(), [output.op for output in graph.outputs]
    while ahead:
        op = ahead.pop()
        if op.name not in used:
            used.add(op.name)
            ahead += [source.op for source in op.inputs]
    assert not {name for name in used if graph.get_operation_by_name(name).type == "BiasAddGrad"}


@pytest.mark.parametrize("mode", ["eager", "graph", "XLA"])
def test_layers_train_their_variables(mode, on_gpu):
    model = keras.Sequential(
        [
            keras.Input((12, 11, 5)),
            FusedConv2D(8, 3, activation="relu"),
            FusedConv2D(4, 3, activation="relu", use_bias=False),
            FusedConv2D(6, 5, activation="relu", batch_norm=True),
        ]
    )
    twin = fastconv.convert(model, backend="stock")
    x, shift = values((3, 12, 11, 5), tf.float32, 1), values((3, 4, 3, 6), tf.float32, 2)

    def gradients(model):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(x, training=True) * shift)
        return tape.gradient(loss, [variable.value for variable in model.trainable_variables])

    if mode != "eager":
        found = tf.function(gradients, jit_compile=mode == "XLA")(model)
    else:
        found = gradients(model)
    bound = chain_bound(tf.float32, 5 * 5 * 4 * 36)
    for one, exact, variable in zip(found, gradients(twin), model.trainable_variables, strict=True):
        if variable is model.layers[-1].bias:  # the normalisation takes it away
            np.testing.assert_array_equal(one, tf.zeros(6))
        else:
            assert_close_in_norm(one, exact, bound, variable.path)


def test_convolutions_with_a_kernel_of_their_own_take_it(on_gpu):
    found = operations(functools.partial(ops.fused_conv2d, **BLOCK), inputs_of((3, 3, 32, 64)))
    assert "Fastconv>FusedConv2D" in found
    assert "Conv2D" not in found


def test_nothing_is_left_to_tensorflow_on_a_cpu(needs_native):
    with tf.device("/CPU:0"):
        found = operations(ops.fused_conv2d, inputs_of((5, 5, 16, 32)))
    assert "Conv2D" not in found
