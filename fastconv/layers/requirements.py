"""What every fastconv layer asks of Keras."""

import keras


def check_backend(layer_class):
    """Raises unless Keras runs on TensorFlow."""
    if keras.config.backend() != "tensorflow":
        raise RuntimeError(
            f"fastconv.layers.{layer_class.__name__} needs Keras's TensorFlow backend. Set the "
            'environment variable KERAS_BACKEND=tensorflow (or "backend": "tensorflow" in '
            "~/.keras/keras.json) before Keras is imported. "
            f"Received: backend={keras.config.backend()!r}"
        )


def check_channels_last(layer):
    """Raises unless the layer's images are `(batch, height, width, channels)`."""
    if layer.data_format != "channels_last":
        raise ValueError(
            f"fastconv.layers.{type(layer).__name__} computes on `channels_last` images only. Pass "
            "data_format='channels_last' and images of shape (batch, height, width, channels); "
            "keras.layers.Permute((2, 3, 1)) turns channels_first images into such. "
            f"Received: data_format={layer.data_format!r}"
        )
