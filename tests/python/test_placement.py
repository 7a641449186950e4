"""What fastconv takes for the device of a new op, on machines with and without a GPU."""

import pytest
import tensorflow as tf

from fastconv import config, native, placement


@pytest.fixture
def gpu(monkeypatch):
    """As on a machine with a GPU, as far as a machine without one can tell."""
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [f"/device:{kind}:0"])


def traced(scope):
    """Returns what placement says inside a function that is traced in a scope of devices."""
    found = []

    @tf.function
    def function():
        with tf.device(scope):
            found.append(placement.on_gpu())

    function.get_concrete_function()
    return found[0]


def test_no_gpu():
    assert not placement.on_gpu()
    assert not traced("/GPU:0")


def test_scopes_decide(gpu):
    assert traced(None)
    assert traced("/GPU:1")
    assert traced("/job:localhost/replica:0/task:0/device:GPU:0")
    assert not traced("/CPU:0")
    with tf.device("/CPU:0"):
        assert not placement.on_gpu()


def test_kernels_on_the_cpu(needs_native):
    assert placement.has_kernel(tf.float32)
    assert placement.has_kernel(tf.float64, gpu=False)


@pytest.mark.parametrize("cuda", [False, True])
def test_kernels_on_a_gpu(cuda, needs_native, monkeypatch):
    monkeypatch.setattr(placement, "on_gpu", lambda: True)
    monkeypatch.setenv(config.GPU, "on")
    with monkeypatch.context() as patched:
        patched.setattr(native.core(), "build_info", lambda: {"cuda": cuda})
        assert placement.has_kernel(tf.bfloat16) == cuda
        assert not placement.has_kernel(tf.float64)
        assert not placement.has_kernel(tf.float32, gpu=False)


def test_gpu_kernels_must_be_asked_for(needs_native, monkeypatch):
    monkeypatch.setattr(placement, "on_gpu", lambda: True)
    monkeypatch.delenv(config.GPU, raising=False)
    assert not placement.has_kernel(tf.float32)


def test_kernels_can_be_switched_off(monkeypatch):
    monkeypatch.setenv(config.NATIVE, "off")
    assert not placement.has_kernel(tf.float32)
