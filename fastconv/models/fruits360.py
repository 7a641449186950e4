"""fruits360: 17 classes of 35x35x3 images; the author's iterations v1 to v6."""

import keras
from keras import layers

from fastconv.data import Augmentation
from fastconv.models.system import System


def _layers(convolution, classes, variant):
    dense_units = {"v5": 300, "v6": 250}.get(variant, 100)
    if variant in ("v1", "v2"):
        return [
            *convolution(16 if variant == "v1" else 32, pool_size=2),
            layers.Flatten(),
            convolution.dense(dense_units, activation="relu"),
            convolution.output(classes, "softmax"),
        ]
    if variant == "v6":
        first = convolution(64, batch_norm=True, spatial_dropout=0.2, kernel_regularizer="l2")
        second = convolution(128, batch_norm=True, activation=layers.LeakyReLU(), pool_size=2)
    else:
        first = convolution(32, batch_norm=variant == "v5", spatial_dropout=0.2)
        second = convolution(64, batch_norm=variant in ("v4", "v5"), pool_size=2)
    return [
        *first,
        *second,
        layers.Flatten(),
        convolution.dense(dense_units, activation="relu"),
        convolution.dropout(0.5),
        convolution.output(classes, "softmax"),
    ]


def _optimizer(learning_rate):
    # "decay 1e-6": the rate falls as 1 / (1 + decay * step).
    return keras.optimizers.RMSprop(
        keras.optimizers.schedules.InverseTimeDecay(learning_rate, decay_steps=1, decay_rate=1e-6)
    )


SYSTEM = System(
    name="fruits360",
    input_shape=(35, 35, 3),
    classes=17,
    batch_size=32,
    loss="categorical_crossentropy",
    optimizer=_optimizer,
    learning_rate=1e-4,
    epochs=50,
    patience=3,
    layers=_layers,
    variants=("v1", "v2", "v3", "v4", "v5", "v6"),
    augmentation=Augmentation(brightness=(0.5, 1.5)),
)
