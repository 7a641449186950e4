"""The fused convolution: every problem of tests/shapes/conv2d.txt against TensorFlow in float64."""

import functools
import math

import numpy as np
import pytest
import tensorflow as tf
from helpers import (
    conv2d_problems,
    output_and_gradients,
    problem_inputs,
    reference_output_and_gradients,
    values,
)
from tolerances import (
    NUMERIC_GRADIENT,
    NUMERIC_STEP,
    assert_close,
    assert_statistics,
    largest,
    sum_bound,
    winograd_bound,
)

from fastconv import config, native, ops
from fastconv.ops import reference

# One problem of every kind, for what runs on each instruction set and type.
KINDS = (
    "k1",
    "k3_same",
    "k11_same",
    "s2_same_odd",
    "s3_k2_gaps",
    "d2_same",
    "g3_odd",
    "depthwise_x2",
    "c600_k3",
    "batch_0_pool",
    "pixel_k7_same",
    "explicit_beyond",
    "leaky_0",
    "leaky_1",
    "pool_2x2_left_over",
    "pool_3x3_overlap",
    "pool_130_positions",
)
# Those worth the time that XLA takes to compile them.
XLA_KINDS = (
    "k3_same",
    "k5",
    "s2_same_even",
    "d2",
    "g2",
    "batch_0",
    "explicit",
    "leaky_0.3",
    "pool_2x2_leaky",
    "pool_3x3_overlap_same",
    "pool_12x12_leaky",
    "cifar10_conv2_pool",
)


def winograd_passes(problem, dtype):
    """Returns the passes of a problem that the dispatch list gives to Winograd."""
    if not config.native_enabled() or 0 in problem.x:
        return set()
    padding = problem.convolution["padding"]
    explicit = not isinstance(padding, str)
    entries = native.core().explain_conv2d(
        problem.x,
        problem.filter,
        dtype=dtype.name,
        strides=problem.convolution["strides"],
        dilations=problem.convolution["dilations"],
        padding="EXPLICIT" if explicit else padding.upper(),
        explicit_paddings=[*padding[0], *padding[1]] if explicit else (),
    )
    chosen = {}
    for convolution_pass, implementation, refusal in entries:
        if not refusal:
            chosen.setdefault(convolution_pass, implementation)
    return {key for key, value in chosen.items() if value.startswith("winograd")}


def check(name, dtype, jit=False):
    problem = conv2d_problems()[name]
    inputs = problem_inputs(problem, dtype)
    arguments = {**problem.convolution, **problem.block}
    y, dy, gradients = output_and_gradients(
        functools.partial(ops.fused_conv2d, **arguments), inputs, jit=jit
    )
    expected_y, expected = reference_output_and_gradients(
        functools.partial(reference.fused_conv2d, **arguments), inputs, dy
    )
    assert y.dtype == dtype

    x, filter = inputs["x"], inputs["filter"]
    rows, columns, group_channels, filters = problem.filter
    steepest = max(1.0, arguments.get("negative_slope", 0.0))
    # A position of the map is the maximum of at most so many windows.
    windows = math.prod(
        min(math.ceil(size / stride), count)
        for size, stride, count in zip(
            arguments.get("pool_size", (1, 1)),
            arguments.get("pool_strides", (1, 1)),
            y.shape[1:3],
            strict=True,
        )
    )
    pixels = math.prod(y.shape[:3])
    group_filters = filters * group_channels // problem.x[3]
    bounds = {
        "x": sum_bound(dtype, rows * columns * group_filters * windows, largest(filter, dy)),
        "filter": sum_bound(dtype, pixels, largest(x, dy)),
        "bias": sum_bound(dtype, pixels, largest(dy)),
    }
    forward = sum_bound(dtype, rows * columns * group_channels + 1, largest(x, filter))
    passes = winograd_passes(problem, dtype)
    if "forward" in passes:
        forward = max(forward, winograd_bound(expected_y))
    for key, pass_name in (("x", "backward_input"), ("filter", "backward_filter")):
        if pass_name in passes:
            bounds[key] = max(bounds[key], winograd_bound(expected[key]))
    assert_close(y, expected_y, steepest * forward, f"{name}: y")
    for key, gradient in gradients.items():
        assert_close(gradient, expected[key], steepest * bounds[key], f"{name}: d{key}")


@pytest.mark.parametrize("name", conv2d_problems())
def test_every_problem(name):
    check(name, tf.float32)


@pytest.mark.parametrize("name", XLA_KINDS)
def test_xla(name):
    check(name, tf.float32, jit=True)


@pytest.mark.parametrize("name", KINDS)
def test_each_type(name, dtype):
    check(name, dtype)


