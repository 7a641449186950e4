"""Trains the documented systems on folders of images."""

from __future__ import annotations

import os
from collections.abc import Sequence

from fastconv.errors import InputError
from fastconv.models import SYSTEMS
from fastconv.train import settings
from fastconv.train.fitting import begin, go_on
from fastconv.train.run import Run


def train(
    system: str,
    data: str | os.PathLike,
    output: str | os.PathLike,
    *,
    variant: str | None = None,
    backend: str | None = None,
    classes: Sequence[str] | None = None,
    limit_classes: int | None = None,
    image_size: int | tuple[int, int] | None = None,
    grayscale: bool | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    epochs: int | None = None,
    validation_split: float | None = None,
    augment: bool | None = None,
    patience: int | None = None,
    precision: str | None = None,
    seed: int | None = None,
) -> Run:
    """Trains a documented system on a folder of images.

    Prints its progress and fills a run folder: `config.json`, `history.csv`, `curves.png`,
    `tensorboard/`, `result.json`, and `model.keras`, the model after its best epoch. Ctrl-C, or
    SIGTERM, saves after the current step; `resume` continues with the same result as without it.

    Args:
        system: Name of the system, a key of `fastconv.models.SYSTEMS`; `transfer` trains vgg16.
        data: Folder of images as `fastconv.data.list_images` takes it.
        output: Run folder to write, which must not hold a run yet.
        variant: One of the system's variants. Defaults to the last.
        backend: `"fastconv"`, or `"stock"` for the layers and optimizers of Keras. Both begin with
            equal weights and see equal images. Defaults to `"fastconv"`.
        classes: Names of the classes to use, in the order of the labels. Defaults to all, in
            alphabetical order.
        limit_classes: How many classes to use, the first in alphabetical order. Defaults to all.
        image_size: What images are resized to: `(height, width)`, or one integer for both. Defaults
            to the system's; for idx files, to the size of their images.
        grayscale: Whether to turn images to grey levels. Defaults to `False`.
        batch_size: Images per training step. Defaults to the system's.
        learning_rate: The optimizer's at its first step. Defaults to the system's.
        epochs: At most so many. Defaults to the system's.
        validation_split: Share of the training images to validate on; 0 validates on the test
            split. Defaults to the system's.
        augment: Whether to vary the training images as the system does. Defaults to `True`.
        patience: Ends the training after so many epochs that were not better than the best one; 0
            for never. Defaults to the system's.
        precision: `"float32"`, `"mixed_bfloat16"` or `"mixed_float16"`, Keras's dtype policy.
            Defaults to `"float32"`.
        seed: Start of all random numbers: weights, dropout, order, augmentation, validation split.
            Defaults to `0`.

    Returns:
        The `Run`, finished.

    Raises:
        InputError: The images, the run folder or a value cannot be used, or the disk is full.
        Interrupted: The training was interrupted; the message says how to continue.

    Example:

    >>> import fastconv.train
    >>> run = fastconv.train.train("cifar10", "photos", "runs/photos", epochs=2)
    24 training images and 12 validation images (test/) of 3 classes: cat, dog, horse
    ...
    >>> [row["epoch"] for row in run.history]
    [1, 2]
    """
    options = {**locals()}
    if system in SYSTEMS and SYSTEMS[system].phases:
        raise InputError(
            f"{system} is trained in phases: use `fastconv transfer`. Received: {system}"
        )
    del options["output"]
    return begin(Run(output), settings.resolve(**options))


def transfer(
    data: str | os.PathLike,
    output: str | os.PathLike,
    weights: str | os.PathLike | None = "imagenet",
    *,
    backend: str | None = None,
    classes: Sequence[str] | None = None,
    limit_classes: int | None = None,
    image_size: int | tuple[int, int] | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    epochs: int | None = None,
    fine_tune_learning_rate: float | None = None,
    fine_tune_epochs: int | None = None,
    validation_split: float | None = None,
    augment: bool | None = None,
    patience: int | None = None,
    precision: str | None = None,
    seed: int | None = None,
) -> Run:
    """Trains the vgg16 system in its phases: a new head, then the last block with it.

    First the head learns while VGG16's convolutions are frozen. Then, from the best epoch on, the
    head and the convolutions of the last block learn, at a much smaller rate. All else is as in
    `train`; `history.csv` has a column with the phase.

    Args:
        data: Folder of images as `fastconv.data.list_images` takes it.
        output: Run folder to write, which must not hold a run yet.
        weights: Of the convolutions to begin with: `"imagenet"` for those of
            `keras.applications.VGG16`, which Keras downloads once; the path of such a file, of
            another weights file for VGG16 without its top, or of a `.keras` model with layers of
            the same names; None for random ones. Defaults to `"imagenet"`.
        backend: As in `train`.
        classes: As in `train`.
        limit_classes: As in `train`.
        image_size: As in `train`; each side at least 32. Defaults to `(100, 100)`.
        batch_size: As in `train`.
        learning_rate: Of the first phase. Defaults to `1e-4`.
        epochs: Of the first phase, at most so many. Defaults to `20`.
        fine_tune_learning_rate: Of the second phase. Defaults to `1e-5`.
        fine_tune_epochs: Of the second phase, at most so many; 0 leaves it out. Defaults to `20`.
        validation_split: As in `train`.
        augment: As in `train`.
        patience: As in `train`, of each phase.
        precision: As in `train`.
        seed: As in `train`.

    Returns:
        The `Run`, finished.

    Raises:
        InputError: As `train` raises; or the weights cannot be fetched or loaded.
        Interrupted: The training was interrupted; the message says how to continue.

    Example:

    >>> import fastconv.train
    >>> run = fastconv.train.transfer(
    ...     "photos", "runs/vgg16", weights=None, image_size=32, epochs=1, fine_tune_epochs=1
    ... )
    24 training images ...
    >>> [row["phase"] for row in run.history]
    ['head', 'fine-tune']
    """
    options = {**locals()}
    del options["output"]
    options["weights"] = "none" if weights is None else str(weights)
    return begin(Run(output), settings.resolve("vgg16", **options))


def resume(run: str | os.PathLike, **given) -> Run:
    """Continues a run of `train` or `transfer` that was interrupted.

    The result is that of a run without the interrupt: random numbers, order and augmentation of the
    images, optimizer, metrics and early stopping go on where they stood. A process that was killed
    loses the epoch that it was in.

    Args:
        run: The run folder.
        **given: Arguments of `train` or `transfer`; they must be those that the run began with.
            None stands for that value.

    Returns:
        The `Run`, finished.

    Raises:
        InputError: The folder holds no run, or one that has finished or began with other settings,
            or its images are not there any more.
        Interrupted: The training was interrupted again.

    Example:

    >>> import fastconv.train
    >>> run = fastconv.train.resume("runs/photos")  # doctest: +SKIP
    """
    return go_on(Run(run), given)
