"""What the tests of ops, layers and models share."""

import functools
import pathlib
from typing import NamedTuple

import numpy as np
import tensorflow as tf

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


class Conv2DProblem(NamedTuple):
    """A line of tests/shapes/conv2d.txt: shapes, and arguments of `fused_conv2d`."""

    x: tuple
    filter: tuple
    bias: bool
    statistics: bool
    convolution: dict
    block: dict


def _pair(text):
    return tuple(int(value) for value in text.split("x"))


def _parse(line):
    words = dict(word.partition("=")[::2] for word in line.split())
    x = _pair(words["x"])
    rows, columns, filters = _pair(words["filter"])
    padding = words.get("padding", "valid")
    if "," in padding:
        top, bottom, left, right = (int(value) for value in padding.split(","))
        padding = (top, bottom), (left, right)
    activation, _, slope = words.get("act", "linear").partition(":")
    block = {"activation": {"leaky": "leaky_relu"}.get(activation, activation)}
    if slope:
        block["negative_slope"] = float(slope)
    if "pool" in words:
        windows, _, pool_padding = words["pool"].partition(":")
        size, strides = windows.split("/")
        block.update(
            pool_size=_pair(size),
            pool_strides=_pair(strides),
            pool_padding=pool_padding or "valid",
        )
    return Conv2DProblem(
        x=x,
        filter=(rows, columns, x[3] // int(words.get("groups", 1)), filters),
        bias="bias" in words,
        statistics="statistics" in words,
        convolution={
            "strides": _pair(words.get("stride", "1x1")),
            "dilations": _pair(words.get("dilation", "1x1")),
            "padding": padding,
        },
        block=block,
    )


@functools.cache
def conv2d_problems():
    """Returns the problems of tests/shapes/conv2d.txt by name."""
    lines = (REPOSITORY / "tests" / "shapes" / "conv2d.txt").read_text().splitlines()
    split = (line.split(maxsplit=1) for line in lines if line.strip() and line[0] != "#")
    return {name: _parse(problem) for name, problem in split}


def values(shape, dtype, seed):
    """Returns random values, the same ones for the same seed.

    16-bit types get integers from -2 to 2: products and moderate sums are exact then, so that
    ties, signs and maxima are those of the reference.
    """
    generator = np.random.default_rng([seed, *shape])
    dtype = tf.as_dtype(dtype)
    if dtype in (tf.float16, tf.bfloat16):
        return tf.cast(tf.constant(generator.integers(-2, 3, shape)), dtype)
    return tf.constant(generator.uniform(-1, 1, shape), dtype)


def problem_inputs(problem, dtype):
    """Returns x, filter and (where the problem has one) bias, by name."""
    inputs = {"x": values(problem.x, dtype, 1), "filter": values(problem.filter, dtype, 2)}
    if problem.bias:
        inputs["bias"] = values(problem.filter[3:], dtype, 3)
    return inputs


def assert_on(device_type, tensors):
    """Asserts that eager tensors lie, and so were computed, on `"CPU"` or `"GPU"`."""
    for tensor in tf.nest.flatten(tensors):
        found = tf.DeviceSpec.from_string(tensor.backing_device).device_type
        assert found == device_type, f"on {tensor.backing_device} instead of a {device_type}"


def device_of_run():
    """Returns the type of the device that `pytest` or `pytest -m gpu` tests."""
    return "GPU" if tf.config.get_visible_devices("GPU") else "CPU"


def output_and_gradients(function, inputs, dy=None, jit=False, device=None):
    """Runs `function(**inputs)` and its gradients.

    Args:
        function: returns one tensor.
        inputs: dict of tensors.
        dy: gradient at the output; None for random values.
        jit: whether to compile with XLA; else eager.
        device: `"CPU"` for what results are compared with, whatever cuDNN thinks of ties, for one;
            None for the device of this run of the tests.

    Returns:
        Tuple of the output, the gradient at the output, and a dict of gradients by input.
    """

    def run(inputs, dy):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            y = function(**inputs)
        if dy is None:
            dy = values(tuple(y.shape), y.dtype, 9)
        return y, dy, tape.gradient(y, inputs, dy)

    device = device or device_of_run()
    with tf.device(f"/{device}:0"):
        results = tf.function(run, jit_compile=True)(inputs, dy) if jit else run(inputs, dy)
    assert_on(device, [tensor for tensor in tf.nest.flatten(results) if tensor is not None])
    return results


def reference_output_and_gradients(function, inputs, dy):
    """Runs a function of `fastconv.ops.reference` and its gradients on the CPU, in float64."""
    in_float64 = {name: tf.cast(value, tf.float64) for name, value in inputs.items()}
    dy = tf.cast(dy, tf.float64)
    y, _, gradients = output_and_gradients(function, in_float64, dy, device="CPU")
    return y, gradients
