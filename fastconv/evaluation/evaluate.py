"""Evaluates a trained model on images whose classes are known."""

from __future__ import annotations

import os
import pathlib
import sys
from collections.abc import Sequence

import numpy as np

from fastconv import plots
from fastconv.data import list_split
from fastconv.errors import InputError
from fastconv.evaluation import figures, summary
from fastconv.evaluation.classifier import BATCH_SIZE, Classifier
from fastconv.evaluation.metrics import Evaluation, measure
from fastconv.files import write_files


def evaluate(
    model: str | os.PathLike,
    data: str | os.PathLike,
    split: str = "test",
    classes: Sequence[str] | None = None,
    output: str | os.PathLike | None = None,
    batch_size: int = BATCH_SIZE,
    seed: int = 0,
) -> Evaluation:
    """Evaluates a trained model and writes what came out.

    Writes `evaluation.json` to compute with, `evaluation.md` to read, `confusion.png`, and
    `samples.png` with 20 random images titled "predicted (true)".

    Args:
        model: Model file, or the run folder of `fastconv train`.
        data: Folder of images as `fastconv.data.list_split` takes it.
        split: Which split to evaluate on, `"test"` or `"train"`. Defaults to `"test"`.
        classes: Names of those of the model's classes to evaluate on. None means all, and that the
            data has no others. Defaults to `None`.
        output: Folder to write to, created where there is none; None means the model's own.
            Defaults to `None`.
        batch_size: Images per step. Defaults to `32`.
        seed: Start of the random choice of the 20 images. Defaults to `0`.

    Returns:
        An `Evaluation`.

    Raises:
        InputError: The model or the data cannot be used, their classes differ, an image cannot be
            read, or a file cannot be written.

    Example:

    >>> from fastconv.evaluation import evaluate
    >>> evaluation = evaluate("runs/cifar10", "photos")
    >>> evaluation.accuracy, evaluation.per_class[0].f_score
    (0..., 0...)
    """
    classifier = Classifier(model)
    images = list_split(data, split, classes)
    labels = _model_labels(classifier, images, data, classes)
    predicted = classifier.probabilities(
        images.files, batch_size, progress=sys.stdout.isatty()
    ).argmax(axis=1)
    measured = measure(labels, predicted, classifier.class_names)

    output = classifier.folder if output is None else pathlib.Path(output)
    names = ("evaluation.json", "evaluation.md", "confusion.png", "samples.png")
    evaluation = Evaluation(
        **vars(measured),
        model=str(model),
        system=classifier.description.system,
        backend=classifier.description.backend,
        data=str(data),
        split=split,
        images=len(labels),
        files=tuple(output / name for name in names),
    )
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(labels))[: figures.SAMPLE_ROWS * figures.SAMPLE_COLUMNS]
    samples = figures.samples(
        classifier.load_images([images.files[index] for index in chosen]),
        *(
            [classifier.class_names[each[index]] for index in chosen]
            for each in (predicted, labels)
        ),
    )
    contents = (
        summary.json_text(evaluation).encode(),
        summary.markdown(evaluation).encode(),
        plots.png(figures.confusion(evaluation)),
        plots.png(samples),
    )
    write_files(output, dict(zip(names, contents, strict=True)))
    return evaluation


def _model_labels(classifier, images, data, classes):
    """Returns the images' labels as positions in the model's classes."""
    names = classifier.class_names
    unknown = [name for name in images.class_names if name not in names]
    if unknown:
        raise InputError(
            f"The model does not know the class{'es' if len(unknown) > 1 else ''} "
            f"{', '.join(unknown)}: the data has {len(images.class_names)} classes, the model "
            f"{len(names)}. Choose among its classes with --classes: {', '.join(names)}. "
            f"Received: {data}"
        )
    missing = [name for name in names if name not in images.class_names]
    if missing and classes is None:
        raise InputError(
            f"The data has no images of the model's class{'es' if len(missing) > 1 else ''} "
            f"{', '.join(missing)}. Add them, or evaluate on the others alone: "
            f"--classes {','.join(images.class_names)}. Received: {data}"
        )
    return np.array([names.index(name) for name in images.class_names])[images.labels]
