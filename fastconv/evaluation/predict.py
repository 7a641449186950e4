"""Predicts the classes of images from anywhere."""

from __future__ import annotations

import os
import pathlib
from dataclasses import dataclass

import numpy as np

from fastconv.data import IMAGE_EXTENSIONS, list_image_files
from fastconv.errors import InputError
from fastconv.evaluation.classifier import BATCH_SIZE, Classifier


@dataclass(frozen=True)
class Prediction:
    """What a model takes an image for.

    Attributes:
        path: `pathlib.Path` of the image.
        classes: tuple of pairs of a class's name and its probability, the most probable first.
    """

    path: pathlib.Path
    classes: tuple[tuple[str, float], ...]

    @property
    def class_name(self) -> str:
        """Name of the most probable class."""
        return self.classes[0][0]

    @property
    def probability(self) -> float:
        """Probability of the most probable class."""
        return self.classes[0][1]


def predict(
    model: str | os.PathLike,
    path: str | os.PathLike,
    top: int = 1,
    recursive: bool = False,
    batch_size: int = BATCH_SIZE,
) -> list[Prediction]:
    """Predicts the class of an image, or of all images of a folder.

    Args:
        model: Model file, or the run folder of `fastconv train`.
        path: Image file, or folder of images.
        top: How many of the most probable classes to return. Defaults to `1`.
        recursive: Whether to take the images of folders within the folder, too. Defaults to
            `False`.
        batch_size: Images per step. Defaults to `32`.

    Returns:
        List of `Prediction`, sorted by path.

    Raises:
        InputError: The model cannot be used, there is no image, one cannot be read, or the model
            has fewer classes than `top`.

    Example:

    >>> from fastconv.evaluation import predict
    >>> (prediction,) = predict("runs/cifar10", "photos/test/cat/0.png")
    >>> prediction.class_name, prediction.probability
    ('...', 0...)
    """
    images = _list_images(pathlib.Path(path), recursive)
    classifier = Classifier(model)
    names = classifier.class_names
    if not 1 <= top <= len(names):
        raise InputError(
            f"`top` must be from 1 to {len(names)}, the number of the model's classes. "
            f"Received: top={top}"
        )
    predictions = []
    for image, row in zip(images, classifier.probabilities(images, batch_size), strict=True):
        best = np.argsort(-row, kind="stable")[:top]
        classes = tuple((names[label], float(row[label])) for label in best)
        predictions.append(Prediction(image, classes))
    return predictions


def _list_images(path, recursive):
    if not path.is_dir():
        if not path.exists():
            raise InputError(f"There is no such image or folder. Received: {path}")
        return [path]
    images = list_image_files(path, recursive)
    if not images:
        raise InputError(
            f"The folder holds no images (files ending in {', '.join(IMAGE_EXTENSIONS)})"
            f"{'' if recursive else '; --recursive takes those of folders within, too'}. "
            f"Received: {path}"
        )
    return images
