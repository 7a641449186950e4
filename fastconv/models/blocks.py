"""The convolution block that all systems are made of, in stock layers or as one fused layer."""

from dataclasses import dataclass

import keras
from keras import layers

from fastconv.layers import Dense, Dropout, FusedConv2D

BACKENDS = ("fastconv", "stock")
# Keras's dtype policies that the systems train with.
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


@dataclass(frozen=True)
class ConvolutionBlock:
    """Makes convolution, batch normalisation, activation, max pooling and dropout for one backend.

    Attributes:
        backend: `"fastconv"` for one `FusedConv2D`, `"stock"` for layers of `keras.layers`. The two
            have equal weights in equal order.
    """

    backend: str

    def __call__(
        self,
        filters,
        kernel_size=3,
        padding="same",
        activation="relu",
        batch_norm=False,
        pool_size=None,
        dropout=0.0,
        spatial_dropout=0.0,
        kernel_regularizer=None,
        name=None,
        pool_name=None,
    ):
        """Returns the block's layers.

        Args:
            filters: int, the number of output channels.
            kernel_size: int. Defaults to `3`.
            padding: `"valid"` or `"same"`. Defaults to `"same"`.
            activation: `"relu"`, or a new `keras.layers.LeakyReLU`. Defaults to `"relu"`.
            batch_norm: bool. Defaults to `False`.
            pool_size: int, or None for no pooling. Defaults to `None`.
            dropout: float, the rate of dropout after the block. Defaults to `0.0`.
            spatial_dropout: float, likewise of whole channels. Defaults to `0.0`.
            kernel_regularizer: Defaults to `None`.
            name: string, the convolution's name. Defaults to `None`.
            pool_name: string, the name of the stock pooling layer. Defaults to `None`.

        Returns:
            List of layers.
        """
        convolution = dict(
            filters=filters,
            kernel_size=kernel_size,
            padding=padding,
            kernel_regularizer=kernel_regularizer,
            name=name,
        )
        if self.backend == "fastconv":
            return [
                FusedConv2D(
                    **convolution,
                    activation=activation,
                    batch_norm=batch_norm,
                    pool_size=pool_size,
                    dropout=dropout,
                    spatial_dropout=spatial_dropout,
                )
            ]
        if batch_norm:
            stock = [
                layers.Conv2D(**convolution),
                layers.BatchNormalization(),
                layers.Activation(activation) if isinstance(activation, str) else activation,
            ]
        else:
            stock = [layers.Conv2D(**convolution, activation=activation)]
        if pool_size is not None:
            stock.append(layers.MaxPooling2D(pool_size, name=pool_name))
        if dropout:
            stock.append(layers.Dropout(dropout))
        if spatial_dropout:
            stock.append(layers.SpatialDropout2D(spatial_dropout))
        return stock

    def dense(self, units, activation="relu", name=None):
        """Returns a dense layer.

        Args:
            units: int.
            activation: string. Defaults to `"relu"`.
            name: string, the layer's name. Defaults to `None`.

        Returns:
            The layer.
        """
        dense = Dense if self.backend == "fastconv" else layers.Dense
        return dense(units, activation=activation, name=name)

    def dropout(self, rate):
        """Returns the backend's layer of dropout that follows no convolution."""
        return Dropout(rate) if self.backend == "fastconv" else layers.Dropout(rate)

    def output(self, units, activation, name=None):
        """Returns the last layer.

        Under a mixed policy it computes in the type of its weights: 16 bits would round small
        probabilities to 0.

        Args:
            units: int.
            activation: string.
            name: string, the layer's name. Defaults to `None`.

        Returns:
            The layer, a stock one in both backends.
        """
        dtype = keras.config.dtype_policy().variable_dtype
        return layers.Dense(units, activation=activation, dtype=dtype, name=name)
