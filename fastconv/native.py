"""Loads the native libraries: `_core`, which needs no TensorFlow, and the ops, which do.

A library that this TensorFlow cannot load safely is refused before it is loaded.
"""

import functools
import importlib.machinery
import importlib.metadata
import importlib.util
import pathlib
import sys

import tensorflow as tf

from fastconv.errors import InputError
from fastconv.version import __version__

_PACKAGE_DIRECTORY = pathlib.Path(__file__).resolve().parent
_OPS_LIBRARY = "libfastconv_ops.so"


@functools.cache
def core():
    """Returns the module `fastconv._core`, whose functions `_core.pyi` describes.

    Raises:
        ImportError: there is none for this Python and this version of fastconv.
    """
    name = "fastconv._core"
    directory = library_directory()
    for suffix in importlib.machinery.EXTENSION_SUFFIXES:
        path = directory / f"_core{suffix}"
        if path.exists():
            spec = importlib.util.spec_from_file_location(name, path)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            sys.modules[name] = module
            return module
    raise ImportError(
        f"The fastconv in {directory} was not built for this Python. Run `pip install .` in "
        f"fastconv's source folder. Received: Python {sys.version.split()[0]}"
    )


@functools.cache
def ops():
    """Returns the module of the raw ops (csrc/README.md), such as `fastconv_fused_conv2d`.

    Raises:
        ImportError: the library is missing, or was built for another TensorFlow.
        InputError: FASTCONV_MAX_ISA is set to no instruction set.
    """
    build = core().build_info()
    _check_tensorflow(build)
    problem = core().max_isa_error()
    if problem:
        raise InputError(problem)
    return tf.load_op_library(str(library_directory() / _OPS_LIBRARY))


@functools.cache
def library_directory():
    """Returns the folder of the native libraries.

    It is the package's own folder or, where fastconv is imported from its source folder, that of
    the installed fastconv of the same version.

    Raises:
        ImportError: there is no such folder.
    """
    if (_PACKAGE_DIRECTORY / _OPS_LIBRARY).exists():
        return _PACKAGE_DIRECTORY
    problem = f"There are no native libraries in {_PACKAGE_DIRECTORY}, "
    advice = "Run `pip install .` in fastconv's source folder."
    try:
        installed = importlib.metadata.distribution("fastconv")
    except importlib.metadata.PackageNotFoundError:
        raise ImportError(f"{problem}and fastconv is not installed. {advice}") from None
    if installed.version != __version__:
        raise ImportError(
            f"{problem}and the installed fastconv is of another version. {advice} "
            f"Received: {installed.version} installed, {__version__} imported"
        )
    directory = pathlib.Path(installed.locate_file("fastconv")).resolve()
    if not (directory / _OPS_LIBRARY).exists():
        raise ImportError(f"{problem}nor in the installed {directory}. {advice}")
    return directory


def _check_tensorflow(build):
    """Raises ImportError unless the ops' library was built for this TensorFlow's C++ interface."""
    built_for = (_minor(build["tensorflow_version"]), build["cxx11_abi"])
    running = (_minor(tf.__version__), bool(tf.sysconfig.CXX11_ABI_FLAG))
    if built_for != running:
        raise ImportError(
            "fastconv was built for another TensorFlow. Run `pip install .` in fastconv's source "
            f"folder. Received: TensorFlow {tf.__version__} (C++11 ABI: {running[1]}), built for "
            f"{build['tensorflow_version']} (C++11 ABI: {built_for[1]})"
        )


def _minor(version):
    """Returns the part of a version that binary compatibility goes by."""
    return version.split(".")[:2]
