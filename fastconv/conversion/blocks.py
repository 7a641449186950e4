"""Which stock layers make one fused layer, and which stock layers a fused layer stands for."""

import keras
from keras import layers

from fastconv.layers import Dense, Dropout, FusedConv2D, MaxPooling2D
from fastconv.layers.activation import fused_activation

# What a fused layer takes of a stock layer's configuration: the names differ for pooling.
_BATCH_NORM = (
    "momentum",
    "epsilon",
    "center",
    "scale",
    "beta_initializer",
    "gamma_initializer",
    "moving_mean_initializer",
    "moving_variance_initializer",
    "beta_regularizer",
    "gamma_regularizer",
    "beta_constraint",
    "gamma_constraint",
    "synchronized",
)
_POOL = {"pool_size": "pool_size", "pool_strides": "strides", "pool_padding": "padding"}
_CONV = (
    "name",
    "trainable",
    "dtype",
    "filters",
    "kernel_size",
    "strides",
    "padding",
    "data_format",
    "dilation_rate",
    "groups",
    "use_bias",
    "kernel_initializer",
    "bias_initializer",
    "kernel_regularizer",
    "bias_regularizer",
    "activity_regularizer",
    "kernel_constraint",
    "bias_constraint",
)

_ALONE = {layers.Dense: Dense, layers.Dropout: Dropout, layers.MaxPooling2D: MaxPooling2D}
_ALONE_BACK = {fused: stock for stock, fused in _ALONE.items()}


def block_length(chain):
    """Returns how many layers of a chain one `FusedConv2D` can stand for.

    Args:
        chain: list of layers, each one the only reader of the layer before it.

    Returns:
        Int, 0 where the chain does not begin with a convolution that can be fused.
    """
    if not chain or not _is_convolution(chain[0]):
        return 0
    head = chain[0]
    length = 1
    if head.activity_regularizer is not None:  # of the convolution's own output
        return length
    is_linear = head.activation is keras.activations.linear
    stages = [_is_batch_norm, _is_activation] if is_linear else []
    stages += [_is_pooling, _is_dropout]
    for is_stage in stages:
        if length < len(chain) and _like(chain[length], head) and is_stage(chain[length]):
            length += 1
    return length


def fuse(block):
    """Returns the fastconv layer for a block of stock layers, not built.

    Args:
        block: list of layers as `block_length` counts them, or of one other layer.

    Returns:
        A layer, or None where fastconv has none for that layer.
    """
    head, *stages = block
    if not _is_convolution(head):
        fused = _ALONE.get(type(head)) if _is_channels_last(head) else None
        return None if fused is None else fused.from_config(head.get_config())
    config = head.get_config()
    arguments = {name: config[name] for name in _CONV}
    arguments["activation"] = config["activation"]
    for stage in stages:
        config = stage.get_config()
        if isinstance(stage, layers.BatchNormalization):
            arguments["batch_norm"] = True
            arguments.update({name: config[name] for name in _BATCH_NORM})
        elif isinstance(stage, layers.MaxPooling2D):
            arguments.update({name: config[theirs] for name, theirs in _POOL.items()})
        elif isinstance(stage, layers.SpatialDropout2D):  # which is a Dropout, too
            arguments.update(spatial_dropout=stage.rate, seed=stage.seed)
        elif isinstance(stage, layers.Dropout):
            arguments.update(dropout=stage.rate, seed=stage.seed)
        elif isinstance(stage, layers.Activation):
            arguments["activation"] = config["activation"]
        else:  # ReLU and LeakyReLU, which are activations themselves
            arguments["activation"] = keras.saving.serialize_keras_object(stage)
    return FusedConv2D.from_config(arguments)


def unfuse(layer):
    """Returns the stock layers that a fastconv layer stands for, not built; None for others."""
    if type(layer) in _ALONE_BACK:
        return [_ALONE_BACK[type(layer)].from_config(layer.get_config())]
    if type(layer) is not FusedConv2D:
        return None
    config = layer.get_config()
    convolution = {name: config[name] for name in _CONV}
    activation = config["activation"]
    if layer.negative_slope is not None:
        slope = layers.LeakyReLU(layer.negative_slope)
        activation = keras.saving.serialize_keras_object(slope)
    # A layer's activity regularizer is of its output, which is the last stage's here.
    regularizer = convolution.pop("activity_regularizer")
    if not layer.batch_norm:
        convolution["activation"] = activation
    stock = [layers.Conv2D.from_config(convolution)]

    def append(stage, name, **arguments):
        common = {"name": f"{layer.name}_{name}", "dtype": config["dtype"]}
        stock.append(stage.from_config({**common, **arguments}))

    if layer.batch_norm:
        batch_norm = {name: config[name] for name in ("trainable", *_BATCH_NORM)}
        append(layers.BatchNormalization, "batch_norm", **batch_norm)
        if layer.activation is not keras.activations.linear or layer.negative_slope is not None:
            append(layers.Activation, "activation", activation=activation)
    if layer.pool_size is not None:
        pooling = {theirs: config[name] for name, theirs in _POOL.items()}
        append(layers.MaxPooling2D, "pool", **pooling)
    if layer.dropout:
        append(layers.Dropout, "dropout", rate=layer.dropout, seed=layer.seed)
    if layer.spatial_dropout:
        append(layers.SpatialDropout2D, "dropout", rate=layer.spatial_dropout, seed=layer.seed)
    stock[-1].activity_regularizer = keras.regularizers.get(regularizer)
    return stock


# Exact types: a subclass may compute something else.


def _is_convolution(layer):
    return type(layer) is layers.Conv2D and _is_channels_last(layer) and not layer.lora_enabled


def _is_channels_last(layer):
    return getattr(layer, "data_format", "channels_last") == "channels_last"


def _is_batch_norm(layer):
    return (
        type(layer) is layers.BatchNormalization
        and layer.axis in (-1, 3)
        and not getattr(layer, "renorm", False)
    )


def _is_activation(layer):
    if type(layer) is layers.Activation:
        return True
    return type(layer) in (layers.ReLU, layers.LeakyReLU) and fused_activation(layer, None)


def _is_pooling(layer):
    return type(layer) is layers.MaxPooling2D and _is_channels_last(layer)


def _is_dropout(layer):
    if type(layer) is layers.Dropout:
        return layer.noise_shape is None
    return type(layer) is layers.SpatialDropout2D and _is_channels_last(layer)


def _like(layer, head):
    """Whether a stage can share the convolution's type, trainability and (lack of) regularizer."""
    return (
        layer.dtype_policy == head.dtype_policy
        and (layer.trainable == head.trainable or not layer.weights)
        and layer.activity_regularizer is None
    )
