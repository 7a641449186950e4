"""food101: 10 of 101 food classes, 128x128x3 images."""

import keras
from keras import layers

from fastconv.data import Augmentation
from fastconv.models.system import System


def _layers(convolution, classes, variant):
    stages = []
    for filters, kernel_size, pool_size in ((32, 3, 2), (64, 3, 2), (128, 3, 2), (512, 5, 4)):
        stages += [
            *convolution(filters, kernel_size),
            *convolution(filters, kernel_size, padding="valid", pool_size=pool_size, dropout=0.2),
        ]
    return [
        *stages,
        layers.Flatten(),
        convolution.dense(1024, activation="relu"),
        convolution.dropout(0.5),
        convolution.output(classes, "softmax"),
    ]


SYSTEM = System(
    name="food101",
    input_shape=(128, 128, 3),
    classes=10,
    batch_size=32,
    loss="categorical_crossentropy",
    optimizer=keras.optimizers.RMSprop,
    learning_rate=1e-4,
    epochs=100,
    patience=10,
    validation_split=0.15,
    layers=_layers,
    augmentation=Augmentation(
        brightness=(0.1, 0.7),
        rotation=90.0,
        horizontal_shift=0.5,
        horizontal_flip=True,
        vertical_flip=True,
    ),
)
