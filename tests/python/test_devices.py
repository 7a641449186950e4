"""How the tests choose their device."""

import subprocess
import sys

import pytest
import tensorflow as tf
from helpers import REPOSITORY, assert_on, device_of_run


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
