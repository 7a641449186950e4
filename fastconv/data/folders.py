"""Loads `train/<class>/` and `test/<class>/` folders of images into memory, and writes them."""

from __future__ import annotations

import collections
import itertools
import os
import pathlib

from PIL import Image

from fastconv.data.dataset import ImageDataset, Split
from fastconv.data.images import load_images
from fastconv.data.listing import SPLITS, ImageSplit, list_images
from fastconv.errors import DataError
from fastconv.files import written_aside


def load_folders(
    directory: str | os.PathLike, image_size: tuple[int, int] = (32, 32)
) -> ImageDataset:
    """Loads a folder with one sub-folder per split and, in those, one per class.

    Labels are the positions of the class folders in alphabetical order. Images of any size and
    colour mode become RGB, are resized (bilinear) to `image_size` and rescaled to [0, 1]. Hidden
    files and files without an image's extension are left out.

    Args:
        directory: Folder that holds `train/<class>/` and `test/<class>/`.
        image_size: `(height, width)` of the loaded images. Defaults to `(32, 32)`.

    Returns:
        An `ImageDataset` with float32 images of shape `(n, height, width, 3)`.

    Raises:
        DataError: A split is missing, there are fewer than two classes, a class has no images, the
            classes of the splits differ, or an image cannot be read.

    Example:

    >>> from fastconv.data import load_folders
    >>> dataset = load_folders("photos", image_size=(64, 64))
    >>> dataset.class_names
    ('cat', 'dog', 'horse')
    >>> dataset.train.images.shape
    (24, 64, 64, 3)
    """
    listing = list_images(directory, validation_split=0)
    if listing.test is None:
        raise DataError(
            "The data folder needs the sub-folders train/<class>/ and test/<class>/, but has no "
            f"test/. Received: {listing.directory}"
        )
    return ImageDataset(
        name=listing.directory.resolve().name,
        synthetic=False,
        class_names=listing.class_names,
        train=_load_split(listing.train, image_size),
        test=_load_split(listing.test, image_size),
    )


def write_folders(dataset: ImageDataset, directory: str | os.PathLike) -> pathlib.Path:
    """Writes a data set as a folder that `load_folders` and the commands of fastconv read.

    Args:
        dataset: Images and their classes.
        directory: Folder to make `train/<class>/` and `test/<class>/` in, with the images as PNG
            files. Older files of the same names are replaced.

    Returns:
        Path of the folder.

    Raises:
        InputError: It cannot be written.

    Example:

    >>> from fastconv.data import draw_synthetic, write_folders
    >>> write_folders(draw_synthetic(train_per_class=2, test_per_class=1), "drawings")
    PosixPath('drawings')
    """
    root = pathlib.Path(directory)
    for name in SPLITS:
        split = getattr(dataset, name)
        numbers = collections.defaultdict(itertools.count)  # by class
        for image, label in zip(split.images, split.labels, strict=True):
            file = root / name / dataset.class_names[label] / f"{next(numbers[label]):05}.png"
            with written_aside(file) as aside:
                Image.fromarray((image * 255).round().astype("uint8")).save(aside)
    return root


def _load_split(split: ImageSplit, image_size: tuple[int, int]) -> Split:
    images = load_images(split.files, image_size).astype("float32")
    images /= 255.0
    return Split(images=images, labels=split.labels)
