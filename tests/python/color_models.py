"""Trained models whose answers can be told beforehand: they go by an image's mean colour."""

import keras
import numpy as np
from PIL import Image

from fastconv.layers import FusedConv2D
from fastconv.models import ModelDescription, save_model

IMAGE_SIZE = (6, 8)
COLORS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


def write_color(path, color, size=(9, 7)):
    """Writes an image of one colour, `(height, width)`, and returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size[::-1], COLORS[color]).save(path)
    return path


def write_model(path, class_names=("red", "green", "blue"), backend="fastconv"):
    """Writes a model that takes an image for the class that stands where its colour does.

    `class_names` are called as the test likes; the first stands for red, the second for green, the
    third for blue. With two classes the model has one sigmoid output: green rather than red.

    Returns:
        The path of the file.
    """
    convolution = dict(filters=3, kernel_size=1, activation="relu")
    binary = len(class_names) == 2
    model = keras.Sequential(
        [
            keras.Input((*IMAGE_SIZE, 3)),
            *(
                [FusedConv2D(**convolution, pool_size=2)]
                if backend == "fastconv"
                else [keras.layers.Conv2D(**convolution), keras.layers.MaxPooling2D()]
            ),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(
                1 if binary else len(class_names), activation="sigmoid" if binary else "softmax"
            ),
        ]
    )
    dense = np.array([[-4.0], [4.0], [0.0]]) if binary else 4 * np.eye(3, len(class_names))
    model.set_weights([np.eye(3)[None, None], np.zeros(3), dense, np.zeros(dense.shape[1])])
    description = ModelDescription(
        "catsdogs" if binary else "cifar10", None, backend, tuple(class_names), IMAGE_SIZE, 3
    )
    return save_model(model, path, description)