def test_each_type_in_xla(dtype):
    check("pool_2x2_left_over", dtype, jit=True)


@pytest.mark.parametrize("name", KINDS)
def test_each_instruction_set(name, isa):
    check(name, tf.float32)


def test_types_on_each_instruction_set(isa, dtype):
    check("pool_2x2", dtype)
    check("s2_same_even", dtype)


@pytest.mark.parametrize("name", [n for n, p in conv2d_problems().items() if p.statistics])
def test_batch_statistics(name, dtype):
    problem = conv2d_problems()[name]
    inputs = problem_inputs(problem, dtype)
    z, mean, variance = ops.conv2d_batch_statistics(**inputs, **problem.convolution)
    assert mean.dtype == variance.dtype == (tf.float64 if dtype == tf.float64 else tf.float32)
    terms = math.prod(problem.filter[:3]) + 1
    expected_z, _, _ = reference.conv2d_batch_statistics(
        **{key: tf.cast(value, tf.float64) for key, value in inputs.items()}, **problem.convolution
    )
    bound = sum_bound(dtype, terms, largest(inputs["x"], inputs["filter"]))
    assert_close(z, expected_z, bound, f"{name}: z")
    if problem.x[0] > 0:
        assert_statistics(mean, variance, dtype, expected_z, bound)


def test_statistics_far_from_zero(needs_native):
    # A sum of squares would lose everything: mean^2 is 3e8 times the variance.
    x = 1000.0 + 0.1 * values((4, 33, 31, 3), tf.float32, 1)
    _, mean, variance = ops.conv2d_batch_statistics(x, tf.eye(3)[None, None])
    assert_statistics(mean, variance, tf.float32, x, 0.0)


@pytest.mark.parametrize(
    "arguments",
    [
        {"padding": "same", "activation": "relu", "pool_size": 2},
        {"padding": "valid", "strides": 2, "activation": "leaky_relu", "negative_slope": 0.3},
        {"padding": ((1, 2), (0, 1)), "dilations": (2, 1), "pool_size": 3, "pool_strides": 2},
    ],
)
def test_numeric_gradients(arguments):
    inputs = [
        values(shape, tf.float64, seed)
        for seed, shape in enumerate([(2, 6, 5, 2), (3, 2, 1, 4), (4,)])
    ]
    exact, numeric = tf.test.compute_gradient(
        functools.partial(ops.fused_conv2d, **arguments), inputs, delta=NUMERIC_STEP
    )
    for one, other in zip(exact, numeric, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=NUMERIC_GRADIENT)
        assert np.abs(one).max() > 1000 * NUMERIC_GRADIENT


def test_reference_is_the_definition():
    x = values((2, 6, 7, 4), tf.float64, 1).numpy()
    filter = values((2, 3, 2, 6), tf.float64, 2).numpy()
    strides, dilations, padding = (2, 1), (2, 2), ((1, 2), (0, 3))
    padded = np.pad(x, [(0, 0), *padding, (0, 0)])
    rows = (padded.shape[1] - 3) // strides[0] + 1
    columns = (padded.shape[2] - 5) // strides[1] + 1
    z = np.zeros((2, rows, columns, 6))
    for n, i, j, k in np.ndindex(z.shape):
        group = k // 3
        for r, s, c in np.ndindex(2, 3, 2):
            z[n, i, j, k] += (
                padded[n, i * strides[0] + r * 2, j * strides[1] + s * 2, group * 2 + c]
                * filter[r, s, c, k]
            )
    actual = reference.fused_conv2d(x, filter, None, strides, padding, dilations)
    np.testing.assert_allclose(actual, z, rtol=0, atol=sum_bound(tf.float64, 12, 1.0))


