"""The demonstration: one model, trained by stock Keras and by fastconv, side by side."""

from __future__ import annotations

from fastconv import models
from fastconv.data import draw_synthetic, load_folders
from fastconv.errors import InputError
from fastconv.files import folder_to_fill
from fastconv.train import compare_builds, report, write_report

SYSTEM = "cifar10"


def run(data=None, epochs=10, batch_size=256, output="fastconv-demo", seed=0):
    """Trains the cifar10 system in the stock and the fastconv build and reports both.

    Prints the progress and a table; writes the table and the learning curves to a folder.

    Args:
        data: path of a folder with `train/<class>/` and `test/<class>/` images, which are resized
            to 32x32; None means a synthetic data set that fastconv draws. Defaults to `None`.
        epochs: int, at least 1. Defaults to `10`.
        batch_size: int, images per training step. Defaults to `256`.
        output: path of the folder to write `results.md`, `results.json` and `curves.png` to;
            created where there is none. Defaults to `"fastconv-demo"`.
        seed: int, not negative, of the synthetic images, the weights, the order of the images and
            the dropout masks. Defaults to `0`.

    Returns:
        A `fastconv.train.Comparison`.

    Raises:
        InputError: the folder's images cannot be used, the output cannot be written, or an argument
            is out of range.

    Example:

    >>> from fastconv import demo
    >>> comparison = demo.run("photos", epochs=2)
    24 training and 12 test images of 3 classes: cat, dog, horse
    ...
    Written: fastconv-demo/results.md, fastconv-demo/results.json, fastconv-demo/curves.png
    >>> comparison.speed_up > 0
    True
    """
    if min(epochs, batch_size) < 1 or seed < 0:
        raise InputError(
            "`epochs` and `batch_size` must be at least 1 and `seed` at least 0. "
            f"Received: epochs={epochs}, batch_size={batch_size}, seed={seed}"
        )
    with folder_to_fill(output):  # made before the training, not after it
        image_size = models.SYSTEMS[SYSTEM].input_shape[:2]
        if data is None:
            print("Drawing a synthetic data set: 10 classes of shapes and textures, no photographs")
            dataset = draw_synthetic(image_size=image_size, seed=seed)
        else:
            dataset = load_folders(data, image_size=image_size)
        print(
            f"{len(dataset.train)} training and {len(dataset.test)} test images of "
            f"{len(dataset.class_names)} classes: {', '.join(dataset.class_names)}"
        )
        comparison = compare_builds(SYSTEM, dataset, epochs, batch_size, seed)
        files = write_report(comparison, output)
        print(f"\n{report.table(comparison)}\n")
        for note in report.notes(comparison):
            print(note)
        print(f"Written: {', '.join(str(file) for file in files)}")
        return comparison
