"""The files that the examples of docstrings and documentation find in their folder."""

import gzip
import json
import struct

import keras
import numpy as np
from image_folders import write_dataset, write_image

from fastconv import models
from fastconv.data import draw_synthetic, write_folders

PHOTOS = ("cat", "dog", "horse")
DISHES = ("pizza", "sushi", "waffles")


def write(folder):
    """Writes images as the pages name them, and `runs/cifar10`, a model for `photos`."""
    write_dataset(folder / "photos", classes=PHOTOS, train=8, test=4)
    write_folders(draw_synthetic(train_per_class=8, test_per_class=2), folder / "shapes")
    for name in PHOTOS:
        for number in range(10):
            write_image(folder / "unsorted" / name / f"{number}.png", seed=number)
    write_image(folder / "dinner.jpg", seed=0)
    _write_food101(folder / "food-101")
    _write_mnist(folder / "mnist")
    description = models.ModelDescription(
        "cifar10", None, "fastconv", PHOTOS, image_size=(32, 32), channels=3
    )
    keras.utils.set_random_seed(0)
    model = models.build("cifar10", classes=len(PHOTOS))
    models.save_model(model, folder / "runs/cifar10/model.keras", description)
    return folder


def _write_food101(folder):
    """Food-101's layout: images by class, and lists of both splits."""
    for name in DISHES:
        for number in range(12):
            write_image(folder / "images" / name / f"{number}.jpg", seed=number)
    for split, numbers in (("train", range(8)), ("test", range(8, 12))):
        listed = {name: [f"{name}/{number}" for number in numbers] for name in DISHES}
        path = folder / "meta" / f"{split}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(listed))


def _write_mnist(folder):
    """MNIST's four files, with two random images of each digit in both splits."""
    folder.mkdir()
    labels = np.tile(np.arange(10, dtype=np.uint8), 2)
    pixels = np.random.default_rng(0).integers(0, 256, (len(labels), 28, 28), dtype=np.uint8)
    for split in ("train", "t10k"):
        for name, values in (("images-idx3", pixels), ("labels-idx1", labels)):
            header = struct.pack(f">HBB{values.ndim}i", 0, 8, values.ndim, *values.shape)
            content = gzip.compress(header + values.tobytes())
            (folder / f"{split}-{name}-ubyte.gz").write_bytes(content)
