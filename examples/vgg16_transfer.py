"""Transfer learning on VGG16: a new head first, then the last block with it.

    python examples/vgg16_transfer.py --data fruits --weights vgg16_notop.h5

`fruits` holds `train/<class>/` and `test/<class>/` folders of images. Without `--weights` the
convolutions begin with random weights. Writes the model to `vgg16.keras`.
"""

import argparse

import keras

from fastconv import models
from fastconv.data import ImagePipeline, list_images


def load_base(model, path):
    """Gives the convolutions the weights of VGG16's layers of the same names."""
    base = keras.applications.VGG16(include_top=False, weights=path)
    for layer in base.layers:
        if layer.weights:
            model.get_layer(layer.name).set_weights(layer.get_weights())


def main():
    system = models.SYSTEMS["vgg16"]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, metavar="DIR", help="folder of images")
    parser.add_argument("--weights", metavar="FILE", help="`imagenet`, or a weights file")
    parser.add_argument("--epochs", type=int, default=20, metavar="N", help="of each phase")
    options = parser.parse_args()

    listing = list_images(options.data)
    size = system.input_shape[:2]
    batches = ImagePipeline(
        listing.train,
        size,
        channels=3,
        batch_size=system.batch_size,
        shuffle=True,
        augmentation=system.augmentation,
    )
    validation = ImagePipeline(listing.validation, size, channels=3)

    keras.utils.set_random_seed(0)
    model = models.build(system.name, classes=len(listing.class_names))
    if options.weights:
        load_base(model, options.weights)
    for phase in system.phases:
        for layer in model.layers:
            layer.trainable = not layer.name.startswith(phase.frozen)
        trained = sum(1 for layer in model.layers if layer.weights and layer.trainable)
        print(f"Phase {phase.name}: {trained} layers learn at a rate of {phase.learning_rate:g}")
        # What is trainable takes effect when a model is compiled.
        optimizer = system.new_optimizer(learning_rate=phase.learning_rate)
        model.compile(optimizer, system.loss, metrics=["accuracy"])
        model.fit(
            batches.epochs(),
            steps_per_epoch=batches.steps,
            epochs=options.epochs,
            validation_data=validation.epoch(),
            callbacks=[
                keras.callbacks.EarlyStopping("val_accuracy", patience=5, restore_best_weights=True)
            ],
            shuffle=False,  # the pipeline does
            verbose=2,
        )
    _, accuracy = model.evaluate(ImagePipeline(listing.test, size, channels=3).epoch(), verbose=0)
    print(f"{accuracy:.1%} of the test images are recognised")
    description = models.ModelDescription(
        system.name, None, "fastconv", listing.class_names, size, channels=3
    )
    print("Written:", models.save_model(model, "vgg16.keras", description))


if __name__ == "__main__":
    main()
