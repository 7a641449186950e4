"""Tests of the command: what all sub-commands share, `demo` and `info`."""

import contextlib
import io
import json
import os
import pathlib
import re
import sys

import keras
import pytest
import tensorflow as tf
from commands import assert_refused, call, refusal, run
from image_folders import write_dataset
from PIL import Image

import fastconv


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo on six images, two epochs: what it prints, and its output folder."""
    folder = tmp_path_factory.mktemp("demo")
    data, output = write_dataset(folder / "photos"), folder / "results"
    options = ("--epochs", 2, "--batch-size", 4, "--seed", 3)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert call("demo", "--data", data, "--output", output, *options) == 0
    return printed.getvalue(), output


def test_help_has_an_example(capsys):
    assert call("--help") == 0
    general = capsys.readouterr().out
    assert "example: fastconv demo" in general
    commands = re.findall(r"^    (\w+) ", general, re.MULTILINE)
    assert len(commands) == 9
    for command in commands:
        assert call(command, "--help") == 0
        text = capsys.readouterr().out
        assert re.search(rf"example: .*fastconv {command}\b", text)
        assert not re.search(r"default: (None|False)", text)


def test_the_version_is_printed(capsys):
    assert call("--version") == 0
    assert capsys.readouterr().out == f"fastconv {fastconv.__version__}\n"


def test_demo_prints_progress_and_the_table(demo):
    printed, output = demo
    assert "6 training and 4 test images of 2 classes: cat, dog" in printed
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
        assert text in printed
    assert "synthetic" not in printed
    assert str(output / "curves.png") in printed
    table = [line for line in printed.splitlines() if line.startswith("|")]
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


def test_demo_with_one_epoch_says_that_compilation_is_included(tmp_path, capsys):
    data = write_dataset(tmp_path / "photos")
    output = tmp_path / "a" / "b"
    assert call("demo", "--data", data, "--epochs", 1, "--output", output) == 0
    assert "compilation included" in capsys.readouterr().out
    assert (output / "results.md").exists()


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
    line = refusal(capsys, *arguments)
    for word in words:
        assert word in line


def test_a_bad_argument_ends_the_installed_command(tmp_path):
    assert_refused(run("demo", "--epochs", "0", cwd=tmp_path), "--epochs")


def test_an_interrupt_ends_the_command(capsys, monkeypatch):
    def interrupt(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr("fastconv.demo.run", interrupt)
    assert call("demo") == 130
    assert capsys.readouterr().err == "\nfastconv: interrupted, no results written\n"


def test_a_broken_image_is_named(tmp_path, capsys):
    data = write_dataset(tmp_path / "photos")
    broken = data / "test" / "cat" / "0.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n broken")
    line = refusal(capsys, "demo", "--data", data, "--output", tmp_path / "out")
    assert "cannot be read (its format is unknown)" in line
    assert line.count(str(broken)) == 1
    assert not (tmp_path / "out").exists()


def test_an_output_that_is_a_file_is_refused_before_training(tmp_path, capsys, monkeypatch):
    (tmp_path / "taken").write_text("")
    monkeypatch.setattr("fastconv.demo.compare_builds", None)
    assert "taken" in refusal(capsys, "demo", "--output", tmp_path / "taken")


def _info_to(path_or_descriptor, monkeypatch, capsys):
    """Returns the exit code of `fastconv info` that writes there, and what it says of it."""
    with open(path_or_descriptor, "w") as output, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", output)
        code = call("info")
    return code, capsys.readouterr().err


def test_a_full_disk_behind_the_output_is_named(monkeypatch, capsys):
    code, words = _info_to("/dev/full", monkeypatch, capsys)
    assert (code, words) == (2, "fastconv: error: [Errno 28] No space left on device\n")


def test_output_that_nobody_reads_ends_quietly(monkeypatch, capsys):
    reading, writing = os.pipe()
    os.close(reading)
    assert _info_to(writing, monkeypatch, capsys) == (141, "")


def test_the_installed_info_prints_versions_instruction_set_and_libraries(tmp_path):
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


def test_info_shows_the_cap(capsys, monkeypatch):
    monkeypatch.setenv("FASTCONV_MAX_ISA", "baseline")
    assert call("info") == 0
    assert "baseline (capped by FASTCONV_MAX_ISA=baseline)" in capsys.readouterr().out
