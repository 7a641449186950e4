"""The benchmarks with `--device gpu`, where there is no GPU, or what is none stands in for it."""

import dataclasses
import importlib

import numpy as np
import pytest
import tensorflow as tf

from fastconv import config, native

PARTS = ("train_step", "inference", "layers", "memory")


@pytest.fixture
def gpu(monkeypatch):
    """As on a machine with a GPU, as far as the command line can tell; the CPU computes."""
    monkeypatch.setenv(config.GPU, "on")  # else the process would start again
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [f"a {kind}"])
    build_info = {**native.core().build_info(), "cuda": True}
    monkeypatch.setattr(native.core(), "build_info", lambda: build_info)
    monkeypatch.setattr(
        tf.config.experimental,
        "get_device_details",
        lambda device: {"device_name": device, "compute_capability": (9, 0)},
    )


def refusal(part, capsys, *arguments):
    """Runs a part on a GPU; returns why it refuses."""
    with pytest.raises(SystemExit) as error:
        importlib.import_module(f"benchmarks.{part}").PART.run(["--device", "gpu", *arguments])
    assert error.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"python -m benchmarks.{part}: error: ")
    return line


def given_options(part, *arguments):
    """Returns the options with which a part measures."""
    found = []

    def measure(options):
        found.append(options)
        raise InterruptedError

    part = dataclasses.replace(importlib.import_module(f"benchmarks.{part}").PART, measure=measure)
    with pytest.raises(InterruptedError):
        part.run(arguments)
    return found[0]


@pytest.mark.parametrize("part", PARTS)
def test_without_a_gpu_a_part_says_so(part, capsys):
    message = refusal(part, capsys)
    assert "TensorFlow sees no GPU" in message
    assert message.endswith("Received: --device gpu")


def test_without_cuda_kernels_a_part_says_so(gpu, monkeypatch, capsys):
    monkeypatch.setattr(native.core(), "build_info", lambda: {"cuda": False})
    assert "built without CUDA kernels" in refusal("layers", capsys)


def test_what_only_a_cpu_has_is_refused(gpu, capsys):
    assert "only a CPU has" in refusal("threads_and_batch", capsys)
    assert "--isa avx2" in refusal("train_step", capsys, "--isa", "avx2")


def test_a_peak_for_each_type(gpu, capsys):
    assert "float32, mixed_bfloat16" in refusal("layers", capsys, "--peak", "395")


@pytest.fixture
def described(monkeypatch):
    """Leaves out what describes the machine."""
    from benchmarks import machine

    monkeypatch.setattr(machine, "describe", lambda device: {})


@pytest.mark.parametrize("part", PARTS)
def test_sizes_on_a_gpu(part, gpu, described):
    options = given_options(part, "--device", "gpu")
    assert options.batch == ([256] if part == "layers" else [32, 256])
    assert options.dtype_policy == ["float32", "mixed_bfloat16"]
    assert len(options.systems) == 5
    if part == "train_step":
        assert options.steps_per_execution > 1


def test_given_sizes_are_kept(gpu, described):
    arguments = ["--device", "gpu", "--batch", "8", "--dtype-policy", "mixed_float16"]
    options = given_options("layers", *arguments, "--quick")
    assert (options.batch, options.dtype_policy) == ([8], ["mixed_float16"])
    assert options.systems == ["cifar10", "catsdogs"]


def test_a_cpu_is_measured_without_its_gpu(gpu):
    from benchmarks import machine

    assert machine.environment("cpu", None) == {"CUDA_VISIBLE_DEVICES": "-1"}
    assert machine.environment("gpu", None) == {config.GPU: "on"}


def test_a_report_names_the_gpu(monkeypatch):
    from benchmarks import machine, report

    build_info = {"cuda_version": "12.5.1", "cudnn_version": "9"}
    monkeypatch.setattr(tf.sysconfig, "get_build_info", lambda: build_info)
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [kind])
    details = {"device_name": "NVIDIA H200", "compute_capability": (9, 0)}
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda device: details)
    record = {"benchmark": "layers", "machine": machine.describe("gpu"), "command": "python"}
    text = report.document(record, "Times layers.", "")
    tf32 = "on" if tf.config.experimental.tensor_float_32_execution_enabled() else "off"
    assert f"NVIDIA H200 (compute capability 9.0, CUDA 12.5.1, cuDNN 9, TF32 {tf32})" in text


@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_limits_are_operations_and_bytes_per_second(device, monkeypatch):
    from benchmarks import machine

    results = []

    def two_seconds(work):
        results.append(work())
        return 2

    monkeypatch.setitem(machine._MATRIX_SIZE, device, 10)
    monkeypatch.setitem(machine._COPIED_BYTES, device, 4096)
    monkeypatch.setattr(machine, "_best_seconds", two_seconds)
    assert machine.limits("bfloat16", device) == {"flops": 1000, "bandwidth": 4096}
    assert (results[0].shape, results[0].dtype) == ((10, 10), tf.bfloat16)
    if device == "gpu":
        np.testing.assert_array_equal(results[1], -np.ones(1024))


def test_the_time_of_a_limit_is_that_of_finished_work(monkeypatch):
    from benchmarks import machine

    clock = [0]

    def advance(seconds):
        clock[0] += seconds

    monkeypatch.setattr(machine.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(tf.test.experimental, "sync_devices", lambda: advance(5))
    assert machine._best_seconds(lambda: advance(1)) == 6


def test_memory_is_that_of_the_allocator(gpu, monkeypatch):
    from benchmarks import memory

    calls = []

    def sizes(device):
        calls.append(("read", device))
        return {"current": 700, "peak": 1000}

    monkeypatch.setattr(tf.config.experimental, "get_memory_info", sizes)
    monkeypatch.setattr(
        tf.config.experimental, "reset_memory_stats", lambda device: calls.append(("reset", device))
    )
    found = memory.peak("catsdogs", "fastconv", 2, "float32", steps=1, device="gpu")
    assert (found["before"], found["step"]) == (700, 300)
    assert calls == [("read", "GPU:0"), ("reset", "GPU:0"), ("read", "GPU:0")]


def test_the_better_stock_variant_is_compared():
    from benchmarks import comparison

    seconds = {
        "stock plain": [4.0, 6, 5],
        "stock XLA": [3.0, 4, 5],
        "fastconv plain": [3.0, 3, 3],
        "fastconv XLA": [1.0, 2, 2],
    }
    found = comparison.summarise(seconds, {"fastconv default": "fastconv XLA"})
    assert found["stock_better"] == "stock XLA"
    assert found["ratios"]["stock better / fastconv default"]["median"] == 2.5
