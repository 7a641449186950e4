"""Augmentation against Keras's `ImageDataGenerator`, SciPy, Pillow and NumPy."""

import numpy as np
import pytest
import scipy.ndimage
import tensorflow as tf
from PIL import Image, ImageEnhance

from fastconv import models
from fastconv.data import Augmentation, DataError

ALL = Augmentation(
    brightness=(0.6, 1.4),
    rotation=90.0,
    horizontal_shift=0.3,
    vertical_shift=0.2,
    shear=0.4,
    zoom=0.3,
    horizontal_flip=True,
    vertical_flip=True,
)

# Matrices of float32 err by a few roundings of numbers up to the image's side, here 10 of them, and
# the interpolation hands that on times the difference of neighbours, at most 255 along either axis.
INTERPOLATED = 10 * 20 * 2.0**-24 * 2 * 255


def random_images(batch=8, height=20, width=20, channels=3, seed=0):
    return np.random.default_rng(seed).integers(
        0, 256, (batch, height, width, channels), dtype=np.uint8
    )


def varied(augmentation, images, seed=(3, 4)):
    """The augmented images in grey values of 0 to 255, and what was drawn for each of them."""
    batch, height, width, _ = images.shape
    drawn = augmentation.draw(batch, height, width, seed)
    values = [dict(zip(drawn._fields, row, strict=True)) for row in np.stack(drawn, axis=1)]
    result = augmentation(images, seed)
    assert result.dtype == tf.float32
    assert result.shape == images.shape
    return 255 * result.numpy().astype("float64"), values


def without_brightness(augmentation):
    return Augmentation(**{**vars(augmentation), "brightness": (1.0, 1.0)})


