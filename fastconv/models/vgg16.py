"""vgg16: transfer learning on VGG16's convolutions, 16 classes of 100x100x3 images.

Layers carry the names of `keras.applications.VGG16`, so that its weights load by name and blocks
can be frozen by theirs. Blocks 1 to 4 start frozen; the last block ("block5_conv1" to
"block5_conv3") and the head are trainable, the state of the fine-tuning phase.
"""

import keras
from keras import layers

from fastconv.data import Augmentation
from fastconv.models.system import Phase, System

_BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # filters, convolutions


def _layers(convolution, classes, variant):
    base = []
    for block, (filters, convolutions) in enumerate(_BLOCKS, start=1):
        for index in range(1, convolutions + 1):
            made = convolution(
                filters,
                pool_size=2 if index == convolutions else None,
                name=f"block{block}_conv{index}",
                pool_name=f"block{block}_pool",
            )
            for layer in made:
                layer.trainable = block == len(_BLOCKS)
            base += made
    return [
        *base,
        layers.Flatten(name="flatten"),
        convolution.dense(519, activation="relu", name="fc1"),
        convolution.output(classes, "softmax", name="predictions"),
    ]


SYSTEM = System(
    name="vgg16",
    input_shape=(100, 100, 3),
    classes=16,
    batch_size=32,
    loss="categorical_crossentropy",
    optimizer=keras.optimizers.RMSprop,
    learning_rate=1e-4,
    epochs=20,
    monitor="val_accuracy",
    patience=5,
    phases=(
        Phase("head", epochs=20, learning_rate=1e-4, frozen=("block",)),
        Phase(
            "fine-tune",
            epochs=20,
            learning_rate=1e-5,
            frozen=tuple(f"block{block}_" for block in range(1, len(_BLOCKS))),
        ),
    ),
    layers=_layers,
    augmentation=Augmentation(
        rotation=15.0, horizontal_shift=0.1, vertical_shift=0.1, zoom=0.1, horizontal_flip=True
    ),
)
