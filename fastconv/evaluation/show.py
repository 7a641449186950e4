"""Shows what a trained model's layers make of an image."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence

from fastconv import plots
from fastconv.errors import InputError
from fastconv.evaluation import figures
from fastconv.evaluation.activations import activation_maps, first_filters
from fastconv.evaluation.classifier import Classifier
from fastconv.files import write_files


def show(
    model: str | os.PathLike,
    image: str | os.PathLike,
    output: str | os.PathLike | None = None,
    layers: Sequence[str] | None = None,
    max_maps: int = figures.MAX_MAPS,
) -> list[pathlib.Path]:
    """Draws an image's channels, the first layer's filters and layers' activation maps.

    Writes `channels.png`, `filters.png` and, for every layer and stage,
    `maps-<n>-<layer>-<stage>.png`, where n counts them in the order of computation. Fused layers
    are drawn stage by stage.

    Args:
        model: Model file, or the run folder of `fastconv train`.
        image: Image file.
        output: Folder to write to, created where there is none; None means `show/<image>` in the
            model's own. Defaults to `None`.
        layers: Names of the layers to draw; None means the first two convolutions and what follows
            each of them. Defaults to `None`.
        max_maps: Maps to draw in one picture, the first ones. Defaults to `64`.

    Returns:
        The files, in the order named above.

    Raises:
        InputError: The model or the image cannot be used, there is no layer of the name,
            `max_maps` is less than 1, or a file cannot be written.

    Example:

    >>> from fastconv.evaluation import show
    >>> for file in show("runs/cifar10", "photos/test/cat/0.png", max_maps=16):
    ...     print(file.name)
    channels.png
    filters.png
    maps-1-fused_conv2d...-convolution.png
    maps-2-fused_conv2d...-activation.png
    maps-3-fused_conv2d...-convolution.png
    maps-4-fused_conv2d...-activation.png
    maps-5-fused_conv2d...-pooling.png
    """
    if max_maps < 1:
        raise InputError(f"`max_maps` must be at least 1. Received: max_maps={max_maps}")
    classifier = Classifier(model)
    (pixels,) = classifier.load_images([image])
    stages = activation_maps(classifier.model, pixels, layers)
    if output is None:
        output = classifier.folder / "show" / pathlib.Path(image).stem
    pictures = {
        "channels.png": figures.channels(pixels),
        "filters.png": figures.filters(*first_filters(classifier.model)),
    }
    for number, stage in enumerate(stages, start=1):
        name = f"maps-{number}-{stage.layer}-{stage.stage.replace(' ', '-')}.png"
        pictures[name] = figures.maps(stage, max_maps)
    return write_files(output, {name: plots.png(picture) for name, picture in pictures.items()})
