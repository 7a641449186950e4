"""A trained model, fed with images as it was in training."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence

import numpy as np

from fastconv.data import ImagePipeline, ImageSource, ImageSplit, load_images
from fastconv.errors import InputError
from fastconv.models import load_model

BATCH_SIZE = 32


class Classifier:
    """A trained model that takes image files and returns probabilities of classes.

    Args:
        path: Model file or run folder, as `fastconv.models.load_model` takes it.

    Attributes:
        path: `pathlib.Path`, as given.
        folder: `pathlib.Path`, the run folder, or the folder that holds the model file.
        model: Keras model, not compiled.
        description: `fastconv.models.ModelDescription`.

    Raises:
        InputError: There is no model, or it is none of fastconv's.

    Example:

    >>> from fastconv.evaluation import Classifier
    >>> classifier = Classifier("runs/cifar10")
    >>> classifier.class_names
    ('cat', 'dog', 'horse')
    >>> classifier.probabilities(["photos/test/cat/0.png"]).shape
    (1, 3)
    """

    def __init__(self, path: str | os.PathLike):
        self.path = pathlib.Path(path)
        self.folder = self.path if self.path.is_dir() else self.path.parent
        self.model, self.description = load_model(self.path)
        self._binary = self.model.output_shape == (None, 1)
        outputs = 2 if self._binary else self.model.output_shape[-1]
        if outputs != len(self.class_names):
            raise InputError(
                f"The model's description names {len(self.class_names)} classes, but the model "
                f"tells {outputs} apart: train it again. Received: {path}"
            )

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes in the order of the labels."""
        return self.description.class_names

    def load_images(self, sources: Sequence[ImageSource]) -> np.ndarray:
        """Reads images as the model takes them.

        Args:
            sources: What `fastconv.data.load_image` takes, any number of it.

        Returns:
            A float32 array of shape `(len(sources), height, width, channels)` in [0, 1].

        Raises:
            InputError: An image cannot be read.
        """
        description = self.description
        pixels = load_images(sources, description.image_size, description.channels)
        return pixels.astype("float32") / description.rescale

    def probabilities(
        self,
        sources: Sequence[ImageSource],
        batch_size: int = BATCH_SIZE,
        progress: bool = False,
    ) -> np.ndarray:
        """Computes the probability of every class for every image.

        Args:
            sources: What `fastconv.data.load_image` takes, at least one.
            batch_size: Images per step. Defaults to `32`.
            progress: Whether to show Keras's progress bar. Defaults to `False`.

        Returns:
            A float32 array of shape `(len(sources), classes)`.

        Raises:
            InputError: An image cannot be read.
        """
        unknown = np.zeros(len(sources), "int32")
        batches = ImagePipeline(
            ImageSplit(self.class_names, tuple(sources), unknown),
            self.description.image_size,
            self.description.channels,
            batch_size=batch_size,
            label_mode="int",
        )
        outputs = self.model.predict(batches.epoch(), verbose=int(progress))
        outputs = outputs.astype("float32")
        return np.concatenate([1 - outputs, outputs], axis=1) if self._binary else outputs
