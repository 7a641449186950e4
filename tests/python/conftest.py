"""Fixtures of all Python tests: instruction sets, threads, XLA, types."""

import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(pathlib.Path(__file__).parent))  # for helpers and tolerances

import pytest
import tensorflow as tf

from fastconv import config, native

INTRA_OP_THREADS = "FASTCONV_TEST_INTRA_OP_THREADS"  # set by test_threads.py, for a new process
if INTRA_OP_THREADS in os.environ:
    tf.config.threading.set_intra_op_parallelism_threads(int(os.environ[INTRA_OP_THREADS]))


@pytest.fixture
def needs_native():
    """Skips where FASTCONV_NATIVE switches the native ops off."""
    if not config.native_enabled():
        pytest.skip("native ops are switched off")


@pytest.fixture(params=["baseline", "avx2", "avx512"])
def isa(request, monkeypatch, needs_native):
    """Runs a test once on each instruction set that this machine has."""
    monkeypatch.setenv("FASTCONV_MAX_ISA", request.param)
    if native.core().active_isa() != request.param:
        pytest.skip(f"this CPU has no {request.param}")
    return request.param


@pytest.fixture(params=[False, True], ids=["eager", "xla"])
def jit(request):
    """Whether to compile with XLA."""
    return request.param


@pytest.fixture(params=["float32", "float64", "bfloat16", "float16"])
def dtype(request):
    """Each type of tensors."""
    return tf.as_dtype(request.param)
