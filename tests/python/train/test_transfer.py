"""Transfer learning in its phases, on images of VGG16's smallest size."""

import dataclasses
import shutil
import signal
from unittest import mock

import keras
import numpy as np
import pytest
from image_folders import write_dataset, write_image
from interrupts import send_signal

from fastconv import cli
from fastconv.errors import InputError
from fastconv.models import SYSTEMS, load_model
from fastconv.train import Run, resume_point, transfer

EPOCH = ["--image-size", "32", "--batch-size", "4", "--epochs", "1"]
CONVOLUTIONS = (2, 2, 3, 3, 3)
LAYERS = [f"block{b}_conv{k + 1}" for b, n in enumerate(CONVOLUTIONS, start=1) for k in range(n)]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("photos"), train=4, test=2)


@pytest.fixture
def folder(tmp_path):
    """An empty folder that does not stay: VGG16 is large."""
    yield tmp_path
    shutil.rmtree(tmp_path)


@pytest.fixture(scope="module")
def vgg16(tmp_path_factory):
    """VGG16 without its top, with random weights, and its weights file."""
    folder = tmp_path_factory.mktemp("vgg16")
    keras.utils.set_random_seed(3)
    model = keras.applications.VGG16(include_top=False, weights=None)
    model.save_weights(folder / "vgg16.weights.h5")
    yield model, folder / "vgg16.weights.h5"
    shutil.rmtree(folder)


def command(data, output, *options):
    return ["transfer", "--data", str(data), "--output", str(output), *EPOCH, *options]


def announced(capsys):
    """What was printed about phases since the last call."""
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith("Phase ")]


def assert_equal_kernels(model, other, names):
    for name in names:
        kernel, expected = (one.get_layer(name).get_weights()[0] for one in (model, other))
        np.testing.assert_array_equal(kernel, expected, err_msg=name)


def test_the_head_trains_on_frozen_weights_of_a_file(data, folder, vgg16, capsys):
    model, weights = vgg16
    options = ["--weights", str(weights), "--fine-tune-epochs", "0"]
    assert cli.main(command(data, folder / "run", *options)) == 0
    assert announced(capsys) == [
        "Phase 1 of 1, head: fc1, predictions learn at a rate of 0.0001, the other 13 layers with "
        "weights are frozen"
    ]
    run = Run(folder / "run")
    assert [row["phase"] for row in run.history] == ["head"]
    assert (run.config["command"], run.config["monitor"]) == ("transfer", "val_accuracy")
    trained, description = run.load_model()
    assert description.class_names == ("cat", "dog")
    assert_equal_kernels(trained, model, LAYERS)


def test_phases_interrupted_in_the_second(data, folder, vgg16, monkeypatch, capsys, needs_native):
    model, weights = vgg16
    rates = ["--learning-rate", "1e-3", "--fine-tune-learning-rate", "1e-2"]
    options = ["--fine-tune-epochs", "2", "--weights", str(weights), *rates]
    assert cli.main(command(data, folder / "whole", *options)) == 0
    tuning = (
        "Phase 2 of 2, fine-tune: block5_conv1, block5_conv2, block5_conv3, fc1, predictions learn "
        "at a rate of 0.01, the other 10 layers with weights are frozen"
    )
    head = (
        "Phase 1 of 2, head: fc1, predictions learn at a rate of 0.001, the other 13 layers with "
        "weights are frozen"
    )
    assert announced(capsys) == [head, tuning]
    with monkeypatch.context() as patch:
        send_signal(signal.SIGINT, 1, 1, patch.setattr)
        assert cli.main(command(data, folder / "run", *options)) == 130
    point, state = resume_point.load(folder / "run" / "resume")
    assert (point.phase, point.epoch, point.step) == (1, 1, 1)
    # One step of the second phase: the last block has moved, with it the head.
    trained, _ = load_model(folder / "run")  # of the head's phase, the best until then
    for variable, value in zip(trained.variables, state, strict=False):
        frozen = variable.path.startswith(tuple(f"block{block}_" for block in range(1, 5)))
        assert np.array_equal(variable, value) == frozen, variable.path
    assert_equal_kernels(trained, model, LAYERS)
    weights_gone = weights.rename(weights.with_name("gone.weights.h5"))  # are in the state
    announced(capsys)
    assert cli.main(["transfer", "--resume", str(folder / "run")]) == 0
    assert announced(capsys) == [tuning]
    weights_gone.rename(weights)
    run, whole = Run(folder / "run"), Run(folder / "whole")
    names = ("epoch", "phase", "loss", "val_loss", "learning_rate")
    histories = [[[row[name] for name in names] for row in one.history] for one in (run, whole)]
    assert histories[0] == histories[1]
    phases = [(epoch, phase) for epoch, phase, *_ in histories[0]]
    assert phases == [(1, "head"), (2, "fine-tune"), (3, "fine-tune")]
    assert [row[-1] for row in histories[0]] == pytest.approx([1e-3, 1e-2, 1e-2])
    assert_equal_kernels(run.load_model()[0], whole.load_model()[0], [*LAYERS, "fc1"])


