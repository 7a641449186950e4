"""Describes a model layer by layer."""

from __future__ import annotations

import dataclasses

import keras

from fastconv.layers import FusedConv2D
from fastconv.tables import dimensions


@dataclasses.dataclass(frozen=True)
class LayerSummary:
    """One layer.

    Attributes:
        name: string.
        kind: string, the name of the layer's class.
        details: string, what it computes, such as `"64 filters 3x3, same, relu, max pooling 2x2"`;
            empty where its name says it all.
        output_shape: string, such as `"32x32x64"`.
        parameters: int.
        trainable: bool, whether training the model as it was saved changes them.
    """

    name: str
    kind: str
    details: str
    output_shape: str
    parameters: int
    trainable: bool


@dataclasses.dataclass(frozen=True)
class ModelSummary:
    """A model.

    Attributes:
        layers: tuple of `LayerSummary`.
        parameters: int, the number of weights.
        trainable_parameters: int, the number of those that training the model as it was saved
            changes.
    """

    layers: tuple[LayerSummary, ...]
    parameters: int
    trainable_parameters: int


def summarize(model):
    """Describes a built model.

    Args:
        model: `keras.Model`.

    Returns:
        `ModelSummary`.

    Example:

    >>> from fastconv.reports.model_summary import summarize
    >>> summarize(fastconv.models.build("cifar10")).parameters
    276138
    """
    return ModelSummary(
        tuple(
            LayerSummary(
                name=layer.name,
                kind=type(layer).__name__,
                details=_details(layer),
                output_shape=dimensions(layer.output.shape[1:]),
                parameters=layer.count_params(),
                trainable=layer.trainable,
            )
            for layer in model.layers
            if not isinstance(layer, keras.layers.InputLayer)
        ),
        model.count_params(),
        sum(weight.value.shape.num_elements() for weight in model.trainable_variables),
    )


def _details(layer):
    if isinstance(layer, keras.layers.Conv2D):
        parts = [f"{layer.filters} filters {dimensions(layer.kernel_size)}", layer.padding]
        if isinstance(layer, FusedConv2D):
            parts += _fused_details(layer)
        else:
            parts.append(_activation(layer))
    elif isinstance(layer, keras.layers.Dense):
        parts = [f"{layer.units} {'unit' if layer.units == 1 else 'units'}", _activation(layer)]
    elif isinstance(layer, keras.layers.Activation):
        parts = [_activation(layer)]
    elif isinstance(layer, keras.layers.MaxPooling2D):
        parts = [dimensions(layer.pool_size)]
    elif isinstance(layer, keras.layers.Dropout):
        parts = [f"rate {layer.rate:g}"]
    else:
        parts = []
    return ", ".join(filter(None, parts))


def _fused_details(layer):
    return [
        "batch normalisation" if layer.batch_norm else "",
        "LeakyReLU" if layer.negative_slope is not None else _activation(layer),
        f"max pooling {dimensions(layer.pool_size)}" if layer.pool_size else "",
        f"dropout {layer.dropout:g}" if layer.dropout else "",
        f"spatial dropout {layer.spatial_dropout:g}" if layer.spatial_dropout else "",
    ]


def _activation(layer):
    """Returns the activation's name, "" where the layer has none."""
    activation = layer.activation
    if isinstance(activation, keras.Layer):
        return type(activation).__name__
    return "" if activation is keras.activations.linear else activation.__name__
