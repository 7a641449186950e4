"""Measures the peak memory of a training step above the weights, in stock Keras and in fastconv.

Every build runs in processes of its own, without XLA. A process builds the model and the optimizer,
trains on one image, so that everything is traced and loaded, gives freed memory back to the system
and notes its resident size: weights, optimizer and libraries. Then it resets the kernel's record of
the largest resident size (`/proc/self/clear_refs`) and trains on whole batches. What the record has
grown by is the step's memory: the batch as a tensor, all results, gradients, scratch buffers and
what the allocator keeps of them. Resident sizes count pages that were touched, whoever allocated
them.

On a GPU, all runs in one process, with or without XLA as Keras chooses by itself, and TensorFlow's
allocator keeps the record (`tf.config.experimental.get_memory_info`). The step before those that
are counted is on a whole batch, so that nothing is tried out any more, and what is allocated after
it is taken for the weights and the optimizer.
"""

from __future__ import annotations

import ctypes
import functools
import gc
import pathlib
import statistics

from benchmarks import command, harness, plots, report, subprocesses

BUILDS = ("stock", "fastconv")
_RESET_PEAK = "5"
_GPU = "GPU:0"


def peak(system, backend, batch, dtype_policy, steps, device):
    """Returns the sizes in bytes; runs in a process of its own on a CPU.

    Args:
        system: name of a documented system.
        backend: `"stock"` or `"fastconv"`.
        batch: images per step.
        dtype_policy: Keras's.
        steps: training steps on the whole batch.
        device: `"cpu"` or `"gpu"`.

    Returns:
        Dict of `weights`, those of the model; `before`, the allocated size before the steps; and
        `step`, what the peak exceeds that by.
    """
    import keras
    import tensorflow as tf

    from benchmarks import systems
    from fastconv import models

    keras.config.set_dtype_policy(dtype_policy)
    described = models.SYSTEMS[system]
    x, labels = systems.batch(described, batch)
    y = systems.targets(described, labels)
    # One data set with batches of unknown size: the step is traced once for both.
    sizes = [1 if device == "cpu" else batch] + steps * [batch]
    signature = tuple(
        tf.TensorSpec([None, *array.shape[1:]], tf.as_dtype(array.dtype)) for array in (x, y)
    )
    batches = iter(
        tf.data.Dataset.from_generator(
            lambda: ((x[:size], y[:size]) for size in sizes), output_signature=signature
        )
    )
    model = models.build(system, backend=backend)
    model.compile(
        described.new_optimizer(backend),
        described.loss,
        metrics=["accuracy"],
        jit_compile=False if device == "cpu" else "auto",
    )
    model.optimizer.build(model.trainable_variables)
    model.make_train_function()
    model.train_function(batches)
    tf.test.experimental.sync_devices()
    gc.collect()
    reset_peak, size, largest = _RECORDS[device]
    before = size()
    reset_peak()
    for _ in range(steps):
        model.train_function(batches)["loss"].numpy()
    tf.test.experimental.sync_devices()
    step = largest() - before
    weights = sum(weight.numpy().nbytes for weight in model.weights)
    return {"weights": weights, "before": before, "step": step}


def _resident():
    """Returns the resident size of this process, without freed memory."""
    ctypes.CDLL(None).malloc_trim(0)
    return _status("VmRSS")


def _reset_largest_resident():
    pathlib.Path("/proc/self/clear_refs").write_text(_RESET_PEAK, encoding="ascii")


def _status(field):
    """Returns a size of this process from the kernel's table, in bytes."""
    for line in pathlib.Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return 1024 * int(value.split()[0])
    raise RuntimeError(f"/proc/self/status lacks a field. Received: {field}")


def _reset_largest_allocated():
    import tensorflow as tf

    tf.config.experimental.reset_memory_stats(_GPU)


def _allocated(field):
    """Returns a size of the GPU's memory that TensorFlow has allocated, in bytes."""
    import tensorflow as tf

    return tf.config.experimental.get_memory_info(_GPU)[field]


# By device: resets the record of the largest size, returns the present size, and the largest one.
_RECORDS = {
    "cpu": (_reset_largest_resident, _resident, lambda: _status("VmHWM")),
    "gpu": (
        _reset_largest_allocated,
        lambda: _allocated("current"),
        lambda: _allocated("peak"),
    ),
}


def measure(options):
    """Measures every setting `rounds` times in each build, in turn."""
    from benchmarks import systems

    in_process = functools.partial(subprocesses.call, "benchmarks.memory:peak")
    run = in_process if options.device == "cpu" else peak
    results = []
    for name, batch, policy in systems.settings(options):
        setting = {"system": name, "batch": batch, "dtype_policy": policy}
        runs = {build: [] for build in BUILDS}
        for index in range(options.rounds):
            for build in BUILDS:
                progress = f"{report.label(setting)}, {build}, {index + 1} of {options.rounds}"
                command.progress(progress)
                runs[build].append(
                    run(**setting, backend=build, steps=options.steps, device=options.device)
                )
        results.append({**setting, "runs": runs, **summarise(runs)})
    return results


def summarise(runs):
    """Returns the medians over the rounds, and fastconv's share of stock's."""
    step = {build: statistics.median(run["step"] for run in runs[build]) for build in BUILDS}
    return {
        "weights": runs["stock"][0]["weights"],
        "step": step,
        "range": {
            build: [pick(run["step"] for run in runs[build]) for pick in (min, max)]
            for build in BUILDS
        },
        "share": step["fastconv"] / step["stock"],
    }


def markdown(results):
    """Returns a table of sizes and their geometric mean."""

    def size(row, build):
        low, high = (_mebibytes(value) for value in row["range"][build])
        return f"{_mebibytes(row['step'][build])} ({low} to {high})"

    mean = harness.geometric_mean([row["share"] for row in results])
    rows = [
        [
            report.label(row),
            _mebibytes(row["weights"]),
            *(size(row, build) for build in BUILDS),
            f"{row['share']:.0%}",
        ]
        for row in results
    ]
    return "Medians over the rounds, with the least and the greatest:\n\n" + report.table(
        ["system, batch, policy", "weights, MiB"]
        + [f"step of {build}, MiB" for build in BUILDS]
        + ["fastconv / stock"],
        [*rows, ["geometric mean", "", "", "", f"{mean:.0%}"]],
    )


def _mebibytes(size):
    return f"{size / 2**20:.0f}" if size >= 10 * 2**20 else f"{size / 2**20:.1f}"


PART = command.Part(
    name="memory",
    description=__doc__,
    measure=measure,
    markdown=markdown,
    plot=plots.memory,
    defaults={"cpu": {"rounds": 2, "steps": 2}, "gpu": {"rounds": 1, "steps": 2}},
)

if __name__ == "__main__":
    PART.run()
