"""Runs every benchmark's command on a tiny problem and reads what it leaves."""

import json
import math
import statistics
import subprocess
import sys

import pytest
from helpers import REPOSITORY

PNG = b"\x89PNG\r\n\x1a\n"


def run(part, *arguments):
    return subprocess.run(
        [sys.executable, "-m", f"benchmarks.{part}", *map(str, arguments)],
        cwd=REPOSITORY,
        capture_output=True,
        check=False,
        text=True,
        timeout=300,
    )


def results(part, folder, *arguments):
    """Runs a part, checks that its files are there, and returns results and Markdown."""
    tiny = ("--rounds", "2", "--steps", "1", "--output", folder)
    result = run(part, *arguments, *tiny)
    assert result.returncode == 0, result.stderr
    record = json.loads((folder / f"{part}.json").read_text())
    assert record["benchmark"] == part
    assert f"benchmarks.{part}" in record["command"]
    assert record["machine"]["commit"]
    assert (folder / f"{part}.png").read_bytes().startswith(PNG)
    text = (folder / f"{part}.md").read_text()
    assert record["machine"]["tensorflow"] in text
    assert text in result.stdout
    return record["results"], text


@pytest.mark.parametrize("part", ["train_step", "inference"])
def test_systems_are_compared(part, tmp_path):
    found, text = results(part, tmp_path, "--systems", "cifar10", "--batch", "2")
    (row,) = found["systems"]
    assert (row["system"], row["batch"]) == ("cifar10", 2)
    seconds = row["seconds_per_step"]
    assert {"stock plain", "stock XLA", "fastconv plain", "fastconv XLA"} <= set(seconds)
    for variant, values in seconds.items():
        assert len(values) == 2
        assert row["summaries"][variant]["median"] == statistics.median(values) > 0
        assert variant in text
    assert row["defaults"]["stock default"] in seconds
    # Two rounds cannot decide.
    assert all(ratio["within_noise"] for ratio in row["ratios"].values())
    assert ("PyTorch" in seconds) != ("PyTorch is not installed" in text)


def test_layers_are_those_of_the_system(tmp_path):
    found, text = results("layers", tmp_path, "--systems", "catsdogs", "--batch", "1")
    first, second = found["layers"]
    assert [first[name] for name in ("height", "channels", "filters")] == [64, 3, 32]
    assert [second[name] for name in ("height", "channels", "filters")] == [31, 32, 64]
    # 62 x 62 outputs of 32 filters, each 27 multiplications and additions.
    assert first["flops"] == 2 * 62 * 62 * 32 * 27
    for name, measured in second["passes"].items():
        for build in ("stock", "fastconv"):
            time = statistics.median(measured["seconds"][build])
            assert measured["flops_per_second"][build] == pytest.approx(second["flops"] / time)
            assert measured["share_of_roof"][build] > 0
        assert f"## {name}" in text
    assert found["limits"]["flops"] > 1e8
    assert found["limits"]["bandwidth"] > 1e8


def test_memory_counts_results_of_the_step(tmp_path):
    found, text = results("memory", tmp_path, "--systems", "catsdogs", "--batch", "64")
    (row,) = found
    # Stock keeps the first convolution's 62 x 62 x 32 results for the backward pass.
    assert row["step"]["stock"] > 64 * 62 * 62 * 32 * 4
    # At least the batch of images, as a tensor.
    assert row["step"]["fastconv"] > 64 * 64 * 64 * 3 * 4
    assert row["share"] == row["step"]["fastconv"] / row["step"]["stock"]
    assert f"{row['share']:.0%}" in text


def test_threads_and_batches(tmp_path):
    found, text = results("threads_and_batch", tmp_path, "--batches", "1", "4", "--threads", "1")
    (row,) = found
    assert list(row["summaries"]) == ["1"]
    for build in ("stock", "fastconv"):
        seconds = row["seconds_per_image"]["1"][build]
        assert list(seconds) == ["1", "4"]
        for batch, values in seconds.items():
            median = statistics.median(values)
            assert row["summaries"]["1"][build][batch]["median"] == median > 0
        growth = row["growth"]["1"][build]["4"]["median"]
        pairs = [a / b for a, b in zip(seconds["4"], seconds["1"], strict=True)]
        assert growth == pytest.approx(statistics.median(pairs))
        assert math.isclose(row["speed_up"]["1"][build]["4"], 1)
    assert "cifar10" in text


def test_an_unknown_system_is_refused():
    result = run("train_step", "--systems", "cifar11")
    assert result.returncode == 2
    assert "cifar11" in result.stderr
