"""Times the training step of the documented systems, in stock Keras and in fastconv.

The variants run in turn in one process: each build as `model.compile()` leaves it ("default"), with
`jit_compile=False` ("plain") and with `jit_compile=True` ("XLA"). Keras's default is one of the two
others: XLA where TensorFlow sees an accelerator, plain on a machine with nothing but a CPU; the
report says which. A step is what `model.fit` runs per batch: fetching it, forward, loss, backward,
optimizer and metrics, through the model's own train function, until all of it is done. The batch is
random and stays in memory.

Example: python -m benchmarks.train_step --systems cifar10 --batch 256
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
import sys

import keras
import numpy as np
import tensorflow as tf

from benchmarks import harness
from fastconv import models

JIT_COMPILE = {"default": "auto", "plain": False, "XLA": True}
RATIOS = (
    ("stock default", "fastconv default"),
    ("stock plain", "fastconv default"),
    ("stock XLA", "fastconv default"),
    ("stock plain", "fastconv plain"),
    ("stock XLA", "fastconv XLA"),
)
# Traces and compiles, and lets the allocators settle.
WARM_UP_STEPS = 3


def main(arguments=None):
    options = _parser().parse_args(arguments)
    keras.config.set_dtype_policy(options.dtype_policy)
    machine = harness.machine()
    print(
        f"{machine['cpu']}, {machine['cores']} cores, instruction set {machine['isa']}; "
        f"TensorFlow {machine['tensorflow']}, Keras {machine['keras']}, fastconv "
        f"{machine['fastconv']} at {machine['commit']}"
        f"{'' if machine['native'] else '; native kernels switched off'}"
    )
    results = [_measure(name, options) for name in options.systems]
    if options.json:
        record = {"benchmark": "train_step", "machine": machine, "results": results}
        options.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.train_step",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--systems",
        nargs="+",
        choices=models.SYSTEMS,
        default=["cifar10"],
        help="documented systems to train (default: cifar10)",
    )
    parser.add_argument("--batch", type=_count, help="images per step (default: the system's)")
    parser.add_argument(
        "--rounds", type=_count, default=11, help="rounds to time (default: %(default)s)"
    )
    parser.add_argument(
        "--steps",
        type=_count,
        default=3,
        help="steps of a variant in a round (default: %(default)s)",
    )
    parser.add_argument(
        "--dtype-policy",
        choices=("float32", "mixed_bfloat16", "mixed_float16", "float64"),
        default="float32",
        help="Keras dtype policy (default: %(default)s)",
    )
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write all numbers here")
    return parser


def _count(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {text}")
    return value


def _measure(name, options):
    system = models.SYSTEMS[name]
    batch = options.batch or system.batch_size
    print(f"\n{name}, batches of {batch}, {options.dtype_policy}", flush=True)
    seconds = harness.interleave(
        _training_steps(system, batch),
        rounds=options.rounds,
        steps=options.steps,
        warm_up=WARM_UP_STEPS,
        progress=lambda line: print(f"  {line}", file=sys.stderr, flush=True),
    )
    summaries = {variant: harness.Summary.of(values) for variant, values in seconds.items()}
    ratios = {pair: harness.Ratio.of(seconds[pair[0]], seconds[pair[1]]) for pair in RATIOS}
    _print_table(summaries, ratios)
    return {
        "system": name,
        "batch": batch,
        "dtype_policy": options.dtype_policy,
        "rounds": options.rounds,
        "steps": options.steps,
        "seconds_per_step": seconds,
        "summaries": {key: dataclasses.asdict(value) for key, value in summaries.items()},
        "ratios": {
            f"{slow} / {fast}": {**dataclasses.asdict(ratio), "within_noise": ratio.within_noise}
            for (slow, fast), ratio in ratios.items()
        },
    }


def _training_steps(system, batch):
    """Returns for every variant a function that runs one training step to its end."""
    rng = np.random.default_rng(0)
    x = tf.constant(rng.random((batch, *system.input_shape), dtype="float32"))
    labels = rng.integers(0, system.classes, batch)
    if system.loss == "binary_crossentropy":
        y = tf.constant(labels[:, np.newaxis].astype("float32"))
    else:
        y = tf.one_hot(labels, system.classes)
    weights = models.build(system.name, backend="stock").get_weights()
    return {
        f"{backend} {mode}": _training_step(system, backend, jit_compile, weights, x, y)
        for backend in ("stock", "fastconv")
        for mode, jit_compile in JIT_COMPILE.items()
    }


def _training_step(system, backend, jit_compile, weights, x, y):
    model = models.build(system.name, backend=backend)
    model.set_weights(weights)
    model.compile(
        system.new_optimizer(backend), system.loss, metrics=["accuracy"], jit_compile=jit_compile
    )
    if jit_compile == "auto":
        print(f"  {backend} default: Keras chose jit_compile={model.jit_compile}", flush=True)
    model.make_train_function()
    batches = iter(tf.data.Dataset.from_tensors((x, y)).repeat())

    def step():
        model.train_function(batches)["loss"].numpy()  # as progress bars do
        tf.test.experimental.sync_devices()  # the optimizer may run on after the loss

    return step


def _print_table(summaries, ratios):
    print(f"  {'':18}  {'ms per step':>11}  {'quartiles':>17}")
    for variant, summary in summaries.items():
        quartiles = f"{1e3 * summary.lower_quartile:.1f} to {1e3 * summary.upper_quartile:.1f}"
        print(f"  {variant:18}  {1e3 * summary.median:11.1f}  {quartiles:>17}")
    for (slow, fast), ratio in ratios.items():
        interval = f"{ratio.low:.2f} to {ratio.high:.2f} at {ratio.coverage:.0%} confidence"
        noise = f"; {ratio.verdict}" if ratio.verdict else ""
        print(f"  {slow} / {fast}: {ratio.median:.2f} ({interval}{noise})")


if __name__ == "__main__":
    main()
