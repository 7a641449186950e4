"""Tests of the installed command: what all sub-commands share, `demo` and `info`."""

import json
import pathlib
import sys

import keras
import pytest
import tensorflow as tf
from commands import assert_refused, run
from image_folders import write_dataset
from PIL import Image

import fastconv
from fastconv import cli


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo on six images, two epochs: the finished process and its output folder."""
    folder = tmp_path_factory.mktemp("demo")
    data = write_dataset(folder / "photos")
    result = run(
        *("demo", "--data", data, "--epochs", "2", "--batch-size", "4", "--seed", "3"), cwd=folder
    )
    assert result.returncode == 0, result.stderr
    return result, folder / "fastconv-demo"


@pytest.mark.parametrize("arguments", [["--help"], ["demo", "--help"], ["info", "--help"]])
def test_help_has_an_example(capsys, arguments):
    with pytest.raises(SystemExit) as exit_:
        cli.main(arguments)
    assert exit_.value.code == 0
    assert "example:" in capsys.readouterr().out


def test_demo_prints_progress_and_the_table(demo):
    result, output = demo
    assert "6 training and 4 test images of 2 classes: cat, dog" in result.stdout
    for text in (
        "Training cifar10 in the stock build",
        "Training cifar10 in the fastconv build",
        "Epoch 2/2",
        "seconds per epoch",
        "images per second",
        "final validation accuracy",
        "speed-up",
        "the first, which compiles",
    ):
        assert text in result.stdout
    assert "synthetic" not in result.stdout
    assert str(pathlib.Path("fastconv-demo") / "curves.png") in result.stdout
    table = [line for line in result.stdout.splitlines() if line.startswith("|")]
    assert "\n".join(table) in (output / "results.md").read_text()


def test_demo_writes_numbers_that_fit_together(demo):
    _, output = demo
    assert sorted(path.name for path in output.iterdir()) == [
        "curves.png",
        "results.json",
        "results.md",
    ]
    results = json.loads((output / "results.json").read_text())
    for build in ("stock", "fastconv"):
        measured = results[build]
        assert len(measured["training_seconds"]) == 2
        # The first of two epochs is left out.
        assert measured["seconds_per_epoch"] == measured["training_seconds"][1] > 0
        assert measured["images_per_second"] == pytest.approx(6 / measured["seconds_per_epoch"])
        assert measured["validation_accuracy"] == measured["history"]["val_accuracy"][-1]
    assert results["speed_up"] == pytest.approx(
        results["stock"]["seconds_per_epoch"] / results["fastconv"]["seconds_per_epoch"]
    )
    assert (results["seed"], results["batch_size"], results["epochs"]) == (3, 4, 2)


def test_demo_trains_both_builds_from_equal_weights_on_equal_data(demo):
    _, output = demo
    results = json.loads((output / "results.json").read_text())
    first = [results[build]["history"]["loss"][0] for build in ("stock", "fastconv")]
    # Two steps of at most 4 images. Other weights, images or dropout masks would move the loss,
    # which is near log(2), in its second or third digit; roundings do in its sixth.
    assert first[0] == pytest.approx(first[1], rel=1e-3)


def test_demo_draws_a_picture(demo):
    _, output = demo
    with Image.open(output / "curves.png") as picture:
        picture.load()
        assert picture.width > 1000
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 10  # not blank


def test_demo_with_one_epoch_says_that_compilation_is_included(tmp_path):
    data = write_dataset(tmp_path / "photos")
    result = run("demo", "--data", data, "--epochs", "1", "--output", "a/b", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "compilation included" in result.stdout
    assert (tmp_path / "a" / "b" / "results.md").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["required", "command"]),
        (["demos"], ["invalid choice", "demos"]),
        (["demo", "--epochs", "0"], ["--epochs", "at least 1", "'0'"]),
        (["demo", "--batch-size", "many"], ["--batch-size", "at least 1", "'many'"]),
        (["demo", "--seed", "-1"], ["--seed", "at least 0", "'-1'"]),
        (["demo", "--colour"], ["--colour"]),
        (["demo", "--data", "nowhere"], ["does not exist", "nowhere"]),
    ],
)
def test_bad_arguments_are_refused_in_one_line(capsys, arguments, words):
    with pytest.raises(SystemExit) as exit_:
        sys.exit(cli.main(arguments))
    assert exit_.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    for word in ("fastconv: error: ", *words):
        assert word in line


def test_a_bad_argument_ends_the_command(tmp_path):
    assert_refused(run("demo", "--epochs", "0", cwd=tmp_path), "--epochs")


def test_an_interrupt_ends_the_command(capsys, monkeypatch):
    def interrupt(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr("fastconv.demo.run", interrupt)
    assert cli.main(["demo"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_a_broken_image_is_named(tmp_path):
    data = write_dataset(tmp_path / "photos")
    (data / "test" / "cat" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    result = run("demo", "--data", data, cwd=tmp_path)
    assert_refused(result, "cannot be read", str(data / "test" / "cat" / "0.png"))


def test_an_output_that_is_a_file_is_refused_before_training(tmp_path):
    (tmp_path / "taken").write_text("")
    result = run("demo", "--output", "taken", cwd=tmp_path)
    assert_refused(result, "taken")
    assert "Training" not in result.stdout


def test_info_prints_versions_instruction_set_and_libraries(tmp_path):
    result = run("info", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    facts = dict(line.split("  ", 1) for line in result.stdout.splitlines())
    facts = {name: value.strip() for name, value in facts.items()}
    assert facts["fastconv"] == fastconv.__version__
    assert facts["keras"] == keras.__version__
    assert facts["tensorflow"].startswith(f"{tf.__version__} (built for 2.21.")
    assert facts["instruction set in use"].split()[0] in ("baseline", "avx2", "avx512")
    assert facts["CUDA build"] in ("yes", "no")
    assert (pathlib.Path(facts["libraries"]) / "libfastconv_ops.so").exists()


def test_info_shows_the_cap(tmp_path):
    result = run("info", cwd=tmp_path, FASTCONV_MAX_ISA="baseline")
    assert "baseline (capped by FASTCONV_MAX_ISA=baseline)" in result.stdout
