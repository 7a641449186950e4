"""Times single convolutions: fastconv's ops against TensorFlow's, forward and both gradients.

The convolutions are those of the documented systems at their batch sizes, each shape once, and
those of layers.txt. "forward" is the bare convolution, "block" the convolution with bias and
relu; "input gradient" and "filter gradient" are the gradients of the bare convolution, each
alone. All run in `tf.function` without XLA, in turn. A step computes a small convolution several
times, each on tensors of its own and after the one before, as a model's layers do: calling the
function and waking its threads would be a large part of the time otherwise. GFLOP/s count the
multiplications and additions of the definition, whatever the algorithm does: Winograd's needs
fewer, so that its share of the roofline can exceed 100 %. The roofline is the lesser of the speed
of a large matrix product in the tensors' type and of the copying speed times the operations per
byte of the tensors; both are measured first.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import pathlib
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from benchmarks import command, harness, machine, plots, report
from fastconv import models, ops

LISTED = pathlib.Path(__file__).with_name("layers.txt")
PASSES = ("forward", "block", "input gradient", "filter gradient")
WARM_UP_STEPS = 2
# A step is that long, some ten milliseconds of two cores, or computes that many convolutions.
FLOPS_OF_STEP = 2e9
MOST_REPEATS = 16
_HEADER = (
    "convolution",
    "systems",
    "rounds",
    "stock, ms",
    "fastconv, ms",
    "stock / fastconv",
    "GFLOP/s: stock",
    "fastconv",
    "share of roofline: stock",
    "fastconv",
)
_DTYPES = {"mixed_bfloat16": "bfloat16", "mixed_float16": "float16"}


class Convolution(NamedTuple):
    """A convolution with square filters and strides of one."""

    batch: int
    height: int
    width: int
    channels: int
    filters: int
    kernel_size: int
    padding: str

    @property
    def x_shape(self):
        return self.batch, self.height, self.width, self.channels

    @property
    def filter_shape(self):
        return self.kernel_size, self.kernel_size, self.channels, self.filters

    @property
    def y_shape(self):
        lost = 0 if self.padding == "same" else self.kernel_size - 1
        return self.batch, self.height - lost, self.width - lost, self.filters

    @property
    def flops(self):
        """Operations of each of the three passes, zeros of the padding included."""
        return 2 * np.prod(self.y_shape).item() * self.kernel_size**2 * self.channels

    def bytes(self, itemsize):
        """Size of the three tensors, of which each pass reads two and writes one."""
        shapes = (self.x_shape, self.filter_shape, self.y_shape)
        return itemsize * sum(np.prod(shape).item() for shape in shapes)

    def __str__(self):
        return (
            f"{self.batch}x{self.height}x{self.width}x{self.channels}, "
            f"{self.filters} of {self.kernel_size}x{self.kernel_size} {self.padding}"
        )


def convolutions_of(system, batch):
    """Returns the convolutions of a documented system, in order."""
    model = models.build(system.name, backend="stock")
    found = []
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            if layer.strides != (1, 1) or layer.kernel_size[0] != layer.kernel_size[1]:
                raise ValueError(
                    "The benchmark takes square filters and strides of one. "
                    f"Received: {layer.name} of {system.name}"
                )
            _, height, width, channels = layer.input.shape
            found.append(
                Convolution(
                    batch,
                    height,
                    width,
                    channels,
                    layer.filters,
                    layer.kernel_size[0],
                    layer.padding,
                )
            )
    return found


def listed_convolutions():
    """Returns the convolutions of layers.txt."""
    lines = LISTED.read_text(encoding="utf-8").splitlines()
    words = (line.split() for line in lines if not line.startswith("#"))
    return [Convolution(*map(int, line[:6]), line[6]) for line in words]


def selected(options):
    """Returns the convolutions to measure, each once, with where they occur."""
    found = {}
    for name in options.systems:
        system = models.SYSTEMS[name]
        for convolution in convolutions_of(system, options.batch or system.batch_size):
            found.setdefault(convolution, []).append(name)
    # The list has batch sizes of its own.
    for convolution in [] if options.batch or options.quick else listed_convolutions():
        found.setdefault(convolution, [])
    return {convolution: sorted(set(names)) for convolution, names in found.items()}


def repeats(convolution):
    """Returns how many times a step computes a convolution."""
    return min(MOST_REPEATS, math.ceil(FLOPS_OF_STEP / convolution.flops))


def steps(convolution, dtype):
    """Returns, by pass, the steps of stock and of fastconv; `repeats` tells how many times each."""
    rng = np.random.default_rng(0)

    def tensors(shape):
        return [
            tf.constant(rng.standard_normal(shape, dtype="float32").astype(dtype.as_numpy_dtype))
            for _ in range(repeats(convolution))
        ]

    x, filter, dy = (
        tensors(shape)
        for shape in (convolution.x_shape, convolution.filter_shape, convolution.y_shape)
    )
    bias = tensors((convolution.filters,))
    stock = {"strides": [1, 1, 1, 1], "padding": convolution.padding.upper()}
    fast = {"padding": convolution.padding}

    def gradient(of):
        # These gradients need nothing of the forward pass, which TensorFlow therefore drops.
        def compute(x, filter, dy):
            z, _, _ = ops.conv2d_batch_statistics(x, filter, **fast)
            return tf.gradients(z, x if of == "x" else filter, dy)[0]

        return compute

    return {
        "forward": {
            "stock": _step(lambda x, f: tf.nn.conv2d(x, f, **stock), x, filter),
            "fastconv": _step(lambda x, f: ops.fused_conv2d(x, f, **fast), x, filter),
        },
        "block": {
            "stock": _step(
                lambda x, f, b: tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, f, **stock), b)),
                *(x, filter, bias),
            ),
            "fastconv": _step(
                lambda x, f, b: ops.fused_conv2d(x, f, b, activation="relu", **fast),
                *(x, filter, bias),
            ),
        },
        "input gradient": {
            "stock": _step(
                lambda f, dy: tf.raw_ops.Conv2DBackpropInput(
                    input_sizes=convolution.x_shape, filter=f, out_backprop=dy, **stock
                ),
                *(filter, dy),
            ),
            "fastconv": _step(gradient("x"), x, filter, dy),
        },
        "filter gradient": {
            "stock": _step(
                lambda x, dy: tf.raw_ops.Conv2DBackpropFilter(
                    input=x, filter_sizes=convolution.filter_shape, out_backprop=dy, **stock
                ),
                *(x, dy),
            ),
            "fastconv": _step(gradient("filter"), x, filter, dy),
        },
    }


def _step(function, *tensors):
    """Returns a step that calls a function on the first of each list of tensors, the second..."""

    @functools.partial(tf.function, jit_compile=False, autograph=False)
    def in_turn(*tensors):
        numbers = []  # one of each result, that TensorFlow drops none
        for *others, last in zip(*tensors, strict=True):
            # On the operand: TensorFlow fuses no operations that have control dependencies.
            with tf.control_dependencies(numbers[-1:]):
                last = tf.identity(last)
            numbers.append(tf.reshape(function(*others, last), [-1])[0])
        return numbers

    def step():
        in_turn(*tensors)
        tf.test.experimental.sync_devices()

    return step


def measure(options):
    """Times every convolution; see the module's text."""
    dtype = tf.as_dtype(_DTYPES.get(options.dtype_policy, options.dtype_policy))
    limits = machine.limits(dtype.name)
    results = []
    for convolution, names in selected(options).items():
        command.progress(str(convolution))
        operations = convolution.flops
        roof = min(
            limits["flops"], limits["bandwidth"] * operations / convolution.bytes(dtype.size)
        )
        passes = {}
        for name, variants in steps(convolution, dtype).items():
            seconds = harness.interleave(
                variants, options.rounds, options.steps, WARM_UP_STEPS, options.budget
            )
            each = {
                variant: [value / repeats(convolution) for value in values]
                for variant, values in seconds.items()
            }
            passes[name] = summarise(each, operations, roof)
        results.append(
            {
                "convolution": str(convolution),
                **convolution._asdict(),
                "systems": names,
                "listed": convolution in listed_convolutions(),
                "flops": operations,
                "roof": roof,
                "passes": passes,
            }
        )
    return {"limits": limits, "dtype": dtype.name, "layers": results}


