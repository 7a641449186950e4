"""What comes out when predicted labels are held against true ones."""

from __future__ import annotations

import pathlib
from dataclasses import dataclass

import numpy as np
from sklearn import metrics


@dataclass(frozen=True)
class ClassMetrics:
    """How well one class was told from the others.

    Attributes:
        class_name: string.
        precision: float in [0, 1], the share of right ones among the images predicted as this
            class; 0 where there are none.
        recall: float in [0, 1], the share of this class's images that were predicted as such; 0
            where there are none.
        f_score: float in [0, 1], the harmonic mean of precision and recall.
        support: int, the number of this class's images.
    """

    class_name: str
    precision: float
    recall: float
    f_score: float
    support: int


@dataclass(frozen=True)
class Metrics:
    """How well a model told all classes.

    Attributes:
        accuracy: float in [0, 1], the share of all images that were predicted right.
        per_class: tuple of `ClassMetrics`, the best F-score first; classes of equal ones in the
            order of `class_names`.
        confusion: int array `(classes, classes)`: row is the true class, column the predicted one.
        class_names: tuple of strings, in the order of the labels.
    """

    accuracy: float
    per_class: tuple[ClassMetrics, ...]
    confusion: np.ndarray
    class_names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Evaluation(Metrics):
    """How well a trained model tells the classes of a split; see `Metrics` for the numbers.

    Attributes:
        model: string, the path of the model as given.
        system: string, the model's system.
        backend: string, `"fastconv"` or `"stock"`.
        data: string, the path of the data as given.
        split: string, the split's name.
        images: int, the number of images.
        files: tuple of `pathlib.Path`, what was written.
    """

    model: str
    system: str
    backend: str
    data: str
    split: str
    images: int
    files: tuple[pathlib.Path, ...]


def measure(labels, predicted, class_names):
    """Compares predicted labels with true ones.

    Args:
        labels: int array `(images,)`, the true labels, at least one.
        predicted: int array `(images,)`.
        class_names: sequence of strings, in the order of the labels.

    Returns:
        `Metrics`.

    Example:

    >>> from fastconv.evaluation import measure
    >>> measured = measure([0, 0, 1], [0, 1, 1], ["cat", "dog"])
    >>> measured.confusion.tolist()
    [[1, 1], [0, 1]]
    """
    every = range(len(class_names))
    columns = metrics.precision_recall_fscore_support(
        labels, predicted, labels=every, zero_division=0
    )
    rows = zip(class_names, *(column.tolist() for column in columns), strict=True)
    per_class = sorted((ClassMetrics(*row) for row in rows), key=lambda each: -each.f_score)
    return Metrics(
        accuracy=float(metrics.accuracy_score(labels, predicted)),
        per_class=tuple(per_class),
        confusion=metrics.confusion_matrix(labels, predicted, labels=every),
        class_names=tuple(class_names),
    )
