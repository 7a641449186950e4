"""Trains one system in both builds, from equal weights on equal data, and times the epochs."""

from __future__ import annotations

import statistics
import sys
from dataclasses import dataclass

import keras

from fastconv import models
from fastconv.about import info
from fastconv.train import builds
from fastconv.train.callbacks import TrainingTimer


@dataclass(frozen=True)
class BuildResult:
    """How one build trained.

    Attributes:
        training_seconds: tuple of floats, per epoch the time of its training steps, without
            validation.
        history: dict of lists with one value per epoch: `loss`, `accuracy`, `val_loss` and
            `val_accuracy`.
        seconds_per_epoch: float, the median of `training_seconds` without the first epoch, which
            compiles, unless there is no other.
        images_per_second: float, training images by `seconds_per_epoch`.
        jit_compile: bool, whether Keras's default was to compile with XLA.
    """

    training_seconds: tuple[float, ...]
    history: dict[str, list[float]]
    seconds_per_epoch: float
    images_per_second: float
    jit_compile: bool

    @property
    def validation_accuracy(self):
        """Accuracy on the test split after the last epoch, a float in [0, 1]."""
        return self.history["val_accuracy"][-1]


@dataclass(frozen=True)
class Comparison:
    """A system trained in the stock build and in the fastconv build.

    Attributes:
        system: string, a key of `fastconv.models.SYSTEMS`.
        dataset: string, the data set's name.
        synthetic: bool, whether fastconv drew the images itself.
        classes: int, number of classes.
        train_images: int, number of images in the training split.
        test_images: int, number of images in the test split.
        epochs: int.
        batch_size: int.
        seed: int.
        environment: dict, `fastconv.info()` of the run.
        stock: `BuildResult` of the stock Keras layers.
        fastconv: `BuildResult` of fastconv's layers.
    """

    system: str
    dataset: str
    synthetic: bool
    classes: int
    train_images: int
    test_images: int
    epochs: int
    batch_size: int
    seed: int
    environment: dict
    stock: BuildResult
    fastconv: BuildResult

    @property
    def speed_up(self):
        """Stock seconds per epoch by fastconv's."""
        return self.stock.seconds_per_epoch / self.fastconv.seconds_per_epoch


def compare_builds(system, dataset, epochs, batch_size, seed):
    """Trains the stock build of a system, then the fastconv build, compiled as Keras does.

    Both start from the same weights and see the same images in the same order; without XLA, dropout
    drops the same values, too.

    Args:
        system: string, a key of `fastconv.models.SYSTEMS` with a categorical loss.
        dataset: `fastconv.data.ImageDataset`; its images have the size to train with.
        epochs: int, at least 1.
        batch_size: int, at least 1.
        seed: int, of the weights, the order of the images and the dropout masks.

    Returns:
        A `Comparison`.
    """
    stock, fast = (
        builds.build(
            system,
            backend,
            seed,
            input_shape=dataset.image_shape,
            classes=len(dataset.class_names),
        )
        for backend in ("stock", "fastconv")
    )
    return Comparison(
        system=system,
        dataset=dataset.name,
        synthetic=dataset.synthetic,
        classes=len(dataset.class_names),
        train_images=len(dataset.train),
        test_images=len(dataset.test),
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        environment=info(),
        stock=_train("stock", stock, system, dataset, epochs, batch_size, seed),
        fastconv=_train("fastconv", fast, system, dataset, epochs, batch_size, seed),
    )


def _train(build, model, system, dataset, epochs, batch_size, seed):
    print(f"\nTraining {system} in the {build} build", flush=True)
    description = models.SYSTEMS[system]
    model.compile(description.new_optimizer(build), description.loss, metrics=["accuracy"])
    classes = len(dataset.class_names)
    timer = TrainingTimer()
    keras.utils.set_random_seed(seed)  # of the order of the images
    history = model.fit(
        dataset.train.images,
        dataset.train.one_hot(classes),
        batch_size=batch_size,
        epochs=epochs,
        validation_data=(dataset.test.images, dataset.test.one_hot(classes)),
        callbacks=[timer],
        verbose=1 if sys.stdout.isatty() else 2,
    )
    seconds = statistics.median(timer.seconds[1:] or timer.seconds)
    return BuildResult(
        training_seconds=tuple(timer.seconds),
        history=history.history,
        seconds_per_epoch=seconds,
        images_per_second=len(dataset.train) / seconds,
        jit_compile=bool(model.jit_compile),
    )
