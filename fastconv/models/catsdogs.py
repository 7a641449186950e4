"""catsdogs: two classes of 64x64x3 images, one sigmoid output."""

import keras
from keras import layers

from fastconv.data import Augmentation
from fastconv.models.system import System


def _layers(convolution, classes, variant):
    return [
        *convolution(32, padding="valid", pool_size=2),
        *convolution(64, padding="valid", pool_size=2),
        layers.Flatten(),
        convolution.dense(128, activation="relu"),
        convolution.dropout(0.2),
        convolution.output(1, "sigmoid"),
    ]


SYSTEM = System(
    name="catsdogs",
    input_shape=(64, 64, 3),
    classes=2,
    batch_size=32,
    loss="binary_crossentropy",
    optimizer=keras.optimizers.Adadelta,
    # That of Adadelta's authors, and Keras's default when this system was written.
    learning_rate=1.0,
    epochs=25,
    layers=_layers,
    max_classes=2,
    augmentation=Augmentation(shear=0.2, zoom=0.2, horizontal_flip=True),
)
