"""Runs every benchmark on a tiny problem, in this process, and reads what it leaves."""

import importlib
import json
import math
import os
import statistics
import subprocess
import sys

import pytest
from helpers import REPOSITORY

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def results(monkeypatch, tmp_path, capsys):
    """Runs a part, checks that its files are there, and returns results and Markdown."""

    def run(part, *arguments):
        # The last ones count: a test may ask for other rounds.
        arguments = ["--rounds", "2", "--output", str(tmp_path), *map(str, arguments)]
        module = f"benchmarks.{part}"
        monkeypatch.setattr(sys, "orig_argv", ["python3.11", "-m", module, *arguments])
        importlib.import_module(module).PART.run(arguments)
        record = json.loads((tmp_path / f"{part}.json").read_text())
        assert record["benchmark"] == part
        assert record["command"] == " ".join(["python", "-m", module, *arguments])
        assert record["machine"]["commit"]
        assert (tmp_path / f"{part}.png").read_bytes().startswith(PNG)
        text = (tmp_path / f"{part}.md").read_text()
        assert record["machine"]["tensorflow"] in text
        assert text in capsys.readouterr().out
        return record["results"], text

    return run


@pytest.mark.parametrize("part", ["train_step", "inference"])
def test_systems_are_compared(part, results):
    found, text = results(part, "--systems", "catsdogs", "--batch", "2", "--steps", "1")
    (row,) = found["systems"]
    assert (row["system"], row["batch"]) == ("catsdogs", 2)
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


def test_groups_of_steps_are_timed_per_step(results, monkeypatch):
    from benchmarks import harness, systems

    models, calls = [], {}
    build = systems.build

    def recording_build(*arguments):
        models.append(build(*arguments))
        return models[-1]

    def interleave(variants, *arguments):
        calls.update(variants)
        return {name: [0.6, 1.2] for name in variants}

    monkeypatch.setattr(systems, "variants", lambda *arguments: ({"stock plain": None}, {}))
    monkeypatch.setattr(systems, "build", recording_build)
    monkeypatch.setattr(harness, "interleave", interleave)
    found, text = results(
        "train_step", "--systems", "catsdogs", "--batch", 2, "--steps-per-execution", 3
    )
    assert found["steps_per_execution"] == 3
    assert "steps_per_execution=3" in text
    (row,) = found["systems"]
    assert row["system"] == "catsdogs"
    assert row["seconds_per_step"].pop("stock plain") == [0.6, 1.2]
    for name in ("stock XLA, grouped", "stock, one program", "fastconv, one program"):
        assert row["seconds_per_step"][name] == pytest.approx([0.2, 0.4])
        assert name in text

    assert [int(model.optimizer.iterations) for model in models] == [0, 0, 0]
    calls["fastconv, one program"]()
    assert [int(model.optimizer.iterations) for model in models] == [0, 0, 3]

    found, _ = results("train_step", "--systems", "catsdogs", "--steps-per-execution", 1)
    assert list(found["systems"][0]["seconds_per_step"]) == ["stock plain"]


def test_layers_are_those_of_the_system(results):
    found, text = results(
        *("layers", "--systems", "catsdogs", "--batch", 1, "--steps", 1),
        *("--dtype-policy", "float32", "mixed_bfloat16", "--peak", 0.1, 0.2, "--bandwidth", 10),
    )
    assert found["limits"] == {
        "float32": {"flops": 1e11, "bandwidth": 1e10},
        "bfloat16": {"flops": 2e11, "bandwidth": 1e10},
    }
    assert [
        tuple(layer[name] for name in ("dtype", "height", "channels", "filters"))
        for layer in found["layers"]
    ] == [
        ("float32", 64, 3, 32),
        ("float32", 31, 32, 64),
        ("bfloat16", 64, 3, 32),
        ("bfloat16", 31, 32, 64),
    ]
    first, second = found["layers"][2:]
    # 62 x 62 outputs of 32 filters, each 27 multiplications and additions.
    assert first["flops"] == 2 * 62 * 62 * 32 * 27
    inputs = 64 * 64 * 3 + 3 * 3 * 3 * 32
    for name, outputs in (("forward", 62 * 62 * 32), ("pooled block", 31 * 31 * 32)):
        least = max(first["flops"] / 2e11, 2 * (inputs + outputs) / 1e10)
        assert first["passes"][name]["limit"] == pytest.approx(least)
    for name, measured in second["passes"].items():
        for build in ("stock", "fastconv"):
            time = statistics.median(measured["seconds"][build])
            assert measured["flops_per_second"][build] == pytest.approx(second["flops"] / time)
            assert measured["share_of_roof"][build] == pytest.approx(measured["limit"] / time)
        assert f"## {name}" in text


