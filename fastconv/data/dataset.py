"""What every source of images yields: two splits in memory, and the names of the classes."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Split:
    """Images of one split.

    Args:
        images: float32 array in [0, 1], shape `(n, height, width, 3)`.
        labels: int32 array, shape `(n,)`: positions in `ImageDataset.class_names`.
    """

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        """Returns the number of images."""
        return len(self.labels)

    def one_hot(self, classes: int) -> np.ndarray:
        """Returns the labels as float32 rows of shape `(n, classes)`.

        Args:
            classes: Number of classes.
        """
        return np.eye(classes, dtype="float32")[self.labels]


@dataclasses.dataclass(frozen=True)
class ImageDataset:
    """A training and a test split over the same classes.

    Args:
        name: What to call it in reports.
        synthetic: Whether the images were drawn by fastconv instead of photographed.
        class_names: Names in label order.
        train: Images to fit.
        test: Images to validate on.
    """

    name: str
    synthetic: bool
    class_names: tuple[str, ...]
    train: Split
    test: Split

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(height, width, channels)` of every image."""
        return self.train.images.shape[1:]
