"""Which images a run trains and validates on."""

from __future__ import annotations

import hashlib

from fastconv.data import ImageListing, ImageSplit, list_images
from fastconv.errors import InputError
from fastconv.train.settings import Settings


def select_images(chosen: Settings) -> ImageListing:
    """Lists a run's images, some of them to validate on.

    Args:
        chosen: `Settings` of the run.

    Returns:
        An `ImageListing` with images for `held_out`.

    Raises:
        InputError: The images cannot be used, they are of more classes than the system tells apart,
            or there are none to validate on.
    """
    listing = list_images(
        chosen.data,
        classes=chosen.classes,
        limit_classes=chosen.limit_classes,
        validation_split=chosen.validation_split,
        seed=chosen.seed,
    )
    names, most = listing.class_names, chosen.description.max_classes
    if most is not None and len(names) > most:
        raise InputError(
            f"{chosen.system} tells {most} classes apart: choose them with --classes A,B "
            f"(`classes=['A', 'B']`). Received: {len(names)} classes: {', '.join(names)}"
        )
    if held_out(listing) is None:
        raise InputError(
            "The data folder has no test/ to validate on: set a share of the training images apart "
            "with --validation-split 0.15 (`validation_split=0.15`), or split the folder with "
            f"`fastconv prepare`. Received: {chosen.data}"
        )
    return listing


def held_out(listing: ImageListing) -> ImageSplit | None:
    """Returns the images to validate on: those set apart, or else those of the test split."""
    return listing.test if listing.validation is None else listing.validation


def channels(chosen: Settings, listing: ImageListing) -> int:
    """Returns how many channels the images have for the model, 1 or 3."""
    if chosen.grayscale:
        return 1
    # The weights of transfer learning are for RGB.
    return 3 if chosen.description.phases else listing.train.channels


def fingerprint(listing: ImageListing) -> str:
    """Returns a hash of the images' names and labels in their order."""
    digest = hashlib.sha256()
    for split in (listing.train, held_out(listing)):
        for file, label in zip(split.files, split.labels, strict=True):
            digest.update(f"{label} {file}\n".encode())
    return digest.hexdigest()
