"""Writes a comparison of builds: a table to read, one to compute with, and learning curves."""

from __future__ import annotations

import dataclasses
import json

from fastconv import plots, tables
from fastconv.files import write_files
from fastconv.train.curves import NARROW, WIDE, draw_curves

# What holds for any two trainings of equal settings.
CAVEATS = (
    "The builds train one after the other: what else the machine does in the meantime changes the "
    "speed-up.",
    "Accuracies of single runs scatter: the builds round differently, and training amplifies "
    "roundings.",
)


def write_report(comparison, directory):
    """Writes `results.md`, `results.json` and `curves.png`.

    Args:
        comparison: `Comparison` to report.
        directory: path of the folder, created where there is none.

    Returns:
        List of `pathlib.Path`, the files.

    Raises:
        InputError: a file cannot be written.
    """
    contents = {
        "results.md": markdown(comparison).encode(),
        "results.json": (json.dumps(_record(comparison), indent=2) + "\n").encode(),
        "curves.png": plots.png(_draw_curves(comparison)),
    }
    return write_files(directory, contents)


def table(comparison):
    """Returns the table of a comparison, in Markdown that also reads well as plain text."""
    builds = (comparison.stock, comparison.fastconv)
    return tables.table(
        ["", "stock Keras", "fastconv"],
        [
            ["seconds per epoch", *(f"{build.seconds_per_epoch:.3g}" for build in builds)],
            ["images per second", *(f"{build.images_per_second:.0f}" for build in builds)],
            [
                "final validation accuracy",
                *(f"{build.validation_accuracy:.1%}" for build in builds),
            ],
            ["speed-up", "1.00", f"{comparison.speed_up:.2f}"],
        ],
    )


def notes(comparison):
    """Returns what a reader must know to read the table, one string per sentence or two."""
    environment = comparison.environment
    return [
        f"Data: {comparison.dataset}, {comparison.train_images} training and "
        f"{comparison.test_images} test images of {comparison.classes} classes."
        + (
            " They are synthetic, drawn by fastconv: the accuracy says that training works, "
            "nothing about photographs."
            if comparison.synthetic
            else ""
        ),
        f"Model: {comparison.system}, batches of {comparison.batch_size}, {comparison.epochs} "
        f"{'epoch' if comparison.epochs == 1 else 'epochs'}, seed {comparison.seed}; both builds "
        "start from equal weights.",
        "Compiled as Keras does by default: "
        f"jit_compile={comparison.stock.jit_compile} in the stock build, "
        f"{comparison.fastconv.jit_compile} in the fastconv build.",
        (
            "Seconds per epoch: median over the epochs after the first, which compiles; "
            "validation not counted."
            if comparison.epochs > 1
            else "Seconds per epoch: of the only epoch, compilation included; validation not "
            "counted. Train for more epochs to compare speeds."
        ),
        *CAVEATS,
        f"Run with fastconv {environment['fastconv']} (instruction set {environment['isa']}"
        + ("" if environment["native"] else ", native kernels switched off")
        + f"), TensorFlow {environment['tensorflow']}, Keras {environment['keras']}.",
    ]


def markdown(comparison):
    """Returns the whole `results.md`."""
    listed = "\n".join(f"- {note}" for note in notes(comparison))
    return (
        f"# {comparison.system}: stock Keras and fastconv\n\n{table(comparison)}\n\n{listed}\n\n"
        "![Loss and accuracy of both builds](curves.png)\n"
    )


def _record(comparison):
    record = dataclasses.asdict(comparison)
    for name in ("stock", "fastconv"):
        record[name]["validation_accuracy"] = getattr(comparison, name).validation_accuracy
    record["speed_up"] = comparison.speed_up
    record["notes"] = notes(comparison)
    return record


def _draw_curves(comparison):
    curves = []
    for name, style in (("stock", WIDE), ("fastconv", NARROW)):
        history = getattr(comparison, name).history
        curves.append((f"{name}, training", history, {**style, "linestyle": ":"}))
        validation = {metric: history[f"val_{metric}"] for metric in ("loss", "accuracy")}
        curves.append((f"{name}, validation", validation, style))
    title = f"{comparison.system} on {comparison.dataset}"
    return draw_curves(f"{title} (synthetic images)" if comparison.synthetic else title, curves)
