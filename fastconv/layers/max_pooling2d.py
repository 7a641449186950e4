"""The max pooling layer."""

import keras

from fastconv import ops
from fastconv.layers import requirements


@keras.saving.register_keras_serializable(package="fastconv")
class MaxPooling2D(keras.layers.MaxPooling2D):
    """Max pooling of images, as `keras.layers.MaxPooling2D`.

    Its gradient works from one byte per pooled cell: neither the input nor the output is kept.
    NaNs lose against every number; a window of nothing else yields `-inf`.

    Args:
        pool_size: int or pair of ints, the window. Defaults to `(2, 2)`.
        strides: int or pair of ints; None means `pool_size`. Defaults to `None`.
        padding: `"valid"` or `"same"`. Defaults to `"valid"`.
        data_format: `"channels_last"`, or None if that is Keras's setting. Defaults to `None`.
        name: string, the layer's name. Defaults to `None`.
        **kwargs: those of `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, channels)`.

    Output shape:
        `(batch, pooled_height, pooled_width, channels)`.

    Raises:
        RuntimeError: Keras's backend is not TensorFlow.
        ValueError: `data_format` is `"channels_first"`, or another argument does not fit.

    Example:

    >>> fastconv.layers.MaxPooling2D(3, strides=2, padding="same")(np.ones((8, 32, 32, 3))).shape
    TensorShape([8, 16, 16, 3])
    """

    def __init__(
        self,
        pool_size=(2, 2),
        strides=None,
        padding="valid",
        data_format=None,
        name=None,
        **kwargs,
    ):
        """Creates the layer; see the class."""
        requirements.check_backend(type(self))
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)
        requirements.check_channels_last(self)

    def call(self, inputs):
        """Pools the images; see the class."""
        return ops.max_pool2d(inputs, self.pool_size, self.strides, self.padding)
