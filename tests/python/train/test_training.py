"""Trains the systems on a few small images, through the command line and through Python."""

import errno
import itertools
import json

import keras
import numpy as np
import pytest
from commands import refusal
from image_folders import write_dataset
from PIL import Image

import fastconv
from fastconv import cli
from fastconv.data import ImagePipeline, list_images
from fastconv.errors import InputError
from fastconv.models import SYSTEMS
from fastconv.train import Run, builds, train
from fastconv.train.run import best_row

COLUMNS = [
    *("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"),
    *("seconds", "images_per_second", "input_share"),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_dataset(
        tmp_path_factory.mktemp("photos"), classes=("ant", "bee", "cat"), train=6, test=3
    )


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    output = tmp_path_factory.mktemp("runs") / "fruits"
    options = ["--variant", "v1", "--image-size", "8x10", "--batch-size", "4", "--epochs", "3"]
    command = ["train", "fruits360", "--data", str(data), "--output", str(output), *options]
    assert cli.main(command) == 0
    return Run(output)


def test_the_folder_is_complete(run):
    names = {path.name for path in run.path.iterdir()}
    assert names == {
        *("config.json", "result.json", "history.csv", "model.keras", "curves.png", "tensorboard"),
    }
    for split in ("train", "validation"):
        assert list((run.path / "tensorboard" / split).glob("events.*"))
    with Image.open(run.curves_file) as picture:
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 10  # not blank


def test_the_configuration_says_what_was_done(run, data):
    config = run.config
    assert (
        config
        | {
            "command": "train",
            "system": "fruits360",
            "variant": "v1",
            "data": str(data),
            "class_names": ["ant", "bee", "cat"],
            "counts": {"train": 18, "validation": 0, "test": 9},
            "validated_on": "test",
            "image_size": [8, 10],
            "channels": 3,
            "batch_size": 4,
            "epochs": 3,
            "learning_rate": 1e-4,
            "patience": 3,
            "monitor": "val_loss",
            "precision": "float32",
            "backend": "fastconv",
            "augment": True,
            "seed": 0,
        }
        == config
    )
    assert config["environment"]["fastconv"] == fastconv.__version__
    assert config["started"] <= config["finished"]


def test_history_and_result_fit_together(run):
    rows, result = run.history, run.result
    assert [list(row) for row in rows] == [COLUMNS] * 3
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    for row in rows:
        assert row["images_per_second"] == pytest.approx(18 / row["seconds"])
        assert 0 < row["input_share"] < 1
        # "decay 1e-6": 18 images in batches of 4 are 5 steps.
        assert row["learning_rate"] == pytest.approx(1e-4 / (1 + 1e-6 * 5 * row["epoch"]), rel=1e-6)
    best = min(rows, key=lambda row: row["val_loss"])
    assert result["best_epoch"] == best["epoch"]
    assert result["best"] == {name: best[name] for name in COLUMNS[1:5]}
    assert result["final"] == {name: rows[-1][name] for name in COLUMNS[1:5]}
    assert result["seconds_per_epoch"] == pytest.approx(
        (rows[1]["seconds"] + rows[2]["seconds"]) / 2
    )
    assert result["wall_seconds"] > sum(row["seconds"] for row in rows)
    assert (result["epochs"], result["stopped"]) == (3, "all epochs")


@pytest.mark.parametrize(
    ("monitor", "values", "best"),
    [
        ("val_loss", (float("nan"), 2.0, 1.0, 1.0), 2),
        ("val_accuracy", (0.1, 0.4, 0.4, 0.2), 1),
        ("val_accuracy", (0.1, float("nan"), 0.4), 2),
    ],
)
def test_the_best_epoch_is_the_first_of_equal_ones_and_has_a_number(monitor, values, best):
    rows = [{monitor: value} for value in values]
    assert best_row(rows, monitor) is rows[best]


def test_the_model_is_that_of_the_best_epoch(run, data):
    model, description = run.load_model()
    assert description.class_names == ("ant", "bee", "cat")
    assert description.input_shape == (8, 10, 3)
    assert (description.system, description.variant) == ("fruits360", "v1")
    test = list_images(data, validation_split=0).test
    ((images, labels),) = ImagePipeline(test, (8, 10), batch_size=9).epoch()
    loss = keras.losses.categorical_crossentropy(labels, model(images))
    assert float(np.mean(loss)) == pytest.approx(run.result["best"]["val_loss"], rel=1e-5)


def test_seeds_repeat_runs(data, tmp_path, needs_native):
    def losses(name, seed):
        options = {"variant": "v3", "image_size": 8, "epochs": 1, "batch_size": 4}
        run = train("fruits360", data, tmp_path / name, seed=seed, **options)
        return [run.history[0][name] for name in ("loss", "val_loss")]

    assert losses("a", 3) == losses("b", 3) != losses("c", 4)


@pytest.mark.parametrize("backend", ["fastconv", "stock"])
def test_catsdogs_is_binary(data, tmp_path, backend):
    run = train(
        *("catsdogs", data, tmp_path / "run"),
        classes=["cat", "bee"],
        image_size=20,
        epochs=1,
        backend=backend,
        precision="mixed_bfloat16",
    )
    model, description = run.load_model()
    assert description.class_names == ("cat", "bee")
    assert description.precision == "mixed_bfloat16"
    assert model.output_shape == (None, 1)
    fused = [layer for layer in model.layers if isinstance(layer, fastconv.FusedConv2D)]
    assert len(fused) == (2 if backend == "fastconv" else 0)
    assert {layer.compute_dtype for layer in model.layers[:-1]} == {"bfloat16"}
    assert model.layers[-1].compute_dtype == "float32"
    assert keras.config.dtype_policy().name == "float32"  # as before


def test_grey_images_and_a_validation_split(data, tmp_path):
    run = train(
        *("cifar10", data, tmp_path / "run"),
        grayscale=True,
        image_size=28,
        epochs=1,
        validation_split=0.34,
        limit_classes=2,
    )
    config = run.config
    assert (config["channels"], config["class_names"]) == (1, ["ant", "bee"])
    assert config["counts"] == {"train": 8, "validation": 4, "test": 6}
    assert config["validated_on"] == "validation"
    assert config["patience"] == 0


@pytest.mark.parametrize(
    ("system", "size"), [("cifar10", 28), ("fruits360", 12), ("catsdogs", 20), ("food101", 80)]
)
def test_both_backends_begin_equal(system, size):
    classes = SYSTEMS[system].max_classes or 3
    stock, fast = (
        builds.build(system, backend, 7, input_shape=(size, size, 3), classes=classes)
        for backend in ("stock", "fastconv")
    )
    for one, other in zip(stock.get_weights(), fast.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    seeds = [
        [v.numpy().tolist() for v in model.variables if "seed_generator" in v.path]
        for model in (stock, fast)
    ]
    assert seeds[0] == seeds[1]
    assert len(seeds[0]) > 0


def test_both_backends_take_equal_first_steps(data, tmp_path):
    """Other weights, images, augmentation or dropout masks would move the loss in its digits."""
    runs = [
        train(
            *("cifar10", data, tmp_path / backend),
            backend=backend,
            image_size=28,
            epochs=1,
            batch_size=9,
            seed=1,
        )
        for backend in ("stock", "fastconv")
    ]
    losses = [run.history[0]["loss"] for run in runs]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


@pytest.mark.parametrize(("module", "name"), [(np, "savez"), (keras.saving, "save_model")])
def test_a_full_disk_ends_in_one_line_and_can_be_resumed(
    data, tmp_path, monkeypatch, capsys, module, name
):
    output = tmp_path / "run"
    calls = itertools.count()
    write = getattr(module, name)

    def full(*values, **named):
        if next(calls) == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(*values, **named)

    options = ["--variant", "v1", "--image-size", "8", "--epochs", "3", "--no-augment"]
    with monkeypatch.context() as patch:
        patch.setattr(module, name, full)
        command = ["train", "fruits360", "--data", str(data), "--output", str(output), *options]
        assert cli.main(command) == 2
    (line,) = [one for one in capsys.readouterr().err.splitlines() if "error" in one]
    assert "No space left on device" in line
    assert str(output) in line
    assert not list(output.rglob(".writing-*"))
    fastconv.models.load_model(output)
    assert cli.main(["train", "--resume", str(output)]) == 0
    assert len(Run(output).history) == 3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], ["SYSTEM and --data DIR", "--resume RUN", ": no SYSTEM and no --data DIR"]),
        (["cifar10"], ["SYSTEM and --data DIR", "Received: no --data DIR"]),
        (["--data", "photos"], ["SYSTEM and --data DIR", "Received: no SYSTEM"]),
        (["cifar10", "--data", "nowhere"], ["does not exist", "nowhere"]),
        (["vgg16", "--data", "photos"], ["invalid choice", "vgg16"]),
        (["cifar10", "--data", "photos", "--variant", "v1"], ["`variant`", "v1"]),
        (["fruits360", "--data", "photos", "--variant", "v7"], ["v1, v2, v3, v4, v5, v6", "v7"]),
        (["cifar10", "--data", "photos", "--image-size", "0"], ["--image-size", "'0'"]),
        (["cifar10", "--data", "photos", "--image-size", "4"], ["cannot be built", "4x4"]),
        (["cifar10", "--data", "photos", "--learning-rate", "-1"], ["`learning_rate`", "-1"]),
        (["cifar10", "--data", "photos", "--validation-split", "1"], ["`validation_split`", "1.0"]),
        (["cifar10", "--data", "photos", "--epochs", "0"], ["--epochs", "'0'"]),
        (["cifar10", "--data", "photos", "--classes", "ant,cow"], ["no class 'cow'", "ant, bee"]),
        (["cifar10", "--data", "photos", "--classes", "ant"], ["at least two"]),
        (["cifar10", "--data", "photos", "--limit-classes", "4"], ["3 classes", "limit_classes=4"]),
        (["cifar10", "--data", "photos", "--precision", "int8"], ["--precision", "int8"]),
        (["cifar10", "--data", "photos", "--output", "file"], ["cannot be made", "file"]),
        (["catsdogs", "--data", "photos"], ["tells 2 classes apart", "--classes", ": 3 classes"]),
        (["cifar10", "--data", "photos/train"], ["no test/", "--validation-split"]),
        (["--resume", "photos"], ["config.json", "photos"]),
    ],
)
def test_bad_input_is_refused_in_one_line(data, tmp_path, monkeypatch, capsys, options, words):
    (tmp_path / "photos").symlink_to(data)
    (tmp_path / "file").write_text("")
    monkeypatch.chdir(tmp_path)
    line = refusal(capsys, "train", *options)
    for word in words:
        assert word in line
    assert {path.name for path in tmp_path.iterdir()} == {"file", "photos"}  # no run folder


