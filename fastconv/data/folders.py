"""Loads `train/<class>/` and `test/<class>/` folders of images."""

from __future__ import annotations

import os
import pathlib

import numpy as np
from PIL import Image

from fastconv.data.dataset import DataError, ImageDataset, Split

SPLITS = ("train", "test")
EXTENSIONS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")


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
    >>> dataset = load_folders("photos", image_size=(64, 64))
    >>> dataset.train.images.shape
    (800, 64, 64, 3)
    """
    root = pathlib.Path(directory)
    if not root.is_dir():
        raise DataError(f"The data folder does not exist or is not a folder. Received: {root}")
    listings = {split: _list_split(root, split) for split in SPLITS}
    _check_same_classes(root, listings)
    class_names = tuple(listings["train"])
    splits = {
        split: _load_split(list(listing.values()), image_size)
        for split, listing in listings.items()
    }
    return ImageDataset(
        name=root.resolve().name, synthetic=False, class_names=class_names, **splits
    )


def _list_split(root: pathlib.Path, split: str) -> dict[str, list[pathlib.Path]]:
    """Returns the image files of every class of a split, both in alphabetical order."""
    folder = root / split
    if not folder.is_dir():
        raise DataError(
            f"The data folder needs the sub-folders train/<class>/ and test/<class>/, but has no "
            f"{split}/. Received: {root}"
        )
    listing = {
        entry.name: _list_images(entry)
        for entry in sorted(folder.iterdir())
        if entry.is_dir() and not entry.name.startswith(".")
    }
    if len(listing) < 2:
        raise DataError(
            f"A split needs at least two class folders, {split}/ has {len(listing)}. "
            f"Received: {folder}"
        )
    for name, images in listing.items():
        if not images:
            raise DataError(
                f"Class {name!r} has no images in {split}/ (files ending in "
                f"{', '.join(EXTENSIONS)}). Received: {folder / name}"
            )
    return listing


def _list_images(folder: pathlib.Path) -> list[pathlib.Path]:
    return [
        entry
        for entry in sorted(folder.iterdir())
        if entry.suffix.lower() in EXTENSIONS and not entry.name.startswith(".") and entry.is_file()
    ]


def _check_same_classes(root: pathlib.Path, listings: dict[str, dict]) -> None:
    classes = {split: set(listing) for split, listing in listings.items()}
    if classes["train"] == classes["test"]:
        return
    only = "; ".join(
        f"only in {split}/: {', '.join(sorted(names))}"
        for split, names in (
            ("train", classes["train"] - classes["test"]),
            ("test", classes["test"] - classes["train"]),
        )
        if names
    )
    raise DataError(f"train/ and test/ must hold the same classes; {only}. Received: {root}")


def _load_split(images_by_class: list[list[pathlib.Path]], image_size: tuple[int, int]) -> Split:
    labels = np.repeat(
        np.arange(len(images_by_class), dtype="int32"), [len(paths) for paths in images_by_class]
    )
    images = np.empty((len(labels), *image_size, 3), dtype="float32")
    paths = (path for paths in images_by_class for path in paths)
    for row, path in zip(images, paths, strict=True):
        row[...] = _load_image(path, image_size)
    images /= 255.0
    return Split(images=images, labels=labels)


def _load_image(path: pathlib.Path, image_size: tuple[int, int]) -> np.ndarray:
    """Returns one image as uint8 RGB, shape `(height, width, 3)`."""
    height, width = image_size
    try:
        with Image.open(path) as image:
            rgb = image.convert("RGB")
    # Pillow raises SyntaxError for some broken PNG files and ValueError for some broken headers.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"The image cannot be read ({error}). Received: {path}") from error
    return np.asarray(rgb.resize((width, height), Image.Resampling.BILINEAR))
