"""Run folders as `fastconv train` writes them, without the training."""

import fastconv
from fastconv import models
from fastconv.train import Run

EPOCHS = 3


def write_run(folder, data, class_names=("cat", "dog"), backend="fastconv", model=True, **changes):
    """Writes the folder of a run of the cifar10 system whose weights were never trained.

    Args:
        folder: path of the folder.
        data: path of the folder of images that the run names.
        class_names: tuple of strings.
        backend: `"fastconv"` or `"stock"`, which has epochs of 4 seconds to fastconv's 2.
        model: bool, whether to write the model, too.
        **changes: other values in `config.json`.

    Returns:
        The folder.
    """
    run = Run(folder)
    config = {
        "system": "cifar10",
        "data": str(data.resolve()),
        "variant": None,
        "backend": backend,
        "image_size": [24, 26],
        "batch_size": 4,
        "precision": "float32",
        "seed": 0,
        "class_names": list(class_names),
        "validated_on": "test",
        "environment": fastconv.info(),
        "started": "2026-03-04T05:06:01+00:00",
        "finished": "2026-03-04T05:06:07+00:00",
        **changes,
    }
    run.write_config(config)
    seconds = 4.0 if backend == "stock" else 2.0
    rows = [
        {
            "epoch": epoch,
            "loss": 2 / epoch,
            "accuracy": 0.2 * epoch,
            "val_loss": 2.1 / epoch,
            "val_accuracy": 0.19 * epoch,
            "learning_rate": 0.001,
            "seconds": seconds + (epoch == 1),
            "images_per_second": 6 / seconds,
            "input_share": 0.125,
        }
        for epoch in range(1, EPOCHS + 1)
    ]
    run.write_history(rows)
    metrics = {name: rows[-1][name] for name in ("loss", "accuracy", "val_loss", "val_accuracy")}
    run.write_result(
        {
            "best_epoch": EPOCHS,
            "best": metrics,
            "final": metrics,
            "seconds_per_epoch": seconds,
            "images_per_second": 6 / seconds,
            "input_share": 0.125,
            "wall_seconds": 4 * seconds,
        }
    )
    if model:
        description = models.ModelDescription(
            "cifar10", None, backend, tuple(class_names), tuple(config["image_size"]), channels=3
        )
        built = models.build(
            "cifar10", backend, input_shape=description.input_shape, classes=len(class_names)
        )
        models.save_model(built, run.model_file, description)
    return run.path