def _small_layers(convolution, classes, variant):
    return [
        *convolution(4, name="block1_conv1"),
        keras.layers.Flatten(),
        convolution.output(classes, "softmax"),
    ]


def test_the_second_phase_begins_with_the_best_epoch(folder, monkeypatch):
    """Equal images in both classes: half of them are right in every epoch, so the first is best."""
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            for k in range(4):
                write_image(folder / "photos" / split / name / f"{k}.png", seed=k)
    small = dataclasses.replace(SYSTEMS["vgg16"], layers=_small_layers)
    monkeypatch.setitem(SYSTEMS, "vgg16", small)
    stopping = mock.Mock(wraps=keras.callbacks.EarlyStopping)
    monkeypatch.setattr(keras.callbacks, "EarlyStopping", stopping)
    run = transfer(
        *(folder / "photos", folder / "run", None),
        image_size=8,
        batch_size=4,
        augment=False,
        epochs=2,
        learning_rate=0.01,
        fine_tune_epochs=1,
        fine_tune_learning_rate=1e-30,  # changes nothing
    )
    first, second, third = (row["val_loss"] for row in run.history)
    assert third == pytest.approx(first, rel=1e-6)
    assert second != pytest.approx(first, rel=1e-3)
    assert stopping.mock_calls == 2 * [mock.call("val_accuracy", patience=5, mode="max")]


def test_a_trained_model_gives_its_base_to_other_classes(data, folder, vgg16):
    model, _ = vgg16
    keras.saving.save_model(model, folder / "base.keras")
    run = transfer(
        *(data, folder / "run"),
        weights=folder / "base.keras",
        image_size=32,
        epochs=1,
        fine_tune_epochs=0,
        backend="stock",
    )
    assert_equal_kernels(run.load_model()[0], model, LAYERS)


def test_imagenet_weights_that_cannot_be_fetched(data, folder, monkeypatch, capsys):
    def unreachable(**_):
        raise Exception("URL fetch failure on https://...: None -- Name or service not known")

    monkeypatch.setattr(keras.applications, "VGG16", unreachable)
    assert cli.main(command(data, folder / "run")) == 2
    (line,) = [one for one in capsys.readouterr().err.splitlines() if "error" in one]
    for word in ("cannot be fetched", "service not known", "--weights FILE", "--weights none"):
        assert word in line
    assert not (folder / "run").exists()


def _text(path):
    path.write_text("no weights")


def _other_layers(path):
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="block1_conv1")]).save(path)


def _other_weights(path):
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save_weights(path)


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("missing.h5", None, "no such weights file"),
        ("text.h5", _text, "cannot be loaded"),
        ("text.keras", _text, "cannot be loaded"),
        ("dense.keras", _other_layers, "no layer 'block1_conv1' of VGG16's shape"),
        ("dense.weights.h5", _other_weights, "cannot be loaded"),
    ],
)
def test_wrong_weights_are_refused(data, folder, name, write, message):
    if write is not None:
        write(folder / name)
    with pytest.raises(InputError, match=rf"(?s){message}.*Received: .*{name}"):
        transfer(data, folder / "run", weights=folder / name, image_size=32)


def test_too_small_images_are_refused(data, folder, capsys):
    assert (
        cli.main([*command(data, folder / "run", "--image-size", "16", "--weights", "none")]) == 2
    )
    assert "cannot be built for images of 16x16" in capsys.readouterr().err
