"""Random changes to batches of training images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import tensorflow as tf

from fastconv.errors import DataError


@dataclass(frozen=True)
class Augmentation:
    """How training images are varied, in the terms of Keras's `ImageDataGenerator`.

    Every image draws its own values, uniform in their ranges, in every epoch. Pixels from outside
    the image repeat its border.

    Args:
        brightness: Tuple `(lowest, highest)`, the range of the factor on grey values, which are
            then cut off at white. Defaults to `(1.0, 1.0)`.
        rotation: Float, the largest angle in degrees, either way. Defaults to `0.0`.
        horizontal_shift: Float in [0, 1), the largest shift as a share of the width, either way,
            rounded to whole pixels. Defaults to `0.0`.
        vertical_shift: The same as a share of the height. Defaults to `0.0`.
        shear: Float, the largest angle in radians, either way. Defaults to `0.0`.
        zoom: Float in [0, 1); height and width are divided by factors of their own, between
            `1 - zoom` and `1 + zoom`. Defaults to `0.0`.
        horizontal_flip: Bool, whether one image in two is mirrored left to right. Defaults to
            `False`.
        vertical_flip: Bool, whether one image in two is mirrored top to bottom. Defaults to
            `False`.

    Raises:
        DataError: A range is negative or too large.

    Example:

    >>> from fastconv.data import Augmentation
    >>> augmentation = Augmentation(horizontal_shift=0.1, horizontal_flip=True)
    >>> augmentation(np.zeros((8, 32, 32, 3), "uint8"), seed=(0, 1)).shape
    TensorShape([8, 32, 32, 3])
    """

    brightness: tuple[float, float] = (1.0, 1.0)
    rotation: float = 0.0
    horizontal_shift: float = 0.0
    vertical_shift: float = 0.0
    shear: float = 0.0
    zoom: float = 0.0
    horizontal_flip: bool = False
    vertical_flip: bool = False

    def __post_init__(self):
        lowest, highest = self.brightness
        limits = {
            "rotation": 360,
            "horizontal_shift": 1,
            "vertical_shift": 1,
            "shear": math.pi / 2,
            "zoom": 1,
        }
        for name, limit in limits.items():
            if not 0 <= getattr(self, name) < limit:
                raise DataError(
                    f"`{name}` of an augmentation must be at least 0 and less than {limit:.4g}. "
                    f"Received: {name}={getattr(self, name)}"
                )
        if not 0 <= lowest <= highest < math.inf:
            raise DataError(
                "`brightness` of an augmentation must be the lowest and the highest factor, both "
                f"at least 0. Received: brightness={self.brightness}"
            )

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Returns the varied images, a pure function of images and seed.

        Args:
            images: uint8 tensor of shape `(batch, height, width, channels)`.
            seed: int32 or int64 tensor of shape `(2,)`.

        Returns:
            A float32 tensor of the same shape, rescaled to [0, 1].
        """
        images = tf.convert_to_tensor(images)
        height, width = images.shape[1:3]
        variations = self.draw(tf.shape(images)[0], height, width, seed)
        if self.rotation or self.shear or self.zoom:
            images = _transform(images, variations)
        elif any(
            (self.horizontal_shift, self.vertical_shift, self.horizontal_flip, self.vertical_flip)
        ):
            images = _move(images, variations)
        images = tf.cast(images, tf.float32)
        if self.brightness != (1.0, 1.0):
            factors = variations.brightness[:, tf.newaxis, tf.newaxis, tf.newaxis]
            images = tf.minimum(images * factors, 255.0)
        return rescale(images)

    def draw(self, batch: int, height: int, width: int, seed: tf.Tensor) -> Variations:
        """Draws what happens to each image of a batch, a pure function of the arguments.

        Args:
            batch: Number of images.
            height: Rows of an image.
            width: Columns of an image.
            seed: int32 or int64 tensor of shape `(2,)`.

        Returns:
            `Variations`.
        """
        shape = (len(Variations._fields), batch)
        draws = iter(tf.unstack(tf.random.stateless_uniform(shape, seed)))

        def between(lowest, highest):
            return lowest + next(draws) * (highest - lowest)

        def sign(flips):
            return tf.where(next(draws) < (0.5 if flips else 0.0), -1.0, 1.0)

        rotation = math.radians(self.rotation)
        rows, columns = self.vertical_shift * height, self.horizontal_shift * width
        return Variations(
            brightness=between(*self.brightness),
            rotation=between(-rotation, rotation),
            vertical_shift=tf.round(between(-rows, rows)),
            horizontal_shift=tf.round(between(-columns, columns)),
            shear=between(-self.shear, self.shear),
            vertical_zoom=between(1 - self.zoom, 1 + self.zoom),
            horizontal_zoom=between(1 - self.zoom, 1 + self.zoom),
            vertical_sign=sign(self.vertical_flip),
            horizontal_sign=sign(self.horizontal_flip),
        )


