"""The cifar10 network, written layer by layer, with and without augmentation.

    python examples/cifar10.py --data photos --epochs 20

`photos` holds `train/<class>/` and `test/<class>/` folders of images, or the idx files of MNIST.
Prints the accuracy of both on the test images and draws their curves to `cifar10.png`.
"""

import argparse
import pathlib

import keras

from fastconv import optimizers, plots
from fastconv.data import Augmentation, ImagePipeline, list_images
from fastconv.layers import Dense, Dropout, FusedConv2D


def build(input_shape, classes):
    """Returns the network: one fused layer for convolution, relu, pooling and dropout."""
    stages = []
    for filters in (32, 64, 64):
        stages += [
            FusedConv2D(filters, 3, padding="same", activation="relu"),
            FusedConv2D(filters, 3, activation="relu", pool_size=2, dropout=0.25),
        ]
    return keras.Sequential(
        [
            keras.Input(input_shape),
            *stages,
            keras.layers.Flatten(),
            Dense(512, activation="relu"),
            Dropout(0.5),
            keras.layers.Dense(classes, activation="softmax"),
        ]
    )


def train(listing, augmentation, options):
    """Trains a new network; returns it and Keras's history."""
    keras.utils.set_random_seed(0)
    # Images in files have no size of their own; those of MNIST do.
    size = listing.train.image_size or (32, 32)
    batches = ImagePipeline(
        listing.train,
        size,
        batch_size=options.batch_size,
        shuffle=True,
        augmentation=augmentation,
    )
    validation = ImagePipeline(listing.validation, size, batch_size=options.batch_size)
    model = build((*size, batches.channels), len(listing.class_names))
    model.compile(optimizers.RMSprop(), "categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(
        batches.epochs(),
        steps_per_epoch=batches.steps,
        epochs=options.epochs,
        validation_data=validation.epoch(),
        shuffle=False,  # the pipeline does
        verbose=2,
    )
    return model, history.history


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, metavar="DIR", help="folder of images")
    parser.add_argument("--epochs", type=int, default=100, metavar="N")
    parser.add_argument("--batch-size", type=int, default=256, metavar="N")
    options = parser.parse_args()

    listing = list_images(options.data)
    shifts = Augmentation(horizontal_shift=0.1, vertical_shift=0.1, horizontal_flip=True)
    figure = plots.new_figure(6, 4)
    axes = figure.subplots()
    for name, augmentation in (("plain", None), ("augmented", shifts)):
        model, history = train(listing, augmentation, options)
        size = model.input_shape[1:3]
        _, accuracy = model.evaluate(ImagePipeline(listing.test, size).epoch(), verbose=0)
        print(f"{name}: {accuracy:.1%} of the test images are recognised")
        axes.plot(range(1, options.epochs + 1), history["val_accuracy"], "o-", label=name)
    axes.set_xlabel("epoch")
    axes.set_ylabel("validation accuracy")
    axes.legend()
    pathlib.Path("cifar10.png").write_bytes(plots.png(figure))
    print("Written: cifar10.png")


if __name__ == "__main__":
    main()
