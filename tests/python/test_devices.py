"""How the tests choose their device."""

import os
import subprocess
import sys
import types

import pytest
import tensorflow as tf
from helpers import REPOSITORY, assert_on, device_of_run

from fastconv import native


def test_results_elsewhere_are_noticed():
    x = tf.ones(3)
    assert_on(device_of_run(), {"x": x, "y": [x]})
    other = {"CPU": "GPU", "GPU": "CPU"}[device_of_run()]
    with pytest.raises(AssertionError, match=f"instead of a {other}"):
        assert_on(other, x)


@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="there is a GPU")
def test_gpu_run_without_a_gpu_says_so():
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-m", "gpu", "tests/python/ops/test_max_pool.py"],
        cwd=REPOSITORY,
        capture_output=True,
        check=False,
        text=True,
        timeout=300,
    )
    assert result.returncode == pytest.ExitCode.USAGE_ERROR
    assert "needs a GPU that TensorFlow sees" in result.stderr


@pytest.fixture
def configure(pytestconfig, monkeypatch):
    """What conftest.py does at the start of `pytest -m gpu` on a machine with a GPU."""
    path = str(REPOSITORY / "tests" / "python" / "conftest.py")
    plugins = pytestconfig.pluginmanager.get_plugins()
    conftest = next(plugin for plugin in plugins if getattr(plugin, "__file__", None) == path)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: ["a GPU"])
    for variable in ("FASTCONV_GPU", "TF_CUDNN_DETERMINISTIC"):
        monkeypatch.setenv(variable, "")
        monkeypatch.delenv(variable)
    tf32 = tf.config.experimental.tensor_float_32_execution_enabled()
    options = types.SimpleNamespace(option=types.SimpleNamespace(markexpr="gpu"))
    yield lambda: conftest.pytest_configure(options)
    tf.config.experimental.enable_tensor_float_32_execution(tf32)


@pytest.mark.parametrize("cuda", [True, False])
def test_gpu_run_tests_fastconvs_kernels(cuda, configure, monkeypatch):
    core = types.SimpleNamespace(build_info=lambda: {"cuda": cuda})
    monkeypatch.setattr(native, "core", lambda: core)
    tf.config.experimental.enable_tensor_float_32_execution(True)
    if cuda:
        configure()
    else:
        with pytest.raises(pytest.UsageError, match="FASTCONV_CUDA=on"):
            configure()
    assert os.environ["FASTCONV_GPU"] == "on"
    assert not tf.config.experimental.tensor_float_32_execution_enabled()
