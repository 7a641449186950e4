"""The files that the examples of docstrings and documentation find in their folder."""

import keras
from image_folders import write_dataset

from fastconv import models

PHOTOS = ("cat", "dog", "horse")


def write(folder):
    """Writes `photos`, images in folders, and `runs/cifar10`, a model for them."""
    write_dataset(folder / "photos", classes=PHOTOS, train=8, test=4)
    description = models.ModelDescription(
        "cifar10", None, "fastconv", PHOTOS, image_size=(32, 32), channels=3
    )
    keras.utils.set_random_seed(0)
    model = models.build("cifar10", classes=len(PHOTOS))
    models.save_model(model, folder / "runs/cifar10/model.keras", description)
    return folder
