"""Times single convolutions: fastconv's ops against TensorFlow's, forward and both gradients.

The convolutions are those of the documented systems at their batch sizes (on a GPU 256), each
shape once, and those of layers.txt. "forward" is the bare convolution, "block" the convolution with
bias and relu, "pooled block" that with bias, leaky relu and 2x2 max pooling; "input gradient" and
"filter gradient" are the gradients of the bare convolution, each alone. All run in `tf.function`
without XLA, in turn. A step computes a small convolution several times, each on tensors of its own
and after the one before, as a model's layers do: calling the function and waking its threads would
be a large part of the time otherwise. GFLOP/s count the multiplications and additions of the
definition, whatever the algorithm does: Winograd's needs fewer, so that its share of the roofline
can exceed 100 %. The roofline is the lesser of the speed of a large matrix product in the tensors'
type and of the copying speed times the operations per byte of the tensors that a pass must read and
write; both are measured first unless they are given. In other words, the share of the roofline is
the least possible time, for the operations or for the bytes, over the measured one.
"""

from __future__ import annotations

import dataclasses
import functools
import math

import tensorflow as tf

from benchmarks import command, convolutions, harness, machine, plots, report
from fastconv import ops
from fastconv.errors import InputError

PASSES = ("forward", "block", "pooled block", "input gradient", "filter gradient")
# A step has so many operations, some milliseconds' worth, or computes that many convolutions.
FLOPS_OF_STEP = {"cpu": 2e9, "gpu": 2e12}
MOST_REPEATS = 16
_SLOPE = 0.2
_HEADER = (
    "convolution, type",
    "systems",
    "rounds",
    "limit, ms",
    "stock, ms",
    "fastconv, ms",
    "stock / fastconv",
    "GFLOP/s: stock",
    "fastconv",
    "share of roofline: stock",
    "fastconv",
)
_DTYPES = {"mixed_bfloat16": "bfloat16", "mixed_float16": "float16"}


def repeats(convolution, device):
    """Returns how many times a step computes a convolution."""
    return min(MOST_REPEATS, math.ceil(FLOPS_OF_STEP[device] / convolution.flops))


