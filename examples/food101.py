"""The food101 network on chosen classes, evaluated class by class.

    python examples/food101.py --data food --classes pizza,sushi,waffles

`food` holds `train/<class>/` and `test/<class>/` folders of images; `fastconv prepare` makes them
from Food-101's own lists. Writes the model, a confusion matrix, and a grid of test images with
predicted and true classes to `food101/`.
"""

import argparse

import keras

from fastconv import models, tables
from fastconv.data import ImagePipeline, list_images
from fastconv.evaluation import evaluate


def main():
    system = models.SYSTEMS["food101"]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, metavar="DIR", help="folder of images")
    parser.add_argument("--classes", metavar="A,B,C", help="default: the first 10")
    parser.add_argument("--epochs", type=int, default=system.epochs, metavar="N")
    options = parser.parse_args()

    classes = options.classes.split(",") if options.classes else None
    listing = list_images(
        options.data,
        classes=classes,
        limit_classes=None if classes else system.classes,
        validation_split=system.validation_split,
    )
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
    model.compile(system.new_optimizer(), system.loss, metrics=["accuracy"])
    model.fit(
        batches.epochs(),
        steps_per_epoch=batches.steps,
        epochs=options.epochs,
        validation_data=validation.epoch(),
        callbacks=[
            keras.callbacks.EarlyStopping("val_loss", patience=10, restore_best_weights=True)
        ],
        shuffle=False,  # the pipeline does
        verbose=2,
    )
    description = models.ModelDescription(
        system.name, None, "fastconv", listing.class_names, size, channels=3
    )
    path = models.save_model(model, "food101/model.keras", description)

    evaluation = evaluate(path, options.data, classes=listing.class_names)
    rows = [
        [each.class_name, f"{each.precision:.2f}", f"{each.recall:.2f}", f"{each.f_score:.2f}"]
        for each in evaluation.per_class
    ]
    print(tables.table(["class", "precision", "recall", "F-score"], rows))
    print(f"{evaluation.accuracy:.1%} of {evaluation.images} test images are recognised")
    print("Written:", ", ".join(map(str, (path, *evaluation.files))))


if __name__ == "__main__":
    main()
