"""What measurements are taken on: the device with its settings and limits, versions, source."""

from __future__ import annotations

import os
import pathlib
import platform
import subprocess
import sys
import time
from concurrent import futures

import numpy as np

# Caps fastconv, oneDNN (TensorFlow's and PyTorch's), XLA and PyTorch's own kernels alike.
ISAS = {
    "avx2": {
        "FASTCONV_MAX_ISA": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
    }
}
# What keeps a device busy for long against the time to start it.
_MATRIX_SIZE = {"cpu": 4096, "gpu": 16384}
_COPIED_BYTES = {"cpu": 1 << 28, "gpu": 1 << 32}
_REPEATS = 7


def environment(device: str, isa: str | None) -> dict[str, str]:
    """Returns the variables with which libraries must be loaded for a device to be measured.

    Args:
        device: `"cpu"` or `"gpu"`.
        isa: A key of `ISAS`, or None.

    Raises:
        InputError: this machine has no such device, or fastconv no kernels for it.
    """
    import tensorflow as tf

    from fastconv import config, native
    from fastconv.errors import InputError

    if device == "gpu":
        received = f"Received: --device {device}"
        if isa:
            raise InputError(f"Only a CPU has instruction sets to cap. {received} --isa {isa}")
        if not tf.config.get_visible_devices("GPU"):
            raise InputError(
                f"TensorFlow sees no GPU here: measure the CPU with --device cpu. {received}"
            )
        if not native.core().build_info()["cuda"]:
            raise InputError(
                "This fastconv was built without CUDA kernels: install it with FASTCONV_CUDA=on. "
                f"{received}"
            )
        return {config.GPU: "on"}
    hidden = {"CUDA_VISIBLE_DEVICES": "-1"} if tf.config.get_visible_devices("GPU") else {}
    return {**hidden, **ISAS.get(isa, {})}


def use(environment: dict[str, str]):
    """Starts this process again where the libraries, already loaded, would ignore the variables."""
    if any(os.environ.get(name) != value for name, value in environment.items()):
        os.environ.update(environment)
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def describe(device: str) -> dict[str, object]:
    """Describes what the times were taken on: hardware, versions, state of the source."""
    import fastconv

    return {
        "gpu": _gpu() if device == "gpu" else None,
        "cpu": _cpu_model(),
        "cores": cores(),
        "load_before": os.getloadavg()[0],
        "system": platform.platform(),
        "commit": _commit(),
        **fastconv.info(),
    }


def _cpu_model() -> str:
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _gpu() -> dict[str, object]:
    """Describes the GPU that is measured, and the libraries that TensorFlow was built for."""
    import tensorflow as tf

    details = tf.config.experimental.get_device_details(tf.config.get_visible_devices("GPU")[0])
    built = tf.sysconfig.get_build_info()
    return {
        "name": details.get("device_name", "unknown"),
        "compute_capability": ".".join(map(str, details.get("compute_capability", ()))),
        "cuda": built.get("cuda_version", "unknown"),
        "cudnn": built.get("cudnn_version", "unknown"),
        "tf32": tf.config.experimental.tensor_float_32_execution_enabled(),
    }


def _commit() -> str:
    """Returns the commit of this source folder, marked where files differ from it."""
    try:
        return subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=pathlib.Path(__file__).parent,
            capture_output=True,
            check=True,
            text=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def cores() -> int:
    """Returns the number of processors that this process may use."""
    return len(os.sched_getaffinity(0))


def limits(dtype: str, device: str) -> dict[str, float]:
    """Measures what bounds a kernel: the roofline's two lines.

    Args:
        dtype: Type of the matrices.
        device: `"cpu"` or `"gpu"`.

    Returns:
        `flops`, operations per second of TensorFlow's large matrix product on the whole device, and
        `bandwidth`, bytes per second read and written by a copy of arrays larger than its caches:
        on a CPU NumPy's on all cores, on a GPU one that changes signs, compiled by XLA. The best of
        several runs each, as these are limits.
    """
    copy = _gpu_bandwidth if device == "gpu" else _cpu_bandwidth
    return {"flops": _matrix_product_flops(dtype, device), "bandwidth": copy()}


def _matrix_product_flops(dtype: str, device: str) -> float:
    import tensorflow as tf

    size = _MATRIX_SIZE[device]
    matrix = tf.cast(tf.random.normal([size, size], seed=0), dtype)
    product = tf.function(tf.matmul, jit_compile=False)
    return 2 * size**3 / _best_seconds(lambda: product(matrix, matrix))


def _gpu_bandwidth() -> float:
    import tensorflow as tf

    source = tf.ones(_COPIED_BYTES["gpu"] // tf.float32.size)
    negative = tf.function(tf.negative, jit_compile=True)
    return 2 * _COPIED_BYTES["gpu"] / _best_seconds(lambda: negative(source))


def _cpu_bandwidth() -> float:
    threads = cores()
    source = np.ones((threads, _COPIED_BYTES["cpu"] // threads), np.uint8)
    target = np.zeros_like(source)
    with futures.ThreadPoolExecutor(threads) as pool:
        # NumPy lets other threads run while it copies.
        seconds = _best_seconds(lambda: list(pool.map(np.copyto, target, source)))
    return 2 * source.nbytes / seconds


def _best_seconds(work) -> float:
    import tensorflow as tf

    times = []
    for _ in range(1 + _REPEATS):  # the first compiles
        start = time.perf_counter()
        work()
        tf.test.experimental.sync_devices()
        times.append(time.perf_counter() - start)
    return min(times)
