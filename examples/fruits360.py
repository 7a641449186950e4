"""The fruits360 network with Keras's callbacks, and what its layers see.

    python examples/fruits360.py --data fruits --variant v6

`fruits` holds `train/<class>/` and `test/<class>/` folders of images. Writes the best model to
`fruits360.keras`, logs for TensorBoard, and pictures of the activation maps of a test image.
"""

import argparse

import keras

from fastconv import models
from fastconv.data import ImagePipeline, list_images
from fastconv.evaluation import predict, show


def main():
    system = models.SYSTEMS["fruits360"]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, metavar="DIR", help="folder of images")
    parser.add_argument("--variant", choices=system.variants, default=system.variants[-1])
    parser.add_argument("--epochs", type=int, default=system.epochs, metavar="N")
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
    model = models.build(system.name, variant=options.variant, classes=len(listing.class_names))
    model.compile(system.new_optimizer(), system.loss, metrics=["accuracy"])
    model.fit(
        batches.epochs(),
        steps_per_epoch=batches.steps,
        epochs=options.epochs,
        validation_data=validation.epoch(),
        callbacks=[
            keras.callbacks.EarlyStopping("val_loss", patience=3, restore_best_weights=True),
            keras.callbacks.TensorBoard("tensorboard"),
        ],
        shuffle=False,  # the pipeline does
        verbose=2,
    )
    description = models.ModelDescription(
        system.name, options.variant, "fastconv", listing.class_names, size, channels=3
    )
    models.save_model(model, "fruits360.keras", description)

    image = listing.test.files[0]
    (prediction,) = predict("fruits360.keras", image)
    print(f"{image}: {prediction.class_name} ({prediction.probability:.1%})")
    files = show("fruits360.keras", image, output="maps")
    print("Written: fruits360.keras,", ", ".join(map(str, files)))


if __name__ == "__main__":
    main()
