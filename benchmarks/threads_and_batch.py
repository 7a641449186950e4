"""Times training steps by batch size and number of threads, in stock Keras and in fastconv.

For every number of threads a process of its own may use as many processors, by which TensorFlow,
oneDNN and fastconv size their thread pools. In it the builds and batch sizes take turns, with
`jit_compile=False`. "Grows" marks a batch whose time per
image is longer than at the next smaller batch beyond the noise. Numbers of threads are in different
processes: their speed-up is a ratio of medians, without an interval.
"""

from __future__ import annotations

import itertools
import os

from benchmarks import command, harness, plots, report, subprocesses
from fastconv.errors import InputError

BUILDS = ("stock", "fastconv")
BATCHES = tuple(2**exponent for exponent in range(10))
_QUICK_BATCHES = (1, 8, 64)
WARM_UP_STEPS = 2


def seconds_per_image(system, batches, dtype_policy, rounds, steps, budget):
    """Times one system on this process's processors.

    Returns:
        By build and batch (a string), the seconds per image in each round.
    """
    import keras

    from benchmarks import systems
    from fastconv import models

    keras.config.set_dtype_policy(dtype_policy)
    described = models.SYSTEMS[system]
    x, labels = systems.batch(described, max(batches))
    y = systems.targets(described, labels)
    weights = models.build(system, backend="stock").get_weights()
    variants = {}
    for batch in batches:
        for build in BUILDS:
            model = systems.build(described, build, weights)
            variants[build, batch] = systems.training_step(
                described, build, model, False, x[:batch], y[:batch]
            )
    seconds = harness.interleave(variants, rounds, steps, WARM_UP_STEPS, budget, command.progress)
    return {
        build: {str(batch): [value / batch for value in seconds[build, batch]] for batch in batches}
        for build in BUILDS
    }


def measure(options):
    """Measures every system with every number of threads."""
    processors = sorted(os.sched_getaffinity(0))
    threads = options.threads or sorted({1, *range(2, len(processors), 2), len(processors)})
    if max(threads) > len(processors):
        raise InputError(
            f"--threads can be at most {len(processors)} here, the number of processors. "
            f"Received: --threads {max(threads)}"
        )
    batches = sorted(set(options.batch or (_QUICK_BATCHES if options.quick else BATCHES)))
    results = []
    for name, policy in itertools.product(options.systems, options.dtype_policy):
        seconds = {}
        for count in threads:
            command.progress(f"{name}, {policy}, {count} threads")
            seconds[str(count)] = subprocesses.call(
                "benchmarks.threads_and_batch:seconds_per_image",
                processors=processors[:count],
                system=name,
                batches=batches,
                dtype_policy=policy,
                rounds=options.rounds,
                steps=options.steps,
                budget=options.budget,
            )
        results.append(
            {
                "system": name,
                "dtype_policy": policy,
                "seconds_per_image": seconds,
                **summarise(seconds),
            }
        )
    return results


def summarise(seconds):
    """Returns, by threads, build and batch, statistics and comparisons.

    Returns:
        Dict of `summaries`; `stock_by_fastconv`, ratios by threads and batch; `growth`, ratios of
        the time per image to that of the next smaller batch; and `speed_up`, the least number of
        threads' median over each number's.
    """
    summaries, growth, ratios, speed_up = {}, {}, {}, {}
    for threads, builds in seconds.items():
        summaries[threads], growth[threads], speed_up[threads] = {}, {}, {}
        for build, by_batch in builds.items():
            batches = list(by_batch)
            summaries[threads][build] = {
                batch: harness.record(harness.Summary.of(by_batch[batch])) for batch in batches
            }
            growth[threads][build] = {
                batch: harness.record(harness.Ratio.of(by_batch[batch], by_batch[smaller]))
                for smaller, batch in itertools.pairwise(batches)
            }
            first = summaries[next(iter(seconds))][build]
            speed_up[threads][build] = {
                batch: first[batch]["median"] / summaries[threads][build][batch]["median"]
                for batch in batches
            }
        ratios[threads] = {
            batch: harness.record(harness.Ratio.of(builds["stock"][batch], values))
            for batch, values in builds["fastconv"].items()
        }
    return {
        "summaries": summaries,
        "growth": growth,
        "stock_by_fastconv": ratios,
        "speed_up": speed_up,
    }


def grows(ratio):
    """Tells whether the time per image is certainly longer than at the smaller batch."""
    return ratio["median"] > 1 and not ratio["within_noise"]


def markdown(results):
    """Returns a table per system."""
    return "\n".join(_table(row) for row in results)


def _table(row):
    threads = list(row["summaries"])
    fewest, most = threads[0], threads[-1]
    header = ["batch"]
    for count in threads:
        header += [f"{build}, ms, threads: {count}" for build in BUILDS]
        header += ["stock / fastconv"]
    if most != fewest:
        header += [f"speed-up of {most} threads over {fewest}: {build}" for build in BUILDS]
    header += ["grows"]
    lines = []
    for batch in row["summaries"][fewest]["stock"]:
        line = [batch]
        growing = []
        for count in threads:
            line += [report.milliseconds(row["summaries"][count][b][batch]) for b in BUILDS]
            line += [report.ratio(row["stock_by_fastconv"][count][batch])]
            growing += [
                f"{build}, threads: {count}"
                for build in BUILDS
                if grows(row["growth"][count][build].get(batch, {"median": 0}))
            ]
        if most != fewest:
            line += [f"{row['speed_up'][most][build][batch]:.2f}" for build in BUILDS]
        lines.append([*line, "; ".join(growing)])
    means = ["geometric mean"]
    for count in threads:
        ratios = [ratio["median"] for ratio in row["stock_by_fastconv"][count].values()]
        means += ["", "", f"{harness.geometric_mean(ratios):.2f}"]
    if most != fewest:
        for build in BUILDS:
            gains = list(row["speed_up"][most][build].values())
            means.append(f"{harness.geometric_mean(gains):.2f}")
    rounds = [
        f"{len(next(iter(builds['stock'].values())))} with {count}"
        for count, builds in row["seconds_per_image"].items()
    ]
    return (
        f"## {row['system']}, {row['dtype_policy']}\n\n"
        f"Milliseconds per image; rounds by threads: {', '.join(rounds)}.\n\n"
        + report.table(header, [*lines, [*means, ""]])
    )


def _add_options(parser):
    parser.add_argument(
        "--threads", nargs="+", type=command.count, help="numbers of threads (default: 1, 2, 4...)"
    )


PART = command.Part(
    name="threads_and_batch",
    description=__doc__,
    measure=measure,
    markdown=markdown,
    plot=plots.batches,
    defaults={"cpu": {"systems": ["cifar10"], "budget": 30}},
    add_options=_add_options,
)

if __name__ == "__main__":
    PART.run()