def test_a_truncated_image_is_named(tmp_path, capsys):
    data = write_dataset(tmp_path / "photos")
    image = data / "train" / "dog" / "1.png"
    image.write_bytes(image.read_bytes()[:60])
    command = ("train", "cifar10", "--data", data, "--output", tmp_path / "run")
    assert str(image) in refusal(capsys, *command)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"system": "lenet"}, "no such system"),
        ({"system": "vgg16"}, "fastconv transfer"),
        ({"batch_size": 0}, "`batch_size` must be an integer of at least 1"),
        ({"patience": -1}, "`patience` must be an integer of at least 0"),
        ({"epochs": 2.5}, "`epochs` must be an integer of at least 1"),
        ({"learning_rate": "fast"}, "`learning_rate` must be a positive number"),
        ({"validation_split": "0.1"}, "`validation_split` must be a number"),
        ({"image_size": (0, 8)}, "`image_size`"),
        ({"image_size": 28.5}, "`image_size`"),
        ({"classes": "ant,bee"}, "`classes` must be a list"),
        ({"backend": "torch"}, "`backend`"),
    ],
)
def test_bad_arguments_of_the_function(data, tmp_path, options, message):
    arguments = {"system": "cifar10", "data": data, "output": tmp_path / "run", **options}
    with pytest.raises(InputError, match=rf"{message}.*Received: "):
        train(**arguments)


def test_a_damaged_configuration_is_refused(tmp_path, capsys):
    (tmp_path / "config.json").write_text(json.dumps({"system": "cifar10"})[:-4])
    assert "config.json is damaged" in refusal(capsys, "train", "--resume", tmp_path)


def test_a_configuration_of_another_version_is_refused(tmp_path, capsys):
    (tmp_path / "config.json").write_text(json.dumps({"system": "cifar10"}))
    line = refusal(capsys, "train", "--resume", tmp_path)
    assert "config.json has no augment, backend" in line
    assert line.endswith(f"Received: {tmp_path}")