def test_memory_counts_results_of_the_step(results):
    found, text = results("memory", "--systems", "catsdogs", "--batch", 64, "--rounds", 1)
    (row,) = found
    # Stock keeps the first convolution's 62 x 62 x 32 results for the backward pass.
    assert row["step"]["stock"] > 64 * 62 * 62 * 32 * 4
    # At least the batch of images, as a tensor.
    assert row["step"]["fastconv"] > 64 * 64 * 64 * 3 * 4
    assert row["share"] == row["step"]["fastconv"] / row["step"]["stock"]
    assert f"{row['share']:.0%}" in text


def test_threads_and_batches(results):
    found, text = results(
        *("threads_and_batch", "--systems", "catsdogs"),
        *("--batch", 1, 4, "--threads", 1, "--steps", 1),
    )
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
    assert "catsdogs" in text


def test_a_process_has_the_processors_that_it_is_given():
    from benchmarks import machine, subprocesses

    one = min(os.sched_getaffinity(0))
    assert subprocesses.call("benchmarks.machine:cores", processors=[one]) == 1
    assert subprocesses.call("benchmarks.machine:cores") == machine.cores()


def test_a_process_that_fails_says_why():
    from benchmarks import subprocesses

    with pytest.raises(RuntimeError, match=r"(?s)Received: .*no_such_function"):
        subprocesses.call("benchmarks.machine:no_such_function")


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--isa", "avx2"], ["train_step", "inference", "layers", "memory", "threads_and_batch"]),
        (["--device", "gpu"], ["train_step", "layers", "memory"]),
    ],
)
def test_all_parts_run_with_the_options_given(options, parts, monkeypatch):
    from benchmarks import __main__ as everything

    commands = []

    def run(command, check):
        commands.append(command)
        return subprocess.CompletedProcess(command, returncode=0)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--quick", *options])
    everything.main()
    assert [command[2] for command in commands] == [f"benchmarks.{part}" for part in parts]
    assert all(command[3:] == ["--quick", *options] for command in commands)


def test_a_part_that_fails_ends_all(monkeypatch):
    from benchmarks import __main__ as everything

    commands = []

    def run(command, check):
        commands.append(command)
        return subprocess.CompletedProcess(command, returncode=2)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--device", "gpu"])
    with pytest.raises(SystemExit) as error:
        everything.main()
    assert error.value.code == 2
    assert len(commands) == 1


def test_the_instruction_set_is_capped_before_libraries_load():
    result = subprocess.run(
        [sys.executable, "-c", CAPPED, "--isa"],
        cwd=REPOSITORY,
        capture_output=True,
        check=True,
        text=True,
    )
    assert result.stdout.split() == ["['--isa']", "avx2", "AVX2"]


# Without the cap in its environment, `use` starts the process again, which then passes it.
CAPPED = """
import os, sys
from benchmarks import machine
machine.use(machine.ISAS["avx2"])
print(sys.argv[1:], os.environ["FASTCONV_MAX_ISA"], os.environ["ONEDNN_MAX_CPU_ISA"])
"""


@pytest.mark.parametrize(
    ("option", "value"),
    [("--systems", "cifar11"), ("--isa", "sse"), ("--batch", "0"), ("--device", "tpu")],
)
def test_unknown_values_are_refused(option, value, capsys):
    from benchmarks import train_step

    with pytest.raises(SystemExit) as error:
        train_step.PART.run([option, value])
    assert error.value.code == 2
    message = capsys.readouterr().err
    assert option in message
    assert value in message
