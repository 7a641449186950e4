"""Weights of VGG16 for transfer learning."""

from __future__ import annotations

import os
import pathlib

import keras

from fastconv.errors import InputError, reason

_URL = (
    "https://storage.googleapis.com/tensorflow/keras-applications/vgg16/"
    "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
)


def load_base_weights(model: keras.Model, weights: str | os.PathLike) -> None:
    """Gives the layers of the vgg16 system the weights of layers of the same names.

    Args:
        model: The vgg16 system's, of either backend.
        weights: `"imagenet"` for those that Keras downloads; the path of a weights file that
            `keras.applications.VGG16` loads without its top; or the path of a `.keras` model.

    Raises:
        InputError: The weights cannot be fetched or loaded, or are of other layers.
    """
    source = _imagenet() if weights == "imagenet" else _local(pathlib.Path(weights))
    found = {layer.name: layer.get_weights() for layer in source.layers}
    for layer in model.layers:
        # The head stays: it is for other classes.
        if not layer.name.startswith("block") or not layer.weights:
            continue
        values = found.get(layer.name)
        if values is None or [value.shape for value in values] != [
            tuple(weight.shape) for weight in layer.weights
        ]:
            raise InputError(
                f"The weights have no layer {layer.name!r} of VGG16's shape. Received: {weights}"
            )
        layer.set_weights(values)


def _imagenet() -> keras.Model:
    try:
        return keras.applications.VGG16(include_top=False, weights="imagenet")
    # `get_file` raises plain exceptions for whatever keeps it from fetching.
    except Exception as error:
        raise InputError(
            f"The ImageNet weights cannot be fetched ({error}). Fetch {_URL} where there is a "
            "network and give the file with --weights FILE, or begin with random weights, "
            "--weights none. Received: weights=imagenet"
        ) from error


def _local(path: pathlib.Path) -> keras.Model:
    if not path.is_file():
        raise InputError(f"There is no such weights file. Received: {path}")
    try:
        if path.suffix == ".keras":
            return keras.saving.load_model(path, compile=False)
        return keras.applications.VGG16(include_top=False, weights=str(path))
    # What Keras, h5py and zipfile raise for files of other kinds and other layers.
    except Exception as error:
        raise InputError(
            "The weights cannot be loaded: give a .keras model, or a weights file (.h5 or "
            f".weights.h5) for VGG16 without its top ({reason(error)}). Received: {path}"
        ) from error
