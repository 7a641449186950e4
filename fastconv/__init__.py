"""Faster training of Keras CNNs: fused convolution blocks for TensorFlow, results unchanged.

Example:

>>> import fastconv
>>> model = fastconv.models.build("cifar10")
>>> model.compile("rmsprop", "categorical_crossentropy", metrics=["accuracy"])
"""

from fastconv import config, native
from fastconv.version import __version__

# Before anything else: what cannot run says so at import.
config.check()
if config.native_enabled():
    native.ops()

from fastconv import layers, models, ops, optimizers  # noqa: E402
from fastconv.about import info  # noqa: E402
from fastconv.conversion import convert  # noqa: E402
from fastconv.explanation import explain  # noqa: E402
from fastconv.layers import FusedConv2D, MaxPooling2D  # noqa: E402
from fastconv.steps import fuse_steps  # noqa: E402

__all__ = [
    "FusedConv2D",
    "MaxPooling2D",
    "__version__",
    "convert",
    "explain",
    "fuse_steps",
    "info",
    "layers",
    "models",
    "ops",
    "optimizers",
]
