"""What the measurements were taken on: hardware with its measured limits, versions, source."""

from __future__ import annotations

import os
import pathlib
import platform
import subprocess
import time
from concurrent import futures

import numpy as np

_MATRIX_SIZE = 4096
_COPIED_BYTES = 1 << 28
_REPEATS = 7


def describe() -> dict[str, object]:
    """Describes what the times were taken on: hardware, versions, state of the source."""
    import fastconv

    return {
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


def limits(dtype: str) -> dict[str, float]:
    """Measures what bounds a kernel: the roofline's two lines.

    Args:
        dtype: Type of the matrices.

    Returns:
        `flops`, operations per second of TensorFlow's large matrix product on all cores, and
        `bandwidth`, bytes per second read and written by a copy on all cores of arrays larger than
        the caches. The best of several runs each, as these are limits.
    """
    return {"flops": _matrix_product_flops(dtype), "bandwidth": _copy_bandwidth()}


def _matrix_product_flops(dtype: str) -> float:
    import tensorflow as tf

    matrix = tf.cast(tf.random.normal([_MATRIX_SIZE, _MATRIX_SIZE], seed=0), dtype)
    product = tf.function(tf.matmul, jit_compile=False)
    return 2 * _MATRIX_SIZE**3 / _best_seconds(lambda: product(matrix, matrix))


def _copy_bandwidth() -> float:
    threads = cores()
    source = np.ones((threads, _COPIED_BYTES // threads), np.uint8)
    target = np.zeros_like(source)
    with futures.ThreadPoolExecutor(threads) as pool:
        # NumPy lets other threads run while it copies.
        seconds = _best_seconds(lambda: list(pool.map(np.copyto, target, source)))
    return 2 * source.nbytes / seconds


def _best_seconds(work) -> float:
    work()
    times = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)
