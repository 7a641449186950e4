"""Tests of `fastconv prepare`."""

import json

import pytest
from commands import call, refusal
from image_folders import write_dataset


@pytest.fixture
def images(tmp_path):
    return write_dataset(tmp_path / "photos", train=10, test=0) / "train"


def test_a_share_or_lists_split_the_images(images, tmp_path, capsys):
    assert call("prepare", images, tmp_path / "a", "--test-fraction", 0.3) == 0
    assert capsys.readouterr().out == (
        f"{tmp_path / 'a'}: 2 classes, 14 training and 6 test images (20 hard links)\n"
    )
    for split, numbers in (("train", range(5)), ("test", range(5, 9))):
        content = {name: [f"{name}/{k}" for k in numbers] for name in ("cat", "dog")}
        (tmp_path / f"{split}.json").write_text(json.dumps(content))
    lists = [f"--{split}-list={tmp_path / split}.json" for split in ("train", "test")]
    assert call("prepare", images, tmp_path / "b", *lists, "--copy") == 0
    assert capsys.readouterr().out == (
        f"{tmp_path / 'b'}: 2 classes, 10 training and 8 test images (18 copies)\n"
        "2 images are in neither list\n"
    )


def test_the_command_is_safe_to_repeat(images, tmp_path, capsys):
    arguments = ["prepare", images, tmp_path / "out", "--seed", 4, "--test-fraction"]
    assert call(*arguments, 0.2) == 0
    first = capsys.readouterr().out
    assert call(*arguments, 0.2) == 0
    assert capsys.readouterr().out == first
    assert "test_fraction was 0.2 and is 0.5" in refusal(capsys, *arguments, 0.5)


def test_a_share_must_be_a_number(images, tmp_path, capsys):
    line = refusal(capsys, "prepare", images, tmp_path / "out", "--test-fraction", "half")
    assert "--test-fraction: must be a number, not 'half'" in line


def test_an_interrupt_says_how_to_go_on(images, tmp_path, capsys, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("fastconv.data.prepare", interrupt)
    assert call("prepare", images, tmp_path / "out", "--test-fraction", 0.2) == 130
    assert "interrupted, repeat the command to complete the output" in capsys.readouterr().err