@pytest.mark.skipif(
    not hasattr(scipy.ndimage, "interpolation"),
    reason="this SciPy has no `ndimage.interpolation`, which Keras's generator calls",
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_geometry_is_that_of_keras_image_data_generator():
    generator = tf.keras.preprocessing.image.ImageDataGenerator(fill_mode="nearest")
    images = random_images()
    results, values = varied(without_brightness(ALL), images)
    for image, result, drawn in zip(images, results, values, strict=True):
        expected = generator.apply_transform(
            image.astype("float64"),
            {
                "theta": np.rad2deg(drawn["rotation"]),
                "tx": drawn["horizontal_shift"],
                "ty": drawn["vertical_shift"],
                "shear": np.rad2deg(drawn["shear"]),
                "zx": drawn["horizontal_zoom"],
                "zy": drawn["vertical_zoom"],
                "flip_horizontal": drawn["horizontal_sign"] < 0,
                "flip_vertical": drawn["vertical_sign"] < 0,
            },
        )
        np.testing.assert_allclose(result, expected, atol=INTERPOLATED)


@pytest.mark.parametrize("channels", [1, 3])
def test_geometry_of_oblong_images_is_that_of_an_affine_transform(channels):
    images = random_images(height=12, width=20, channels=channels)
    results, values = varied(without_brightness(ALL), images)
    for image, result, drawn in zip(images, results, values, strict=True):
        turn, slant = drawn["rotation"], drawn["shear"]
        # Row before column.
        rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        shear = np.array([[np.cos(slant), 0], [-np.sin(slant), 1]])
        zoom = np.diag([drawn["vertical_zoom"], drawn["horizontal_zoom"]])
        flip = np.diag([drawn["vertical_sign"], drawn["horizontal_sign"]])
        matrix = rotation @ shear @ zoom @ flip
        centre = np.array([5.5, 9.5])
        shift = rotation @ [drawn["vertical_shift"], drawn["horizontal_shift"]]
        expected = np.stack(
            [
                scipy.ndimage.affine_transform(
                    image[..., channel].astype("float64"),
                    matrix,
                    centre + shift - matrix @ centre,
                    order=1,
                    mode="nearest",
                )
                for channel in range(channels)
            ],
            axis=2,
        )
        np.testing.assert_allclose(result, expected, atol=INTERPOLATED)


def test_shifts_and_flips_move_pixels_and_repeat_the_border():
    images = random_images(batch=32, height=10, width=14)
    augmentation = Augmentation(
        horizontal_shift=0.3, vertical_shift=0.3, horizontal_flip=True, vertical_flip=True
    )
    results, values = varied(augmentation, images)
    assert len({(drawn["horizontal_sign"], drawn["vertical_sign"]) for drawn in values}) == 4
    for image, result, drawn in zip(images, results, values, strict=True):
        down, right = int(drawn["vertical_shift"]), int(drawn["horizontal_shift"])
        assert abs(down) <= 3
        assert abs(right) <= 4
        padded = np.pad(image, ((5, 5), (5, 5), (0, 0)), mode="edge")
        expected = padded[5 + down :][:10, 5 + right :][:, :14]
        expected = expected[:: int(drawn["vertical_sign"]), :: int(drawn["horizontal_sign"])]
        # One rounding of the quotient by 255, one of this test's product.
        np.testing.assert_allclose(result, expected, rtol=2**-23)


def test_brightness_is_pillows():
    images = random_images()
    results, values = varied(Augmentation(brightness=(0.2, 1.8)), images)
    for image, result, drawn in zip(images, results, values, strict=True):
        expected = ImageEnhance.Brightness(Image.fromarray(image)).enhance(drawn["brightness"])
        # Pillow rounds down to whole grey values.
        np.testing.assert_allclose(result, np.asarray(expected) + 0.5, atol=0.5 + 1e-3)


def test_brightness_comes_after_the_geometry():
    images = random_images()
    bright, values = varied(ALL, images)
    plain, _ = varied(without_brightness(ALL), images)
    factors = np.array([drawn["brightness"] for drawn in values])[:, None, None, None]
    np.testing.assert_allclose(bright, np.minimum(plain * factors, 255), rtol=1e-6)


def test_no_variation_only_rescales():
    images = random_images()
    results = Augmentation()(images, (0, 0)).numpy()
    np.testing.assert_array_equal(results, images.astype("float32") / np.float32(255))


def test_draws_fill_their_ranges():
    drawn = ALL.draw(4000, 100, 50, (1, 2))
    ranges = {
        "brightness": (0.6, 1.4),
        "rotation": (-np.pi / 2, np.pi / 2),
        "vertical_shift": (-20, 20),
        "horizontal_shift": (-15, 15),
        "shear": (-0.4, 0.4),
        "vertical_zoom": (0.7, 1.3),
        "horizontal_zoom": (0.7, 1.3),
        "vertical_sign": (-1, 1),
        "horizontal_sign": (-1, 1),
    }
    assert set(ranges) == set(drawn._fields)
    for name, (lowest, highest) in ranges.items():
        values = getattr(drawn, name).numpy()
        width = highest - lowest
        assert lowest - 1e-6 <= values.min() <= lowest + 0.01 * width
        assert highest - 0.01 * width <= values.max() <= highest + 1e-6
        # A mean of 4,000 draws spreads by at most half the width / sqrt(4000), 0.8 % of the width.
        assert abs(values.mean() - (lowest + highest) / 2) < 0.04 * width
    draws = np.stack(drawn)
    correlations = np.corrcoef(draws) - np.eye(len(draws))
    assert np.abs(correlations).max() < 5 / np.sqrt(4000)


def test_the_seed_decides():
    images = random_images()
    first, again, other = (ALL(images, seed).numpy() for seed in ((1, 2), (1, 2), (1, 3)))
    np.testing.assert_array_equal(first, again)
    assert (np.abs(first - other).max(axis=(1, 2, 3)) > 0.05).all()


@pytest.mark.parametrize("system", sorted(models.SYSTEMS))
def test_systems_augment_in_a_graph_as_eagerly(system):
    augmentation = models.SYSTEMS[system].augmentation
    images = random_images()
    eager = augmentation(images, (1, 2))
    graph = tf.function(augmentation)(tf.constant(images), tf.constant((1, 2)))
    np.testing.assert_allclose(eager, graph, atol=INTERPOLATED / 255)
    assert np.abs(eager - images / 255).max() > 0.1


@pytest.mark.parametrize(
    "arguments",
    [
        {"brightness": (1.5, 0.5)},
        {"brightness": (-0.1, 1.0)},
        {"brightness": (0.5, float("inf"))},
        {"rotation": -1.0},
        {"horizontal_shift": 1.0},
        {"vertical_shift": -0.1},
        {"shear": 2.0},
        {"zoom": 1.0},
    ],
)
def test_ranges_without_sense_are_refused(arguments):
    (name,) = arguments
    with pytest.raises(DataError, match=rf"`{name}`.*Received: {name}="):
        Augmentation(**arguments)
