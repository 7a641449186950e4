"""cifar10: 10 classes of 32x32x3 images; with `input_shape=(28, 28, 1)` the MNIST model."""

import keras
from keras import layers

from fastconv.data import Augmentation
from fastconv.models.system import System


def _layers(convolution, classes, variant):
    stages = []
    for filters in (32, 64, 64):
        stages += [
            *convolution(filters),
            *convolution(filters, padding="valid", pool_size=2, dropout=0.25),
        ]
    return [
        *stages,
        layers.Flatten(),
        convolution.dense(512, activation="relu"),
        convolution.dropout(0.5),
        convolution.output(classes, "softmax"),
    ]


SYSTEM = System(
    name="cifar10",
    input_shape=(32, 32, 3),
    classes=10,
    batch_size=256,
    loss="categorical_crossentropy",
    optimizer=keras.optimizers.RMSprop,
    learning_rate=1e-3,
    epochs=100,
    layers=_layers,
    augmentation=Augmentation(horizontal_shift=0.1, vertical_shift=0.1, horizontal_flip=True),
)
