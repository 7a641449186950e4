"""Compares the variants of a step on whole systems; `train_step` and `inference` share it."""

from __future__ import annotations

import importlib.util

import keras

from benchmarks import command, harness, report, systems
from fastconv import models

_STOCK = ("stock plain", "stock XLA")
RATIOS = (
    ("stock better", "fastconv default"),
    ("stock plain", "fastconv default"),
    ("stock default", "fastconv default"),
    ("stock XLA", "fastconv default"),
    ("stock plain", "fastconv plain"),
    ("stock XLA", "fastconv XLA"),
    ("PyTorch", "fastconv default"),
    ("stock XLA", "stock XLA, grouped"),
    ("stock XLA, grouped", "stock, one program"),
    ("fastconv XLA", "fastconv, one program"),
    ("stock XLA, grouped", "fastconv, one program"),
    ("stock, one program", "fastconv, one program"),
)


def measure(options, make_step, torch_step, steps_per_execution=1):
    """Times all variants of every setting.

    Args:
        options: the command line's.
        make_step: `systems.training_step` or `systems.prediction_step`.
        torch_step: name of the function of `benchmarks.torch_systems` that makes PyTorch's step.
        steps_per_execution: int, above 1 also times training with groups of so many steps.

    Returns:
        Dict of `torch`, PyTorch's version or why it is absent, `steps_per_execution`, and the
        settings' results.
    """
    torch_systems, torch_note = _torch(options)
    results = []
    for name, size, policy in systems.settings(options):
        setting = {"system": name, "batch": size, "dtype_policy": policy}
        command.progress(report.label(setting))
        keras.config.set_dtype_policy(policy)
        system = models.SYSTEMS[name]
        steps, defaults = systems.variants(system, size, make_step)
        if torch_systems:
            steps["PyTorch"] = getattr(torch_systems, torch_step)(
                system, *systems.batch(system, size)
            )
        grouped = (
            systems.grouped_variants(system, size, steps_per_execution)
            if steps_per_execution > 1
            else {}
        )
        seconds = harness.interleave(
            {**steps, **grouped},
            options.rounds,
            options.steps,
            harness.WARM_UP_STEPS[options.device],
            options.budget,
            command.progress,
        )
        for variant in grouped:
            seconds[variant] = [value / steps_per_execution for value in seconds[variant]]
        results.append({**setting, **summarise(seconds, defaults)})
        medians = {name: f"{s['median']:.3g} s" for name, s in results[-1]["summaries"].items()}
        command.progress(f"medians: {medians}")  # what a run that is stopped leaves
    return {"torch": torch_note, "steps_per_execution": steps_per_execution, "systems": results}


def summarise(seconds, defaults):
    """Returns times and ratios with their statistics; `defaults` resolves "default"."""
    summaries = {
        name: harness.record(harness.Summary.of(values)) for name, values in seconds.items()
    }
    stock = [name for name in _STOCK if name in seconds]
    better = min(stock, key=lambda name: summaries[name]["median"])
    chosen = {**defaults, "stock better": better}
    ratios = {}
    for slow, fast in RATIOS:
        measured = [chosen.get(name, name) for name in (slow, fast)]
        if all(name in seconds for name in measured):
            ratio = harness.Ratio.of(*(seconds[name] for name in measured))
            ratios[f"{slow} / {fast}"] = harness.record(ratio)
    return {
        "defaults": defaults,
        "stock_better": better,
        "seconds_per_step": seconds,
        "summaries": summaries,
        "ratios": ratios,
    }


def _torch(options):
    if importlib.util.find_spec("torch") is None:
        return None, "PyTorch is not installed: its row is absent."
    if options.device != "cpu" or options.dtype_policy != ["float32"]:
        return None, "PyTorch is measured on a CPU in float32 only: its row is absent."
    from benchmarks import torch_systems

    return torch_systems, f"PyTorch {torch_systems.VERSION}, eager, channels_last."


def markdown(results):
    """Returns a table of times and one of ratios, with geometric means."""
    rows = results["systems"]
    names = list(rows[0]["summaries"])
    times = report.table(
        ["system, batch, policy", "rounds", *(f"{name}, ms" for name in names)],
        [
            [
                report.label(row),
                str(len(row["seconds_per_step"][names[0]])),
                *(report.milliseconds(row["summaries"][name]) for name in names),
            ]
            for row in rows
        ],
    )
    pairs = list(rows[0]["ratios"])
    ratios = report.table(
        ["system, batch, policy", *pairs],
        [
            *(
                [report.label(row), *(report.ratio(row["ratios"][pair]) for pair in pairs)]
                for row in rows
            ),
            [
                "geometric mean",
                *(f"{mean:.2f}" for mean in geometric_means(rows, pairs).values()),
            ],
        ],
    )
    chosen = sorted({f"{d} is {v}" for row in rows for d, v in row["defaults"].items()})
    groups = results["steps_per_execution"]
    grouped_note = (
        f"\n\n{groups} steps in a call, times of one: grouped is Keras's "
        f"`steps_per_execution={groups}`, which runs a program per step; one program is the same "
        "with `fastconv.fuse_steps`."
        if groups > 1
        else ""
    )
    return (
        "Medians and quartiles of a step:\n\n"
        f"{times}\n"
        "Ratios of times, above 1 where the second is faster, with an interval for the median:\n\n"
        f"{ratios}\n"
        f'Keras\'s default: {", ".join(chosen)}. "stock better" is the faster of '
        f"{' and '.join(_STOCK)}, by their medians. {results['torch']}{grouped_note}\n"
    )


def geometric_means(rows, pairs):
    """Returns the means over the rows of the median ratios."""
    return {
        pair: harness.geometric_mean([row["ratios"][pair]["median"] for row in rows])
        for pair in pairs
    }
