"""The catsdogs network: two classes, one output, and a prediction for a single image.

    python examples/catsdogs.py --data pets --image my_cat.jpg

`pets` holds `train/<class>/` and `test/<class>/` folders of images of two classes, or more of which
`--classes` names two. Writes the model to `catsdogs.keras`.
"""

import argparse

import keras

from fastconv import models
from fastconv.data import ImagePipeline, list_images
from fastconv.evaluation import predict


def main():
    system = models.SYSTEMS["catsdogs"]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, metavar="DIR", help="folder of images")
    parser.add_argument("--classes", metavar="A,B", help="default: the first two")
    parser.add_argument("--image", metavar="FILE", help="image to predict, default: of the test")
    parser.add_argument("--epochs", type=int, default=system.epochs, metavar="N")
    options = parser.parse_args()

    classes = options.classes.split(",") if options.classes else None
    listing = list_images(options.data, classes=classes, limit_classes=None if classes else 2)
    size = system.input_shape[:2]

    def batches(split, **training):
        return ImagePipeline(
            split, size, channels=3, batch_size=system.batch_size, label_mode="binary", **training
        )

    train = batches(listing.train, shuffle=True, augmentation=system.augmentation)
    keras.utils.set_random_seed(0)
    model = models.build(system.name, classes=2)
    model.compile(system.new_optimizer(), system.loss, metrics=["accuracy"])
    model.fit(
        train.epochs(),
        steps_per_epoch=train.steps,
        epochs=options.epochs,
        validation_data=batches(listing.validation).epoch(),
        shuffle=False,  # the pipeline does
        verbose=2,
    )
    _, accuracy = model.evaluate(batches(listing.test).epoch(), verbose=0)
    print(f"{accuracy:.1%} of the test images are recognised")

    # The file holds the names of the classes, too: the output is the probability of the second.
    description = models.ModelDescription(
        system.name, None, "fastconv", listing.class_names, size, channels=3
    )
    path = models.save_model(model, "catsdogs.keras", description)
    (prediction,) = predict(path, options.image or listing.test.files[0])
    print(f"{prediction.path}: {prediction.class_name} ({prediction.probability:.1%})")
    print(f"Written: {path}")


if __name__ == "__main__":
    main()
