"""Where an op that is made now will run, and whether fastconv has a kernel there."""

import tensorflow as tf

from fastconv import config, native

# What the GPU kernels take; the CPU kernels take float64, too.
_GPU_TYPES = (tf.float32, tf.bfloat16, tf.float16)


def on_gpu():
    """Tells whether TensorFlow would place an op that is made now on a GPU.

    It does so where it has a GPU, unless a `tf.device` scope or a distribution strategy says
    otherwise. Inside `tf.function` this is known while the function is traced.
    """
    if not tf.config.list_logical_devices("GPU"):
        return False
    # Public code can ask for the device of the current scope only through an op of its own; a graph
    # drops it, as nobody reads it. It is empty where no scope has been entered.
    device = tf.DeviceSpec.from_string(tf.zeros(()).device)
    return device.device_type in (None, "GPU")


def has_kernel(dtype, gpu=True):
    """Tells whether a kernel of fastconv can run an op made now; TensorFlow's own ops must if not.

    Args:
        dtype: `tf.DType` of the op's tensors.
        gpu: bool, whether the op has a kernel for GPUs where the build has any. Defaults to `True`.
    """
    if not config.native_enabled():
        return False
    if not on_gpu():
        return True
    built = config.gpu_enabled() and native.core().build_info()["cuda"]
    return gpu and built and dtype in _GPU_TYPES
