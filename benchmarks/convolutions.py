"""The convolutions that are timed alone: those of the documented systems, and of layers.txt."""

from __future__ import annotations

import math
import pathlib
from typing import NamedTuple

import keras

from fastconv import models

_LIST = pathlib.Path(__file__).with_name("layers.txt")


class Convolution(NamedTuple):
    """A convolution with square filters and strides of one."""

    batch: int
    height: int
    width: int
    channels: int
    filters: int
    kernel_size: int
    padding: str

    @property
    def x_shape(self):
        return self.batch, self.height, self.width, self.channels

    @property
    def filter_shape(self):
        return self.kernel_size, self.kernel_size, self.channels, self.filters

    @property
    def y_shape(self):
        lost = 0 if self.padding == "same" else self.kernel_size - 1
        return self.batch, self.height - lost, self.width - lost, self.filters

    @property
    def flops(self):
        """Operations of each of the three passes, zeros of the padding included."""
        return 2 * math.prod(self.y_shape) * self.kernel_size**2 * self.channels

    def bytes(self, itemsize, pooled=False):
        """Size of the three tensors, of which each pass reads two and writes one.

        Args:
            itemsize: int, bytes of an element.
            pooled: whether 2x2 maxima are written instead of the result.
        """
        batch, height, width, filters = self.y_shape
        y_shape = (batch, height // 2, width // 2, filters) if pooled else self.y_shape
        return itemsize * sum(map(math.prod, (self.x_shape, self.filter_shape, y_shape)))

    def __str__(self):
        return (
            f"{self.batch}x{self.height}x{self.width}x{self.channels}, "
            f"{self.filters} of {self.kernel_size}x{self.kernel_size} {self.padding}"
        )


def of_system(system, batch):
    """Returns the convolutions of a documented system, in order."""
    model = models.build(system.name, backend="stock")
    found = []
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            if layer.strides != (1, 1) or layer.kernel_size[0] != layer.kernel_size[1]:
                raise ValueError(
                    "The benchmark takes square filters and strides of one. "
                    f"Received: {layer.name} of {system.name}"
                )
            _, height, width, channels = layer.input.shape
            found.append(
                Convolution(
                    batch,
                    height,
                    width,
                    channels,
                    layer.filters,
                    layer.kernel_size[0],
                    layer.padding,
                )
            )
    return found


def listed():
    """Returns the convolutions of layers.txt."""
    lines = _LIST.read_text(encoding="utf-8").splitlines()
    words = (line.split() for line in lines if not line.startswith("#"))
    return [Convolution(*map(int, line[:6]), line[6]) for line in words]


def selected(options):
    """Returns the convolutions to measure, each once, with where they occur."""
    found = {}
    for name in options.systems:
        system = models.SYSTEMS[name]
        for batch in options.batch or [system.batch_size]:
            for convolution in of_system(system, batch):
                found.setdefault(convolution, []).append(name)
    # The list has batch sizes of its own.
    for convolution in [] if options.batch or options.quick else listed():
        found.setdefault(convolution, [])
    return {convolution: sorted(set(names)) for convolution, names in found.items()}
