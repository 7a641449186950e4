"""The dropout layer, and how layers draw seeds."""

import keras

from fastconv import ops
from fastconv.layers import requirements


def next_seed(seed_generator):
    """Returns the seed that `keras.random.dropout` would draw with, as TensorFlow takes it."""
    return keras.ops.cast(keras.ops.mod(seed_generator.next(), 2**31 - 2), "int32")


@keras.saving.register_keras_serializable(package="fastconv")
class Dropout(keras.layers.Dropout):
    """Dropout, as `keras.layers.Dropout`.

    With the same seed it drops the same values as the stock layer does on the CPU without XLA;
    with XLA, too, where the stock layer draws other numbers, and slowly.

    Args:
        rate: float from 0 to 1, the fraction of the inputs that training sets to 0.
        noise_shape: tuple of ints, the shape of a mask that is broadcast, drawn by Keras's own
            code; None for a mask of the inputs' shape. Defaults to `None`.
        seed: int, where the sequence of masks begins; None for a new one. Defaults to `None`.
        **kwargs: those of `keras.layers.Layer`.

    Call arguments:
        inputs: tensor of any shape.
        training: bool, whether to drop. Defaults to `False`.

    Raises:
        RuntimeError: Keras's backend is not TensorFlow.
        ValueError: an argument does not fit.

    Example:

    >>> fastconv.layers.Dropout(0.5)(np.ones((2, 3)), training=True).shape
    TensorShape([2, 3])
    """

    def __init__(self, rate, noise_shape=None, seed=None, **kwargs):
        """Creates the layer; see the class."""
        requirements.check_backend(type(self))
        super().__init__(rate, noise_shape, seed, **kwargs)

    def call(self, inputs, training=False):
        """Drops values in training; see the class."""
        if not training or self.rate in (0, 1) or self.noise_shape is not None:
            return super().call(inputs, training)
        return ops.dropout(inputs, self.rate, next_seed(self.seed_generator))
