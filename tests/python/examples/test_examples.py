"""Runs the scripts of `examples/` as their first lines say, on few images for one epoch."""

import runpy
import sys

import pytest
from helpers import REPOSITORY
from image_folders import write_dataset

from fastconv import models

EXAMPLES = REPOSITORY / "examples"


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """A function that runs a script in `tmp_path` and returns what it printed."""
    monkeypatch.chdir(tmp_path)

    def run(name, *arguments):
        script = str(EXAMPLES / f"{name}.py")
        monkeypatch.setattr(sys, "argv", [script, *map(str, arguments), "--epochs", "1"])
        runpy.run_path(script, run_name="__main__")
        return capsys.readouterr().out

    return run


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    classes = ("cat", "dog", "horse")
    return write_dataset(tmp_path_factory.mktemp("examples") / "photos", classes, train=4, test=1)


def test_every_system_has_an_example():
    names = {path.stem.removesuffix("_transfer") for path in EXAMPLES.glob("*.py")}
    assert names == set(models.SYSTEMS)


def test_cifar10(run, data, tmp_path):
    printed = run("cifar10", "--data", data)
    assert "plain: " in printed
    assert "augmented: " in printed
    assert (tmp_path / "cifar10.png").stat().st_size > 0


def test_fruits360(run, data, tmp_path):
    printed = run("fruits360", "--data", data, "--variant", "v3")
    _, description = models.load_model(tmp_path / "fruits360.keras")
    assert description.variant == "v3"
    assert description.class_names == ("cat", "dog", "horse")
    assert f"{data / 'test' / 'cat' / '0.png'}: " in printed
    assert (tmp_path / "maps" / "filters.png").exists()
    assert (tmp_path / "tensorboard").is_dir()


def test_food101(run, data, tmp_path):
    printed = run("food101", "--data", data, "--classes", "horse,cat")
    _, description = models.load_model(tmp_path / "food101")
    assert description.class_names == ("horse", "cat")
    assert "| class" in printed
    assert "of 2 test images" in printed
    assert (tmp_path / "food101" / "samples.png").exists()


def test_vgg16_transfer(run, data, tmp_path):
    printed = run("vgg16_transfer", "--data", data)
    assert "Phase head: 2 layers learn at a rate of 0.0001" in printed
    assert "Phase fine-tune: 5 layers learn at a rate of 1e-05" in printed
    assert models.load_model(tmp_path / "vgg16.keras")[1].system == "vgg16"


def test_catsdogs(run, data, tmp_path):
    image = data / "train" / "dog" / "1.png"
    arguments = ("--classes", "dog,cat", "--image", image)
    printed = run("catsdogs", "--data", data, *arguments)
    assert models.load_model(tmp_path / "catsdogs.keras")[1].class_names == ("dog", "cat")
    assert f"{image}: " in printed