def summarise(seconds, operations, roof):
    """Returns a pass's times, their ratio, operations per second and shares of the roofline."""
    summaries = {name: harness.Summary.of(values) for name, values in seconds.items()}
    speeds = {name: operations / summary.median for name, summary in summaries.items()}
    return {
        "seconds": seconds,
        "summaries": {name: dataclasses.asdict(value) for name, value in summaries.items()},
        "ratio": harness.record(harness.Ratio.of(seconds["stock"], seconds["fastconv"])),
        "flops_per_second": speeds,
        "share_of_roof": {name: speed / roof for name, speed in speeds.items()},
    }


def markdown(results):
    """Returns a table per pass, and one of geometric means."""
    limits, rows = results["limits"], results["layers"]
    text = (
        f"Measured limits: {limits['flops'] / 1e9:.0f} GFLOP/s (matrix product), "
        f"{limits['bandwidth'] / 1e9:.1f} GB/s (copy). Tensors of {results['dtype']}.\n\n"
    )
    means = []
    for name in PASSES:
        text += f"## {name}\n\n" + report.table(
            _HEADER,
            [_row(row, row["passes"][name]) for row in rows],
        )
        text += "\n"
        means.append([name, *(_mean(chosen, name) for chosen in (rows, _listed(rows, name)))])
    return (
        text
        + "## Geometric means of stock / fastconv\n\n"
        + report.table(["pass", "all", "layers.txt, and input gradients of 3 channels"], means)
    )


def _listed(rows, name):
    image = name == "input gradient"
    return [row for row in rows if row["listed"] or (image and row["channels"] == 3)]


def _mean(rows, name):
    ratios = [row["passes"][name]["ratio"]["median"] for row in rows]
    return f"{harness.geometric_mean(ratios):.2f} ({len(ratios)} layers)" if ratios else "none"


def _row(row, measured):
    names = ("stock", "fastconv")
    return [
        row["convolution"],
        ", ".join(row["systems"]) or "layers.txt",
        str(len(measured["seconds"]["stock"])),
        *(report.milliseconds(measured["summaries"][name]) for name in names),
        report.ratio(measured["ratio"]),
        *(f"{measured['flops_per_second'][name] / 1e9:.0f}" for name in names),
        *(f"{measured['share_of_roof'][name]:.0%}" for name in names),
    ]


PART = command.Part(
    name="layers",
    description=__doc__,
    measure=measure,
    markdown=markdown,
    plot=lambda results, path: plots.rooflines(results["layers"], PASSES, path),
    defaults={"budget": 1},
)

if __name__ == "__main__":
    PART.run()