@pytest.mark.parametrize("slope", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("pool_size", [None, 2])
def test_activation_at_zero_and_ties(slope, pool_size, jit):
    # Maps of few distinct integers: most windows hold ties, many values are 0.
    x = tf.round(2 * values((2, 8, 8, 5), tf.float32, 1))
    arguments = {"activation": "leaky_relu", "negative_slope": slope, "pool_size": pool_size}
    identity = tf.eye(5)[None, None]

    def stock(x):
        a = tf.nn.leaky_relu(x, slope)
        return a if pool_size is None else tf.nn.max_pool2d(a, 2, 2, "VALID")

    y, dy, gradients = output_and_gradients(
        lambda x: ops.fused_conv2d(x, identity, **arguments), {"x": x}, jit=jit
    )
    expected_y, _, expected = output_and_gradients(stock, {"x": x}, dy, device="CPU")
    np.testing.assert_array_equal(y, expected_y)
    bound = sum_bound(tf.float32, 5, largest(dy))
    if slope == 0.0 and pool_size:
        # Where all of a window is clipped to 0, the maximum is another, and no gradient passes.
        assert_close(gradients["x"], expected["x"] * tf.cast(x > 0, x.dtype), bound, "dx")
    else:
        assert_close(gradients["x"], expected["x"], bound, "dx")


def test_filter_gradient_repeats_bit_for_bit():
    inputs = problem_inputs(conv2d_problems()["many_pixels"], tf.float32)
    first, second = (
        output_and_gradients(functools.partial(ops.fused_conv2d, padding="same"), inputs)[2]
        for _ in range(2)
    )
    np.testing.assert_array_equal(first["filter"], second["filter"])
    np.testing.assert_array_equal(first["bias"], second["bias"])


def test_unknown_sizes():
    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None, None, 3]),
            tf.TensorSpec([3, 3, 3, 8]),
        ]
    )
    def run(x, filter):
        with tf.GradientTape() as tape:
            tape.watch([x, filter])
            y = ops.fused_conv2d(x, filter, padding="same", activation="relu", pool_size=2)
        assert y.shape.as_list() == [None, None, None, 8]
        return y, *tape.gradient(y, [x, filter])

    for shape in ((2, 8, 9, 3), (1, 5, 4, 3)):
        x, filter = values(shape, tf.float32, 1), values((3, 3, 3, 8), tf.float32, 2)
        y, dx, dfilter = run(x, filter)
        expected_y, _, expected = output_and_gradients(
            functools.partial(ops.fused_conv2d, padding="same", activation="relu", pool_size=2),
            {"x": x, "filter": filter},
            tf.ones_like(y),
        )
        np.testing.assert_array_equal(y, expected_y)
        np.testing.assert_array_equal(dx, expected["x"])
        np.testing.assert_array_equal(dfilter, expected["filter"])


@pytest.mark.parametrize(
    ("wanted", "unneeded"),
    [(0, "fastconv_fused_conv2d_backprop_filter"), (1, "fastconv_fused_conv2d_backprop_input")],
)
def test_unneeded_gradients_are_not_computed(wanted, unneeded, needs_native, monkeypatch):
    def refuse(**_):
        raise AssertionError(f"{unneeded} was called")

    monkeypatch.setattr(native.ops(), unneeded, refuse)
    inputs = values((1, 5, 5, 3), tf.float32, 1), values((3, 3, 3, 4), tf.float32, 2)
    with tf.GradientTape() as tape:
        tape.watch(inputs[wanted])
        y = ops.fused_conv2d(*inputs)
    assert tape.gradient(y, inputs[wanted]).shape == inputs[wanted].shape


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": tf.zeros([8, 8, 3])}, "rank 4"),
        ({"filter": tf.zeros([3, 3, 3])}, "rank 4"),
        ({"filter": tf.zeros([3, 3, 2, 4])}, "multiple"),
        ({"filter": tf.zeros([3, 3, 1, 4])}, "multiple"),
        ({"bias": tf.zeros([5])}, "channels"),
        ({"x": tf.zeros([1, 8, 8, 3], tf.int32)}, "types"),
        ({"filter": tf.zeros([3, 3, 3, 4], tf.float64)}, "type"),
        ({"strides": 0}, "strides"),
        ({"strides": (1, 2, 3)}, "strides"),
        ({"dilations": -1}, "dilations"),
        ({"padding": "full"}, "padding"),
        ({"padding": ((1, 1), (1, -1))}, "padding"),
        ({"activation": "gelu"}, "activation"),
        ({"negative_slope": -0.1}, "negative_slope"),
        ({"pool_size": 0}, "pool_size"),
        ({"pool_strides": 2}, "pool_strides"),
        ({"pool_size": 2, "pool_padding": "full"}, "pool_padding"),
    ],
)
def test_bad_arguments(change, message):
    arguments = {"x": tf.zeros([1, 8, 8, 3]), "filter": tf.zeros([3, 3, 3, 4]), **change}
    with pytest.raises(ValueError, match=rf"(?s){message}.*Received: "):
        ops.fused_conv2d(**arguments)


@pytest.mark.parametrize(
    "arguments", [{}, {"filter": tf.zeros([2, 2, 3, 4]), "pool_size": 3}], ids=["conv", "pool"]
)
def test_output_below_one(arguments, needs_native):
    arguments = {"filter": tf.zeros([4, 4, 3, 4]), **arguments}
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match="Received: "):
        ops.fused_conv2d(tf.zeros([1, 3, 3, 3]), **arguments)
