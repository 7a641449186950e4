"""What a model's layers make of an image: activation maps, also inside fused layers."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np

from fastconv.errors import InputError
from fastconv.layers import FusedConv2D

# Layers of which `fastconv show` draws maps by default reach up to this many convolutions.
_FIRST_CONVOLUTIONS = 2


@dataclass(frozen=True)
class ActivationMaps:
    """What one stage of one layer makes of an image.

    Attributes:
        layer: string, the layer's name.
        stage: string: `"convolution"`, `"batch normalisation"`, `"activation"` or `"pooling"`
            within a convolution layer, `"output"` for any other layer.
        maps: float32 array `(height, width, channels)`.
    """

    layer: str
    stage: str
    maps: np.ndarray


def activation_maps(model, image, layers=None):
    """Computes the activation maps of chosen layers for one image, in inference mode.

    A `FusedConv2D` yields the maps of every stage that it fuses, though its kernel keeps none but
    the last; a `keras.layers.Conv2D` with an activation yields those before and after that.

    Args:
        model: Keras model with one input of shape `(height, width, channels)`.
        image: array `(height, width, channels)`, as the model takes it.
        layers: list of strings, names of layers whose output is maps; None means the first two
            convolutions and what follows each of them. Defaults to `None`.

    Returns:
        List of `ActivationMaps`, in the order in which the model computes them.

    Raises:
        InputError: the model has no layer of such a name, or its output is no maps.

    Example:

    >>> from fastconv.data import load_image
    >>> from fastconv.evaluation import activation_maps
    >>> model = fastconv.models.build("cifar10")
    >>> image = load_image("photos/test/cat/0.png", (32, 32)) / 255
    >>> for each in activation_maps(model, image):
    ...     print(each.stage, each.maps.shape)
    convolution (32, 32, 32)
    activation (32, 32, 32)
    convolution (30, 30, 32)
    activation (30, 30, 32)
    pooling (15, 15, 32)
    """
    chosen = _first_layers(model) if layers is None else _named_layers(model, layers)
    probe = keras.Model(
        model.inputs[0],
        {each.name: each.input if _is_convolution(each) else each.output for each in chosen},
    )
    values = probe(np.asarray(image, "float32")[np.newaxis], training=False)
    found = []
    for layer in chosen:
        value = values[layer.name]
        stages = convolution_stages(layer, value) if _is_convolution(layer) else {"output": value}
        for stage, maps in stages.items():
            maps = keras.ops.convert_to_numpy(keras.ops.cast(maps[0], "float32"))
            found.append(ActivationMaps(layer.name, stage, maps))
    return found


def convolution_stages(layer, inputs):
    """Computes what a convolution layer computes in inference, one stage after the other.

    The stages are those of the stock layers that a `FusedConv2D` stands for, computed by Keras's
    operations from the layer's own weights. Dropout does nothing in inference and is no stage.

    Args:
        layer: built `FusedConv2D` or `keras.layers.Conv2D`.
        inputs: tensor `(batch, height, width, channels)`.

    Returns:
        Dict from the stages' names, in their order, to tensors `(batch, height, width, channels)`:
        `"convolution"` (with bias) and, where the layer has them, `"batch normalisation"`,
        `"activation"` and `"pooling"`.

    Example:

    >>> from fastconv.evaluation import convolution_stages
    >>> layer = fastconv.layers.FusedConv2D(8, 3, activation="relu", pool_size=2)
    >>> layer.build((None, 6, 6, 3))
    >>> for stage, maps in convolution_stages(layer, np.ones((1, 6, 6, 3))).items():
    ...     print(stage, maps.shape)
    convolution (1, 4, 4, 8)
    activation (1, 4, 4, 8)
    pooling (1, 2, 2, 8)
    """
    dtype = layer.compute_dtype
    x = keras.ops.cast(inputs, dtype)
    x = layer.convolution_op(x, keras.ops.cast(layer.kernel, dtype))
    if layer.use_bias:
        x = x + keras.ops.cast(layer.bias, dtype)
    stages = {"convolution": x}
    fused = isinstance(layer, FusedConv2D)
    if fused and layer.batch_norm:
        x = stages["batch normalisation"] = _batch_norm(layer, x)
    if fused and layer.negative_slope is not None:
        x = stages["activation"] = keras.ops.leaky_relu(x, layer.negative_slope)
    elif layer.activation is not keras.activations.linear:
        # A layer as activation may have a type of its own.
        x = stages["activation"] = keras.ops.cast(layer.activation(x), dtype)
    if fused and layer.pool_size is not None:
        stages["pooling"] = keras.ops.max_pool(
            x, layer.pool_size, layer.pool_strides, layer.pool_padding
        )
    return stages


def first_filters(model):
    """Returns the filters of a model's first convolution.

    Args:
        model: Keras model.

    Returns:
        Tuple of the layer's name and a float32 array `(rows, columns, channels, filters)`.

    Raises:
        InputError: the model has no convolution.

    Example:

    >>> from fastconv.evaluation import first_filters
    >>> name, kernel = first_filters(fastconv.models.build("cifar10"))
    >>> kernel.shape
    (3, 3, 3, 32)
    """
    for layer in model.layers:
        if _is_convolution(layer):
            return layer.name, keras.ops.convert_to_numpy(keras.ops.cast(layer.kernel, "float32"))
    raise InputError(f"The model has no convolution layer. Received: model={model.name}")


def _batch_norm(layer, x):
    # Keras normalises 16-bit values in float32.
    dtype = keras.backend.result_type(x.dtype, "float32")
    moving_mean, moving_variance, beta, gamma = (
        weight if weight is None else keras.ops.cast(weight, dtype)
        for weight in (layer.moving_mean, layer.moving_variance, layer.beta, layer.gamma)
    )
    outputs = keras.ops.batch_normalization(
        keras.ops.cast(x, dtype),
        moving_mean,
        moving_variance,
        axis=-1,
        offset=beta,
        scale=gamma,
        epsilon=layer.epsilon,
    )
    return keras.ops.cast(outputs, x.dtype)


def _is_convolution(layer):
    return isinstance(layer, keras.layers.Conv2D)


def _layers_with_maps(model):
    return [
        layer
        for layer in model.layers
        if not isinstance(layer, keras.layers.InputLayer) and len(layer.output.shape) == 4
    ]


def _first_layers(model):
    first, convolutions = [], 0
    for layer in _layers_with_maps(model):
        convolutions += _is_convolution(layer)
        if convolutions > _FIRST_CONVOLUTIONS:
            break
        if not isinstance(layer, keras.layers.Dropout):  # spatial ones, too; they do nothing here
            first.append(layer)
    return first


def _named_layers(model, names):
    by_name = {layer.name: layer for layer in _layers_with_maps(model)}
    for name in names:
        if name not in by_name:
            raise InputError(
                f"The model has no layer of this name whose output is activation maps; those that "
                f"it has are {', '.join(by_name)}. Received: {name}"
            )
    return [layer for name, layer in by_name.items() if name in names]
