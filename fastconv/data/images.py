"""Decodes and resizes images, one or many at once."""

from __future__ import annotations

import concurrent.futures
import contextlib
import itertools
import os
import struct
import zlib
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from fastconv.data.idx import IdxImage
from fastconv.errors import DataError, reason

IMAGE_EXTENSIONS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")

ImageSource = str | os.PathLike | IdxImage

# What Pillow raises for broken files: SyntaxError for some PNG, ValueError for some headers.
_UNREADABLE = (
    OSError,
    EOFError,
    SyntaxError,
    ValueError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)

_MODES = {1: "L", 3: "RGB"}
_MAX_NAMED = 10
_PART = 64  # images that a thread decodes in one go


def load_image(source: ImageSource, image_size: tuple[int, int], channels: int = 3) -> np.ndarray:
    """Decodes one image and resizes it.

    Turns it as its EXIF orientation says, converts it to the channels asked for (transparency is
    left out) and resizes it (bilinear, over all pixels that a new one covers).

    Args:
        source: Path of an image file, or an image of an idx file.
        image_size: `(height, width)` of the result.
        channels: `3` for RGB or `1` for grey. Defaults to `3`.

    Returns:
        A uint8 array of shape `(height, width, channels)`.

    Raises:
        DataError: The image cannot be read.

    Example:

    >>> from fastconv.data import load_image
    >>> load_image("photos/test/cat/0.png", (64, 64)).shape
    (64, 64, 3)
    """
    height, width = image_size
    if isinstance(source, IdxImage):
        if channels == 1 and source.pixels.shape == (height, width):
            return source.pixels[..., np.newaxis]
        image = _convert(Image.fromarray(source.pixels), channels)
    else:
        with _opened(source) as image:
            # A JPEG of large dimensions is decoded at a half, quarter or eighth of them, but at no
            # less than twice the result's: much faster, and resizing sees to the rest.
            image.draft(_MODES[channels], (2 * max(image_size),) * 2)
            ImageOps.exif_transpose(image, in_place=True)
            image = _convert(image, channels)
    pixels = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
    return pixels.reshape(height, width, channels)


def load_images(
    sources: Sequence[ImageSource], image_size: tuple[int, int], channels: int = 3
) -> np.ndarray:
    """Decodes and resizes images on all cores.

    Args:
        sources: What `load_image` takes, any number of it.
        image_size: `(height, width)` of the result.
        channels: `3` for RGB or `1` for grey. Defaults to `3`.

    Returns:
        A uint8 array of shape `(len(sources), height, width, channels)`.

    Raises:
        DataError: Images cannot be read; it names them.

    Example:

    >>> from fastconv.data import list_split, load_images
    >>> load_images(list_split("photos", "test").files, (64, 64)).shape
    (12, 64, 64, 3)
    """
    images = np.empty((len(sources), *image_size, channels), "uint8")

    def load(indices):
        broken = []
        for index in indices:
            try:
                images[index] = load_image(sources[index], image_size, channels)
            except DataError as error:
                broken.append((sources[index], error))
        return broken

    # Pillow lets other threads run while it decodes and resizes. Images of a few pixels take less
    # time than to hand over each by itself.
    indices = range(len(sources))
    parts = [indices[start : start + _PART] for start in range(0, len(sources), _PART)]
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        broken = list(itertools.chain.from_iterable(threads.map(load, parts)))
    if len(broken) > 1:
        named = [str(source) for source, _ in broken[:_MAX_NAMED]]
        more = ", ..." if len(broken) > len(named) else ""
        raise DataError(
            f"{len(broken)} images cannot be read. Replace or remove them. "
            f"Received: {', '.join(named)}{more}"
        )
    for _, error in broken:
        raise error
    return images


def is_grey(source: ImageSource) -> bool:
    """Returns whether an image has no colours, from its header.

    Raises:
        DataError: The image cannot be read.
    """
    if isinstance(source, IdxImage):
        return True
    with _opened(source) as image:
        return image.mode in ("1", "L", "LA", "I") or image.mode.startswith("I;16")


@contextlib.contextmanager
def _opened(path: str | os.PathLike) -> Iterator[Image.Image]:
    try:
        with Image.open(path) as image:
            yield image
    except _UNREADABLE as error:
        # Pillow's own message would name the path once more.
        unknown = isinstance(error, UnidentifiedImageError)
        problem = "its format is unknown" if unknown else reason(error)
        raise DataError(
            f"The image cannot be read ({problem}). Replace or remove it. Received: {path}"
        ) from error


def _convert(image: Image.Image, channels: int) -> Image.Image:
    """Returns the image in RGB or grey, eight bits a value."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        # Pillow's own conversion of sixteen bits cuts off what is above 255.
        image = Image.fromarray((np.asarray(image) >> 8).astype("uint8"))
    elif image.mode in ("I", "F"):
        raise ValueError("32 bits a value")
    elif image.mode == "P":
        # By way of the palette's transparency, which Pillow would warn about.
        image = image.convert("RGBA")
    return image.convert(_MODES[channels])
