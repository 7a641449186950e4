"""Reads idx files, the format of MNIST: http://yann.lecun.com/exdb/mnist.

The format: two zero bytes, the type (8 for unsigned bytes), the number of dimensions, each
dimension as a big-endian int32, then the values, the last dimension running fastest.
"""

from __future__ import annotations

import gzip
import math
import pathlib
import struct
import zlib
from dataclasses import dataclass

import numpy as np

from fastconv.errors import DataError, reason

# MNIST's names of the splits.
_PREFIXES = {"train": "train", "test": "t10k"}

_UNSIGNED_BYTE = 8


@dataclass(frozen=True, eq=False)
class IdxImage:
    """One image of an idx file.

    Args:
        path: The file.
        index: Its position in the file.
        pixels: uint8 array of shape `(height, width)`.
    """

    path: pathlib.Path
    index: int
    pixels: np.ndarray

    def __str__(self) -> str:
        """Returns the path with the position, to name the image by."""
        return f"{self.path}[{self.index}]"


def find_idx_files(directory: pathlib.Path) -> dict[str, tuple[pathlib.Path, pathlib.Path]]:
    """Returns the files of images and of labels, by split, of the splits whose images are there.

    Raises:
        DataError: A split's labels are missing.
    """
    found = {}
    for split, prefix in _PREFIXES.items():
        images = _find(directory, f"{prefix}-images", 3)
        if images is None:
            continue
        labels = _find(directory, f"{prefix}-labels", 1)
        if labels is None:
            raise DataError(
                f"There are images, but no labels: {prefix}-labels-idx1-ubyte, or the same with "
                f".gz, is missing. Received: {images}"
            )
        found[split] = (images, labels)
    return found


def list_idx_images(images: pathlib.Path, labels: pathlib.Path) -> dict[str, list[IdxImage]]:
    """Reads a split and returns its images by class name, the label's digits, in label order.

    Raises:
        DataError: A file cannot be read, is damaged, or is not the other one's.
    """
    pixels = _read(images, dimensions=3)
    values = _read(labels, dimensions=1)
    if len(pixels) != len(values):
        raise DataError(
            f"The files of images and of labels do not belong together, {len(pixels)} images and "
            f"{len(values)} labels. Received: {images} and {labels}"
        )
    listing = {str(label): [] for label in np.unique(values)}
    for index, (image, label) in enumerate(zip(pixels, values, strict=True)):
        listing[str(label)].append(IdxImage(images, index, image))
    return listing


def _find(directory: pathlib.Path, stem: str, dimensions: int) -> pathlib.Path | None:
    for separator in "-.":  # as published, and as some unpackers name it
        for suffix in ("", ".gz"):
            path = directory / f"{stem}{separator}idx{dimensions}-ubyte{suffix}"
            if path.is_file():
                return path
    return None


def _read(path: pathlib.Path, dimensions: int) -> np.ndarray:
    """Returns the values of an idx file of unsigned bytes."""
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as file:
            content = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"The idx file cannot be read ({reason(error)}). Received: {path}"
        ) from error
    header = 4 + 4 * dimensions
    if len(content) < header or content[:4] != bytes((0, 0, _UNSIGNED_BYTE, dimensions)):
        raise DataError(
            f"This is no idx file of unsigned bytes with {dimensions} dimensions. Received: {path}"
        )
    shape = struct.unpack(f">{dimensions}i", content[4:header])
    if len(content) - header != math.prod(shape):
        raise DataError(
            f"The idx file must hold {math.prod(shape)} values after its header, but holds "
            f"{len(content) - header}. Load it again. Received: {path}"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)
