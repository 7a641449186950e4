"""Runs the benchmark's command on a tiny problem."""

import json
import statistics
import subprocess
import sys

from helpers import REPOSITORY


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.train_step", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        check=False,
        text=True,
        timeout=300,
    )


def test_report_and_json(tmp_path):
    file = tmp_path / "times.json"
    result = run(
        *("--systems", "cifar10", "catsdogs", "--batch", "2", "--rounds", "3", "--steps", "1"),
        *("--json", file),
    )
    assert result.returncode == 0, result.stderr
    record = json.loads(file.read_text())
    assert [entry["system"] for entry in record["results"]] == ["cifar10", "catsdogs"]
    for entry in record["results"]:
        seconds = entry["seconds_per_step"]
        assert list(seconds) == [
            f"{build} {mode}"
            for build in ("stock", "fastconv")
            for mode in ("default", "plain", "XLA")
        ]
        for variant, values in seconds.items():
            assert len(values) == 3
            assert entry["summaries"][variant]["median"] == statistics.median(values) > 0
            assert variant in result.stdout
        assert "stock default / fastconv default" in entry["ratios"]
        # Three rounds cannot decide.
        assert all(ratio["within_noise"] for ratio in entry["ratios"].values())
    assert "Keras chose jit_compile=" in result.stdout


def test_an_unknown_system_is_refused():
    result = run("--systems", "cifar11")
    assert result.returncode == 2
    assert "cifar11" in result.stderr
