"""Which activations the fused ops compute themselves."""

from typing import NamedTuple

import keras


class FusedActivation(NamedTuple):
    """The ops' arguments for an activation."""

    activation: str
    negative_slope: float = 0.0


def fused_activation(activation, negative_slope):
    """Finds the ops' arguments for a Keras activation.

    Args:
        activation: a callable, as `keras.activations.get` returns it.
        negative_slope: float, or None for the activation's own.

    Returns:
        A `FusedActivation`, or None where the ops do not have this activation.

    Raises:
        ValueError: a negative slope below zero, or one for an activation that has none.
    """
    if negative_slope is not None:
        if activation not in (keras.activations.linear, keras.activations.leaky_relu):
            raise ValueError(
                "`negative_slope` needs `activation` to be None, 'linear' or 'leaky_relu'. "
                f"Received: negative_slope={negative_slope}, activation={activation}"
            )
        if not negative_slope >= 0:
            raise ValueError(
                f"`negative_slope` must be >= 0. Received: negative_slope={negative_slope}"
            )
        return FusedActivation("leaky_relu", float(negative_slope))
    if activation is keras.activations.linear:
        return FusedActivation("linear")
    if activation is keras.activations.relu:
        return FusedActivation("relu")
    if activation is keras.activations.leaky_relu:
        return FusedActivation("leaky_relu", 0.2)  # the function's default; the layer's is 0.3
    # Exact types: a subclass may compute something else.
    if type(activation) is keras.layers.LeakyReLU:
        return FusedActivation("leaky_relu", float(activation.negative_slope))
    if (
        type(activation) is keras.layers.ReLU
        and activation.max_value is None
        and activation.threshold == 0
    ):
        slope = float(activation.negative_slope)
        return FusedActivation("leaky_relu", slope) if slope else FusedActivation("relu")
    return None