def steps(convolution, dtype, repeats):
    """Returns, by pass, the steps of stock and of fastconv, each of so many repetitions."""

    def tensors(shape):
        return [
            tf.cast(tf.random.stateless_normal(shape, (0, index)), dtype)
            for index in range(repeats)
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
        "pooled block": {
            "stock": _step(
                lambda x, f, b: tf.nn.max_pool2d(
                    tf.nn.leaky_relu(tf.nn.bias_add(tf.nn.conv2d(x, f, **stock), b), alpha=_SLOPE),
                    *(2, 2, "VALID"),
                ),
                *(x, filter, bias),
            ),
            "fastconv": _step(
                lambda x, f, b: ops.fused_conv2d(
                    *(x, f, b),
                    activation="leaky_relu",
                    negative_slope=_SLOPE,
                    pool_size=2,
                    **fast,
                ),
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
    """Times every convolution in every type; see the module's text."""
    if options.peak and len(options.peak) != len(options.dtype_policy):
        raise InputError(
            "--peak takes as many numbers as there are dtype policies: "
            f"{', '.join(options.dtype_policy)}. Received: {options.peak}"
        )
    layers, limits = [], {}
    for index, policy in enumerate(options.dtype_policy):
        dtype = tf.as_dtype(_DTYPES.get(policy, policy))
        limits[dtype.name] = ceilings(options, index, dtype)
        for convolution, names in convolutions.selected(options).items():
            command.progress(f"{convolution}, {dtype.name}")
            layers.append(
                {
                    "convolution": str(convolution),
                    **convolution._asdict(),
                    "dtype": dtype.name,
                    "systems": names,
                    "listed": convolution in convolutions.listed(),
                    "flops": convolution.flops,
                    "passes": _passes(convolution, dtype, limits[dtype.name], options),
                }
            )
    return {"limits": limits, "layers": layers}


def _passes(convolution, dtype, limits, options):
    number = repeats(convolution, options.device)
    passes = {}
    for name, variants in steps(convolution, dtype, number).items():
        seconds = harness.interleave(
            variants,
            options.rounds,
            options.steps,
            harness.WARM_UP_STEPS[options.device],
            options.budget,
        )
        each = {
            variant: [value / number for value in values] for variant, values in seconds.items()
        }
        size = convolution.bytes(dtype.size, pooled=name == "pooled block")
        roof = min(limits["flops"], limits["bandwidth"] * convolution.flops / size)
        passes[name] = summarise(each, convolution.flops, roof)
    return passes


def ceilings(options, index, dtype):
    """Returns the limits of a type: what the options give, else what is measured.

    Args:
        options: the command line's.
        index: int, which of the dtype policies has the type.
        dtype: `tf.DType`.
    """
    given = {
        "flops": options.peak and 1e12 * options.peak[index],
        "bandwidth": options.bandwidth and 1e9 * options.bandwidth,
    }
    if all(given.values()):
        return given
    measured = machine.limits(dtype.name, options.device)
    return {name: given[name] or measured[name] for name in given}


def summarise(seconds, operations, roof):
    """Returns a pass's times, their ratio, operations per second and shares of the roofline."""
    summaries = {name: harness.Summary.of(values) for name, values in seconds.items()}
    speeds = {name: operations / summary.median for name, summary in summaries.items()}
    return {
        "seconds": seconds,
        "summaries": {name: dataclasses.asdict(value) for name, value in summaries.items()},
        "ratio": harness.record(harness.Ratio.of(seconds["stock"], seconds["fastconv"])),
        "roof": roof,
        "limit": operations / roof,
        "flops_per_second": speeds,
        "share_of_roof": {name: speed / roof for name, speed in speeds.items()},
    }


def markdown(results):
    """Returns a table per pass, and one of geometric means."""
    rows = results["layers"]
    text = "\n".join(
        f"Limits in {dtype}: {limits['flops'] / 1e9:.0f} GFLOP/s (matrix product), "
        f"{limits['bandwidth'] / 1e9:.1f} GB/s (copy)."
        for dtype, limits in results["limits"].items()
    )
    text += "\n\n"
    means = []
    for name in PASSES:
        text += f"## {name}\n\n" + report.table(
            _HEADER,
            [_row(row, row["passes"][name]) for row in rows],
        )
        text += "\n"
        for dtype in results["limits"]:
            of_type = [row for row in rows if row["dtype"] == dtype]
            chosen = (of_type, _listed(of_type, name))
            means.append([f"{name}, {dtype}", *(_mean(layers, name) for layers in chosen)])
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
        f"{row['convolution']}, {row['dtype']}",
        ", ".join(row["systems"]) or "layers.txt",
        str(len(measured["seconds"]["stock"])),
        f"{1e3 * measured['limit']:.3g}",
        *(report.milliseconds(measured["summaries"][name]) for name in names),
        report.ratio(measured["ratio"]),
        *(f"{measured['flops_per_second'][name] / 1e9:.0f}" for name in names),
        *(f"{measured['share_of_roof'][name]:.0%}" for name in names),
    ]


def _add_options(parser):
    parser.add_argument(
        "--peak",
        nargs="+",
        type=command.positive,
        metavar="TFLOPS",
        help="most operations per second, one number per dtype policy (default: measured)",
    )
    parser.add_argument(
        "--bandwidth",
        type=command.positive,
        metavar="GBS",
        help="most bytes per second to and from memory (default: measured)",
    )


PART = command.Part(
    name="layers",
    description=__doc__,
    measure=measure,
    markdown=markdown,
    plot=lambda results, path: plots.rooflines(results["layers"], PASSES, path),
    defaults={"cpu": {"budget": 1}, "gpu": {"budget": 0.5, "batch": [256]}},
    add_options=_add_options,
)

if __name__ == "__main__":
    PART.run()
