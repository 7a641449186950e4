"""What describes one of the documented systems."""

from collections.abc import Callable
from dataclasses import dataclass

import keras

from fastconv import optimizers
from fastconv.data import Augmentation


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
        optimizer: callable without arguments that returns a new Keras optimizer;
            `fastconv.optimizers.fuse` turns it into fastconv's.
        layers: callable `(convolution, classes, variant)` that returns the list of layers after the
            input; `convolution` is a `fastconv.models.blocks.ConvolutionBlock`.
        variants: tuple of strings, the variants' names, the default one last. Defaults to `()`.
        max_classes: int, or None for no limit. Defaults to `None`.
        augmentation: `fastconv.data.Augmentation` of the training images, or None for none.
            Defaults to `None`.
    """

    name: str
    input_shape: tuple[int, int, int]
    classes: int
    batch_size: int
    loss: str
    optimizer: Callable[[], keras.optimizers.Optimizer]
    layers: Callable[..., list[keras.layers.Layer]]
    variants: tuple[str, ...] = ()
    max_classes: int | None = None
    augmentation: Augmentation | None = None

    def new_optimizer(self, backend="fastconv"):
        """Returns a new optimizer.

        Args:
            backend: `"fastconv"` for the fused optimizer (`fastconv.optimizers.fuse`) or `"stock"`
                for Keras's own. Defaults to `"fastconv"`.
        """
        optimizer = self.optimizer()
        return optimizers.fuse(optimizer) if backend == "fastconv" else optimizer
