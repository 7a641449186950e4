"""Draws a small data set of shapes and textures, so that fastconv can be tried without any images.

The images are synthetic: accuracies on them say that training works, nothing about photographs.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from fastconv.data.dataset import ImageDataset, Split
from fastconv.errors import DataError

# Images are drawn this many times larger and then reduced, which smooths the edges.
_OVERSAMPLING = 3

_MIN_CONTRAST = 0.3
_MAX_NOISE = 0.1


def draw_synthetic(
    train_per_class: int = 384,
    test_per_class: int = 64,
    image_size: tuple[int, int] = (32, 32),
    seed: int = 0,
) -> ImageDataset:
    """Draws the 10-class data set of `fastconv demo`.

    Every image shows one shape or texture at a random position, size and rotation, in a dark
    colour on a light background that runs from one random colour to another, under random noise.
    Image `k` of a class depends on the seed, the split, the class and `k` alone, so the images of a
    class in a larger data set begin with those of a smaller one.

    Args:
        train_per_class: Training images of each class. Defaults to `384`.
        test_per_class: Test images of each class. Defaults to `64`.
        image_size: `(height, width)`, each at least 16. Defaults to `(32, 32)`.
        seed: Start of the random numbers. Defaults to `0`.

    Returns:
        An `ImageDataset` with float32 images of shape `(n, height, width, 3)`.

    Raises:
        DataError: A count is below one or the images are too small to show a shape.

    Example:

    >>> from fastconv.data import draw_synthetic
    >>> dataset = draw_synthetic(train_per_class=2, test_per_class=1)
    >>> dataset.train.images.shape
    (20, 32, 32, 3)
    """
    if min(train_per_class, test_per_class) < 1:
        raise DataError(
            "Each class needs at least one training and one test image. "
            f"Received: train_per_class={train_per_class}, test_per_class={test_per_class}"
        )
    if min(image_size) < 16:
        raise DataError(
            f"Images need at least 16 rows and columns. Received: image_size={image_size}"
        )
    return ImageDataset(
        name="shapes",
        synthetic=True,
        class_names=CLASS_NAMES,
        train=_draw_split((seed, 0), train_per_class, image_size),
        test=_draw_split((seed, 1), test_per_class, image_size),
    )


def _draw_split(key: tuple[int, int], per_class: int, image_size: tuple[int, int]) -> Split:
    labels = np.repeat(np.arange(len(CLASS_NAMES), dtype="int32"), per_class)
    images = np.stack(
        [
            _draw_image(np.random.default_rng([*key, label, k]), _MARKS[name], image_size)
            for label, name in enumerate(CLASS_NAMES)
            for k in range(per_class)
        ]
    )
    return Split(images=images, labels=labels)


def _draw_image(
    rng: np.random.Generator, mark: Callable[[ImageDraw.ImageDraw], None], size: tuple[int, int]
) -> np.ndarray:
    height, width = size
    mask = _place(rng, mark, size)[..., np.newaxis]
    start, end, colour = _draw_colours(rng)
    angle = rng.uniform(0, 2 * math.pi)
    rows, columns = np.mgrid[0:height, 0:width]
    along = math.cos(angle) * columns / width + math.sin(angle) * rows / height
    along = ((along - along.min()) / np.ptp(along))[..., np.newaxis]
    image = (1 - along) * start + along * end
    image = (1 - mask) * image + mask * colour
    image += rng.normal(0, rng.uniform(0, _MAX_NOISE), image.shape)
    return np.clip(image, 0, 1).astype("float32")


def _place(
    rng: np.random.Generator, mark: Callable[[ImageDraw.ImageDraw], None], size: tuple[int, int]
) -> np.ndarray:
    """Returns how much of each pixel the mark covers, in [0, 1], shape `size`."""
    height, width = (_OVERSAMPLING * side for side in size)
    side = int(rng.uniform(0.5, 0.9) * min(height, width))
    stamp = Image.new("L", (_UNIT, _UNIT), 0)
    mark(ImageDraw.Draw(stamp))
    stamp = stamp.resize((side, side), Image.Resampling.BOX)
    stamp = stamp.rotate(rng.uniform(0, 360), Image.Resampling.BILINEAR, expand=True)
    # The unrotated mark lies inside the image.
    left = int(rng.uniform(side / 2, width - side / 2) - stamp.width / 2)
    top = int(rng.uniform(side / 2, height - side / 2) - stamp.height / 2)
    canvas = Image.new("L", (width, height), 0)
    canvas.paste(stamp, (left, top))
    return np.asarray(canvas.resize(size[::-1], Image.Resampling.BOX), "float64") / 255


def _draw_colours(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns both ends of a light background and a dark colour that stands out from either."""
    start, end = rng.uniform(0.5, 1, (2, 3))
    while True:
        colour = rng.uniform(0, 0.6, 3)
        if min((start - colour).mean(), (end - colour).mean()) >= _MIN_CONTRAST:
            return start, end, colour


# The marks, drawn white on a square of _UNIT pixels and centred in it.
_UNIT = 96
_BOX = (8, 8, _UNIT - 8, _UNIT - 8)


def _disk(draw: ImageDraw.ImageDraw) -> None:
    draw.ellipse(_BOX, fill=255)


def _ring(draw: ImageDraw.ImageDraw) -> None:
    draw.ellipse(_BOX, outline=255, width=14)


def _square(draw: ImageDraw.ImageDraw) -> None:
    draw.rectangle(_BOX, fill=255)


def _frame(draw: ImageDraw.ImageDraw) -> None:
    draw.rectangle(_BOX, outline=255, width=14)


def _triangle(draw: ImageDraw.ImageDraw) -> None:
    draw.regular_polygon((_UNIT / 2, _UNIT / 2, _UNIT / 2), 3, fill=255)


def _cross(draw: ImageDraw.ImageDraw) -> None:
    draw.rectangle((8, 36, 88, 60), fill=255)
    draw.rectangle((36, 8, 60, 88), fill=255)


def _star(draw: ImageDraw.ImageDraw) -> None:
    corners = 10
    points = []
    for corner in range(corners):
        radius = (_UNIT / 2) * (1.0 if corner % 2 == 0 else 0.42)
        angle = 2 * math.pi * corner / corners
        points.append((_UNIT / 2 + radius * math.sin(angle), _UNIT / 2 - radius * math.cos(angle)))
    draw.polygon(points, fill=255)


def _stripes(draw: ImageDraw.ImageDraw) -> None:
    for left in range(8, 88, 24):
        draw.rectangle((left, 8, left + 11, 88), fill=255)


def _checkers(draw: ImageDraw.ImageDraw) -> None:
    for row in range(4):
        for column in range(row % 2, 4, 2):
            draw.rectangle(
                (8 + 20 * column, 8 + 20 * row, 27 + 20 * column, 27 + 20 * row), fill=255
            )


def _dots(draw: ImageDraw.ImageDraw) -> None:
    for top in range(8, 88, 28):
        for left in range(8, 88, 28):
            draw.ellipse((left, top, left + 20, top + 20), fill=255)


_MARKS = {
    "checkers": _checkers,
    "cross": _cross,
    "disk": _disk,
    "dots": _dots,
    "frame": _frame,
    "ring": _ring,
    "square": _square,
    "star": _star,
    "stripes": _stripes,
    "triangle": _triangle,
}

CLASS_NAMES = tuple(_MARKS)
