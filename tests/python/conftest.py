"""Fixtures of all Python tests: devices, instruction sets, threads, XLA, types."""

import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(pathlib.Path(__file__).parent))  # for helpers and tolerances

import keras
import pytest
import tensorflow as tf

INTRA_OP_THREADS = "FASTCONV_TEST_INTRA_OP_THREADS"  # set by test_threads.py, for a new process
if INTRA_OP_THREADS in os.environ:
    tf.config.threading.set_intra_op_parallelism_threads(int(os.environ[INTRA_OP_THREADS]))


# Tests of what also runs on GPUs: `pytest -m gpu` runs them there, `pytest` on the CPU.
GPU_FOLDERS = ("layers", "models", "ops")
CPU_MODULES = ("test_replicas.py", "test_threads.py")  # of its threads


def runs_on_gpu(config):
    """Tells whether this run is that of the GPU."""
    return config.option.markexpr == "gpu"


def pytest_configure(config):
    """Leaves TensorFlow the devices of this run alone, and prepares that of the GPU.

    It comes before fastconv is imported, which loads its library with these settings: no test has
    been imported yet, and this module imports fastconv in functions.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if not runs_on_gpu(config):
        tf.config.set_visible_devices([], "GPU")
        return
    if not gpus:
        raise pytest.UsageError("`pytest -m gpu` needs a GPU that TensorFlow sees; it sees none.")
    os.environ.setdefault("FASTCONV_GPU", "on")
    # Some tests ask stock convolutions twice for the same bits; all bounds are those of float32.
    os.environ.setdefault("TF_CUDNN_DETERMINISTIC", "1")
    tf.config.experimental.enable_tensor_float_32_execution(False)
    from fastconv import native

    if not native.core().build_info()["cuda"]:
        raise pytest.UsageError(
            "`pytest -m gpu` needs a fastconv with CUDA kernels: install it with FASTCONV_CUDA=on."
        )


@pytest.hookimpl(tryfirst=True)  # before pytest looks at the marks
def pytest_collection_modifyitems(items):
    """Marks the tests of what also runs on GPUs."""
    for item in items:
        is_cpu_test = "isa" in item.fixturenames or item.path.name in CPU_MODULES
        if item.path.parent.name in GPU_FOLDERS and not is_cpu_test:
            item.add_marker(pytest.mark.gpu)


@pytest.fixture(autouse=True)
def device(request):
    """Puts a test of `pytest -m gpu` on the GPU; `helpers.assert_on` checks what has run where."""
    with tf.device("/GPU:0" if runs_on_gpu(request.config) else None):
        yield


@pytest.fixture(autouse=True)
def _same_policy():
    """Leaves Keras's dtype policy as it was."""
    policy = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(policy)


@pytest.fixture
def needs_native():
    """Skips where FASTCONV_NATIVE switches the native ops off."""
    from fastconv import config

    if not config.native_enabled():
        pytest.skip("native ops are switched off")


@pytest.fixture(params=["baseline", "avx2", "avx512"])
def isa(request, monkeypatch, needs_native):
    """Runs a test once on each instruction set that this machine has."""
    from fastconv import native

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
