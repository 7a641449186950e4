"""The five documented systems, in stock Keras layers and in fastconv's."""

import keras

from fastconv.errors import InputError
from fastconv.models import catsdogs, cifar10, food101, fruits360, vgg16
from fastconv.models.blocks import BACKENDS, PRECISIONS, ConvolutionBlock
from fastconv.models.files import ModelDescription, load_model, save_model
from fastconv.models.system import Phase, System

__all__ = [
    "BACKENDS",
    "PRECISIONS",
    "SYSTEMS",
    "ModelDescription",
    "Phase",
    "System",
    "build",
    "load_model",
    "save_model",
]

SYSTEMS = {
    module.SYSTEM.name: module.SYSTEM for module in (cifar10, fruits360, food101, catsdogs, vgg16)
}


def build(system, backend="fastconv", input_shape=None, classes=None, variant=None):
    """Builds the model of a documented system, not compiled.

    The models of both backends have equal weights in equal order:
    `fast.set_weights(stock.get_weights())` and back.

    Args:
        system: string, a key of `SYSTEMS`.
        backend: `"fastconv"` or `"stock"`. Defaults to `"fastconv"`.
        input_shape: tuple `(height, width, channels)`; None means the system's. Defaults to `None`.
        classes: int; None means the system's. Defaults to `None`.
        variant: string, one of the system's variants; None means the last. Defaults to `None`.

    Returns:
        A `keras.Sequential`, built.

    Raises:
        InputError: there is no such system, backend or variant, or classes do not fit.

    Example:

    >>> model = fastconv.models.build("cifar10")
    >>> system = fastconv.models.SYSTEMS["cifar10"]
    >>> model.compile(system.new_optimizer(), system.loss, metrics=["accuracy"])
    """
    if system not in SYSTEMS:
        raise InputError(
            f"`system` must be one of {', '.join(SYSTEMS)}. Received: system={system!r}"
        )
    if backend not in BACKENDS:
        raise InputError(
            f"`backend` must be one of {', '.join(BACKENDS)}. Received: backend={backend!r}"
        )
    description = SYSTEMS[system]
    if variant is None:
        variant = description.variants[-1] if description.variants else None
    elif variant not in description.variants:
        raise InputError(
            f"`variant` of {system} must be one of {', '.join(description.variants) or 'None'}. "
            f"Received: variant={variant!r}"
        )
    if classes is None:
        classes = description.classes
    if classes < 2 or classes > (description.max_classes or classes):
        limit = f" and at most {description.max_classes}" if description.max_classes else ""
        raise InputError(f"{system} needs at least 2{limit} classes. Received: classes={classes}")
    return keras.Sequential(
        [
            keras.Input(description.input_shape if input_shape is None else input_shape),
            *description.layers(ConvolutionBlock(backend), classes, variant),
        ],
        name=system if variant is None else f"{system}_{variant}",
    )
