"""Rebuilds a Keras model from other layers, with equal weights."""

import collections
import contextlib
import itertools

import keras

from fastconv import optimizers
from fastconv.conversion import blocks
from fastconv.conversion.state import copy_state
from fastconv.errors import InputError
from fastconv.models import BACKENDS

# Keras names the class nowhere in public.
_Functional = type(keras.Model(_input := keras.Input((1,)), keras.layers.Identity()(_input)))


def convert(model, backend="fastconv"):
    """Returns a model of fastconv's layers that computes what the given one does, or the way back.

    A `keras.layers.Conv2D` and what follows it - `BatchNormalization`, an activation,
    `MaxPooling2D`, `Dropout` or `SpatialDropout2D`, in this order, each optional and read by
    nothing else - become one `fastconv.layers.FusedConv2D` with the convolution's name; other
    `MaxPooling2D`, `Dropout` and `Dense` layers become fastconv's. All other layers are copied.
    Models inside the model are converted too. Weights, and where dropout's random numbers stand,
    are copied; the given model is not changed.

    A compiled model comes back compiled alike, with a new optimizer: fastconv's own where
    `fastconv.optimizers.fuse` has one.

    Args:
        model: built `keras.Sequential` or functional `keras.Model`.
        backend: `"fastconv"`, or `"stock"` to turn fastconv's layers into those of `keras.layers`.
            Defaults to `"fastconv"`.

    Returns:
        A new model of the same kind.

    Raises:
        InputError: the model is not built, its class is another, or there is no such backend.

    Example:

    >>> stock = keras.applications.VGG16(weights=None, input_shape=(64, 64, 3), classes=10)
    >>> fast = fastconv.convert(stock)
    >>> [type(layer).__name__ for layer in fast.layers[:3]]
    ['InputLayer', 'FusedConv2D', 'FusedConv2D']
    >>> len(stock.layers), len(fast.layers)
    (23, 18)
    """
    if backend not in BACKENDS:
        raise InputError(
            f"`backend` must be one of {', '.join(BACKENDS)}. Received: backend={backend!r}"
        )
    return _Conversion(backend).run(model)


class _Conversion:
    """Converts one model."""

    def __init__(self, backend):
        self._backend = backend
        # By the id of a layer (or operation) the layers that stand for it, none for all but the
        # first one of a block.
        self._substitutes = {}
        self._copies = []  # pairs of lists of layers: sources and targets of weights

    def run(self, model):
        """Returns the converted model."""
        if not isinstance(model, (keras.Sequential, _Functional)) or not model.built:
            raise InputError(
                "`model` must be a built keras.Sequential or functional keras.Model: of other "
                f"classes the layers' order is not known. Received: model={model}"
            )
        if isinstance(model, keras.Sequential):
            self._substitute(model.layers, dict(itertools.pairwise(model.layers)))
            converted = self._sequential(model)
        else:
            self._substitute(model.layers, _only_readers(model))
            converted = keras.models.clone_model(
                model, clone_function=self._substitutes_of, call_function=_call
            )
        for sources, targets in self._copies:
            copy_state(sources, targets)
        if model.compiled:
            converted.compile_from_config(self._compile_config(model))
        return converted

    def _substitute(self, layers, next_layers):
        """Decides what stands for each layer.

        Args:
            layers: list of layers.
            next_layers: dict from a layer to the one that alone reads it.
        """
        for layer in layers:
            if id(layer) in self._substitutes or isinstance(layer, keras.layers.InputLayer):
                continue
            chain = [layer]
            while chain[-1] in next_layers:
                chain.append(next_layers[chain[-1]])
            block = chain[: max(1, blocks.block_length(chain))]
            substitutes = self._convert(block)
            self._substitutes.update((id(other), []) for other in block[1:])
            self._substitutes[id(layer)] = substitutes
            if not isinstance(layer, (keras.Sequential, _Functional)):  # which copied its own
                self._copies.append((block, substitutes))

    def _convert(self, block):
        head = block[0]
        if isinstance(head, (keras.Sequential, _Functional)):
            return [_Conversion(self._backend).run(head)]
        if self._backend == "stock":
            substitutes = blocks.unfuse(head)
        else:
            fused = blocks.fuse(block)
            substitutes = None if fused is None else [fused]
        return substitutes or [_copy(head)]

    def _substitutes_of(self, operation):
        if id(operation) not in self._substitutes:  # an operation that is no layer: no weights
            self._substitutes[id(operation)] = [_copy(operation)]
        return self._substitutes[id(operation)]

    def _sequential(self, model):
        layers = [new for layer in model.layers for new in self._substitutes[id(layer)]]
        inputs = keras.Input(batch_shape=model.input_shape, dtype=model.inputs[0].dtype)
        return keras.Sequential([inputs, *layers], name=model.name, trainable=model.trainable)

    def _compile_config(self, model):
        config = model.get_compile_config()
        if self._backend == "fastconv":
            with contextlib.suppress(InputError):  # one that fastconv does not have stays
                fresh = type(model.optimizer).from_config(model.optimizer.get_config())
                config["optimizer"] = keras.saving.serialize_keras_object(optimizers.fuse(fresh))
        return config


def _only_readers(model):
    """Returns a dict from each layer that exactly one other layer reads, and only it, to that."""
    readers = collections.defaultdict(list)
    config = model.get_config()
    for entry in config["layers"]:
        for node in entry["inbound_nodes"]:
            read = list(_histories(node))
            plain = len(read) == 1 and not any(keras.tree.flatten(node["kwargs"]))
            for name in read:
                readers[name].append(entry["name"] if plain else None)
    for name, *_ in _output_histories(config["output_layers"]):
        readers[name].append(None)
    calls = {entry["name"]: len(entry["inbound_nodes"]) for entry in config["layers"]}
    layers = {layer.name: layer for layer in model.layers}
    return {
        layers[name]: layers[found[0]]
        for name, found in readers.items()
        if name in layers and len(found) == 1 and found[0] in layers
        if calls[name] == calls[found[0]] == 1
    }


def _histories(structure):
    """Yields the names of the layers whose results a serialized structure holds."""
    if isinstance(structure, dict):
        if structure.get("class_name") == "__keras_tensor__":
            yield structure["config"]["keras_history"][0]
        else:
            for value in structure.values():
                yield from _histories(value)
    elif isinstance(structure, (list, tuple)):
        for value in structure:
            yield from _histories(value)


def _output_histories(structure):
    """Yields the `[layer, call, output]` entries of a serialized structure of outputs."""
    if isinstance(structure, dict):
        structure = list(structure.values())
    if structure and isinstance(structure[0], str):
        yield structure
        return
    for value in structure:
        yield from _output_histories(value)


def _call(layers, *args, **kwargs):
    if not layers:  # the block's first layer has done it
        return args[0]
    outputs = layers[0](*args, **kwargs)
    for layer in layers[1:]:
        outputs = layer(outputs)
    return outputs


def _copy(operation):
    return type(operation).from_config(operation.get_config())
