"""Folders of images for tests of what reads them."""

import numpy as np
from PIL import Image


def write_image(path, seed, size=(9, 7), mode="RGB"):
    """Writes a random image of `(height, width)` and returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = {"RGB": (3,), "RGBA": (4,), "L": ()}[mode]
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, *channels), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def write_dataset(root, classes=("cat", "dog"), train=3, test=2):
    """Writes `train` and `test` images of every class and returns the folder."""
    for split, count in (("train", train), ("test", test)):
        for label, name in enumerate(classes):
            for k in range(count):
                write_image(root / split / name / f"{k}.png", seed=100 * label + k)
    return root