class Variations(NamedTuple):
    """What happens to each image of a batch: float32 tensors of shape `(batch,)`.

    Attributes:
        brightness: Factors on grey values.
        rotation: Angles in radians.
        vertical_shift: Whole pixels.
        horizontal_shift: Whole pixels.
        shear: Angles in radians.
        vertical_zoom: Divisors of the height.
        horizontal_zoom: Divisors of the width.
        vertical_sign: -1 where the image is mirrored top to bottom, else 1.
        horizontal_sign: -1 where the image is mirrored left to right, else 1.
    """

    brightness: tf.Tensor
    rotation: tf.Tensor
    vertical_shift: tf.Tensor
    horizontal_shift: tf.Tensor
    shear: tf.Tensor
    vertical_zoom: tf.Tensor
    horizontal_zoom: tf.Tensor
    vertical_sign: tf.Tensor
    horizontal_sign: tf.Tensor


def rescale(images: tf.Tensor) -> tf.Tensor:
    """Returns grey values of 0 to 255 as float32 in [0, 1]."""
    return tf.cast(images, tf.float32) / 255.0


def _transform(images: tf.Tensor, variations: Variations) -> tf.Tensor:
    """Rotates, shifts, shears, zooms and flips in one pass, with bilinear interpolation.

    The pixel at `p`, column before row, comes from `R (t + S Z F (p - c)) + c` with the centre `c`,
    rotation `R`, shift `t`, shear `S`, zoom `Z` and flip `F`: the order of Keras's
    `ImageDataGenerator`.
    """
    height, width = images.shape[1:3]
    middle_row, middle_column = (height - 1) / 2, (width - 1) / 2
    cosine, sine = tf.cos(variations.rotation), tf.sin(variations.rotation)
    cosine_shear, sine_shear = tf.cos(variations.shear), tf.sin(variations.shear)
    columns = variations.horizontal_zoom * variations.horizontal_sign
    rows = variations.vertical_zoom * variations.vertical_sign

    def input_line(along_column, along_row, middle):
        """Returns the factors of output column and row, and the summand, of an input line.

        The first two arguments are its row of `R`, `middle` its part of `c`.
        """
        column = along_column * columns
        row = rows * (along_row * cosine_shear - along_column * sine_shear)
        shift = along_column * variations.horizontal_shift + along_row * variations.vertical_shift
        return [column, row, shift + middle - column * middle_column - row * middle_row]

    zeros = tf.zeros_like(cosine)
    return tf.raw_ops.ImageProjectiveTransformV3(
        # Faster than on uint8, which rounds down.
        images=tf.cast(images, tf.float32),
        transforms=tf.stack(
            [
                *input_line(cosine, -sine, middle_column),
                *input_line(sine, cosine, middle_row),
                zeros,
                zeros,
            ],
            axis=1,
        ),
        output_shape=[height, width],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )


def _move(images: tf.Tensor, variations: Variations) -> tf.Tensor:
    """Shifts and flips: each pixel is one of the image's, so it is copied, not interpolated."""
    _, height, width, channels = images.shape
    rows = _moved(height, variations.vertical_sign, variations.vertical_shift)
    columns = _moved(width, variations.horizontal_sign, variations.horizontal_shift)
    first_rows = tf.range(tf.shape(images)[0])[:, tf.newaxis] * height
    pixels = (first_rows + rows)[:, :, tf.newaxis] * width + columns[:, tf.newaxis, :]
    return tf.gather(tf.reshape(images, [-1, channels]), pixels)


def _moved(length: int, sign: tf.Tensor, shift: tf.Tensor) -> tf.Tensor:
    """Returns the input's row (column) for each of the output, shape `(batch, length)`."""
    middle = (length - 1) / 2
    offsets = tf.range(length, dtype=tf.float32) - middle
    lines = sign[:, tf.newaxis] * offsets + (middle + shift[:, tf.newaxis])
    return tf.cast(tf.clip_by_value(lines, 0, length - 1), tf.int32)
