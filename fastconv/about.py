"""What this copy of fastconv is and runs on."""

import platform

import keras
import tensorflow as tf

from fastconv import config, native
from fastconv.version import __version__


def info():
    """Describes the installed fastconv.

    Returns:
        Dict: versions of `fastconv`, `python`, `tensorflow` and `keras`; `built_for_tensorflow`;
        `compiler`; `cuda`, whether CUDA kernels are built in; `isas`, the instruction sets of the
        build; `isa`, the one in use on this machine and `detected_isa`, the widest that it has;
        `native`, whether ops run on native kernels; `library`, the folder of the native libraries.

    Example:

    >>> fastconv.info()["isas"]
    ['baseline', 'avx2', 'avx512']
    """
    core = native.core()
    build = core.build_info()
    return {
        "fastconv": __version__,
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "built_for_tensorflow": build["tensorflow_version"],
        "compiler": build["compiler"],
        "cuda": build["cuda"],
        "isas": build["isas"],
        "isa": core.active_isa(),
        "detected_isa": core.detected_isa(),
        "native": config.native_enabled(),
        "library": str(native.library_directory()),
    }
