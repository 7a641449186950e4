"""Gathers what a report shows, and writes the page."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence

from fastconv import plots
from fastconv.data import list_split
from fastconv.errors import InputError
from fastconv.evaluation import Classifier, activation_maps, evaluate, figures, first_filters
from fastconv.files import written_aside
from fastconv.reports import charts
from fastconv.reports.model_summary import summarize
from fastconv.reports.page import RunContent, render
from fastconv.reports.pictures import embed_png
from fastconv.reports.runs import read_runs

_PAGE_FILE = "report.html"
_MAX_MAPS = 16  # in a picture: more make the page heavy and the maps small


def report(
    runs: str | os.PathLike | Sequence[str | os.PathLike],
    output: str | os.PathLike | None = None,
    data: str | os.PathLike | None = None,
) -> list[pathlib.Path]:
    """Writes one HTML page about a training run, or comparing several.

    The page holds its pictures and needs no other file. What a run lacks is said there: an
    evaluation, say, or the folder of images, one of which its activation maps are drawn for.

    Args:
        runs: Run folder of `fastconv train` or `fastconv transfer`, or several.
        output: File to write to. None means `report.html` in the folder of the only run, or in the
            current folder where there are several. Defaults to `None`.
        data: Folder of images with a test split to evaluate the runs on first, as
            `fastconv.evaluation.evaluate` does. None means that the page shows earlier evaluations.
            Defaults to `None`.

    Returns:
        List of the one file written.

    Raises:
        InputError: A folder is not that of a finished run, the data does not fit its model, or the
            page cannot be written.

    Example:

    >>> from fastconv.reports import report
    >>> report(["runs/stock", "runs/fastconv"], "comparison.html")  # doctest: +SKIP
    [PosixPath('comparison.html')]
    """
    if isinstance(runs, (str, os.PathLike)):
        runs = [runs]
    read = read_runs(runs)
    if output is None:
        output = read[0].folder / _PAGE_FILE if len(read) == 1 else _PAGE_FILE
    output = pathlib.Path(output)
    if output.is_dir():
        raise InputError(f"The page's file is a folder: give a file's name. Received: {output}")
    if data is not None:
        for run in read:
            evaluate(run.folder, data, classes=run.config["class_names"])
    overview = [*_curves(read), charts.epoch_times(read)] if len(read) > 1 else None
    page = render([_gather(run, data) for run in read], overview)
    with written_aside(output) as aside:
        aside.write_text(page, encoding="utf-8")
    return [output]


def _curves(runs):
    return [charts.curves(runs, metric) for metric in ("loss", "accuracy")]


def _gather(run, data):
    evaluation = run.read_evaluation()
    try:
        classifier = Classifier(run.folder)
    except InputError as error:
        model = activations = f"Not shown: {error}"
    else:
        model = summarize(classifier.model)
        activations = _draw_activations(classifier, run.config["data"] if data is None else data)
    return RunContent(
        run=run,
        evaluation=evaluation,
        model=model,
        curves=_curves([run]),
        epoch_times=charts.epoch_times([run]),
        confusion=_read_picture(
            run.folder / "confusion.png",
            "Confusion matrix: true classes in rows, predicted ones in columns. The table of "
            "classes above holds its sums.",
        ),
        samples=_read_picture(
            run.folder / "samples.png",
            "Grid of test images, each titled with the predicted class and, in brackets, the true "
            "one: green where they agree, red and framed where not.",
        ),
        activations=activations,
    )


def _read_picture(path, alt):
    try:
        return embed_png(path.read_bytes(), alt)
    except FileNotFoundError:
        return (
            f"The run folder has no {path.name}. `fastconv evaluate RUN --data DIR` draws it, or "
            "`fastconv report RUN --data DIR`, which evaluates first."
        )


def _draw_activations(classifier, data):
    try:
        images = list_split(data, classes=classifier.class_names)
        (image,) = classifier.load_images(images.files[:1])
    except InputError as error:
        return (
            "Not drawn, because there is no image to draw them for: the folder of images cannot be "
            f"used. `--data DIR` names another one. ({error})"
        )
    text = f"An image of class {images.class_names[images.labels[0]]} and its channels"
    pictures = [embed_png(plots.png(figures.channels(image)), text, caption=text)]
    layer, kernel = first_filters(classifier.model)
    text = f"The filters of the first convolution, {layer}, as small coloured squares."
    pictures.append(embed_png(plots.png(figures.filters(layer, kernel)), text))
    for stage in activation_maps(classifier.model, image):
        height, width, channels = stage.maps.shape
        text = (
            f"Activation maps of {height}x{width} that the layer {stage.layer} makes of the image, "
            f"after its {stage.stage}: {min(channels, _MAX_MAPS)} of {channels}."
        )
        pictures.append(embed_png(plots.png(figures.maps(stage, _MAX_MAPS)), text))
    return pictures
