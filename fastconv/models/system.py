"""What describes one of the documented systems."""

from collections.abc import Callable
from dataclasses import dataclass

import keras

from fastconv import optimizers
from fastconv.data import Augmentation


@dataclass(frozen=True)
class Phase:
    """A part of a training, with layers, a learning rate and a number of epochs of its own.

    Attributes:
        name: string.
        epochs: int, at most so many.
        learning_rate: float, the optimizer's at its first step.
        frozen: tuple of strings: layers whose names begin with one of them do not train. Defaults
            to `()`, all layers train as they were built.
    """

    name: str
    epochs: int
    learning_rate: float
    frozen: tuple[str, ...] = ()


@dataclass(frozen=True)
class System:
    """A documented model with the way it is trained.

    Attributes:
        name: string, as `fastconv.models.build` takes it.
        input_shape: tuple `(height, width, channels)`.
        classes: int, the number of classes it was made for.
        batch_size: int, images per training step.
        loss: string, Keras's name of the loss. Labels are one-hot for `"categorical_crossentropy"`,
            0 or 1 for `"binary_crossentropy"`.
        optimizer: callable `(learning_rate)` that returns a new Keras optimizer;
            `fastconv.optimizers.fuse` turns it into fastconv's.
        learning_rate: float, of the optimizer's first step.
        epochs: int, at most so many.
        layers: callable `(convolution, classes, variant)` that returns the list of layers after the
            input; `convolution` is a `fastconv.models.blocks.ConvolutionBlock`.
        variants: tuple of strings, the variants' names, the default one last. Defaults to `()`.
        max_classes: int, or None for no limit. Defaults to `None`.
        augmentation: `fastconv.data.Augmentation` of the training images, or None for none.
            Defaults to `None`.
        monitor: string, the quantity that chooses the best epoch and ends a training early.
            Defaults to `"val_loss"`.
        patience: int: training ends after so many epochs in which `monitor` was not better than
            before; 0 for all epochs. Defaults to `0`.
        validation_split: float, the share of the training images to validate on; None for the
            images of the test split. Defaults to `None`.
        phases: tuple of `Phase`, of transfer learning; `learning_rate` and `epochs` are those of a
            training without phases. Defaults to `()`.

    Example:

    >>> system = fastconv.models.SYSTEMS["cifar10"]
    >>> system.batch_size, system.learning_rate, system.epochs
    (256, 0.001, 100)
    """

    name: str
    input_shape: tuple[int, int, int]
    classes: int
    batch_size: int
    loss: str
    optimizer: Callable[[float], keras.optimizers.Optimizer]
    learning_rate: float
    epochs: int
    layers: Callable[..., list[keras.layers.Layer]]
    variants: tuple[str, ...] = ()
    max_classes: int | None = None
    augmentation: Augmentation | None = None
    monitor: str = "val_loss"
    patience: int = 0
    validation_split: float | None = None
    phases: tuple[Phase, ...] = ()

    def new_optimizer(self, backend="fastconv", learning_rate=None):
        """Returns a new optimizer.

        Args:
            backend: `"fastconv"` for the fused optimizer (`fastconv.optimizers.fuse`) or `"stock"`
                for Keras's own. Defaults to `"fastconv"`.
            learning_rate: float; None means the system's. Defaults to `None`.
        """
        optimizer = self.optimizer(self.learning_rate if learning_rate is None else learning_rate)
        return optimizers.fuse(optimizer) if backend == "fastconv" else optimizer
