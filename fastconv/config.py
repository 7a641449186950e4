"""Every environment variable that fastconv reads, in one place.

| variable | values | meaning |
|---|---|---|
| `FASTCONV_GPU` | `on`, `off` (default) | `on`: run ops with CUDA kernels on a GPU (experimental) |
| `FASTCONV_MAX_ISA` | `baseline`, `avx2`, `avx512` | widest instruction set to use |
| `FASTCONV_NATIVE` | `on` (default), `off` | `off`: plain TensorFlow ops, no native kernels |
| `FASTCONV_VERBOSE` | `dispatch` | print which implementation each convolution takes, and why |

The kernel library itself reads `FASTCONV_MAX_ISA` and `FASTCONV_VERBOSE`, at each call, and
`FASTCONV_GPU` once, when it is loaded.
"""

import os

from fastconv.errors import InputError

GPU = "FASTCONV_GPU"
MAX_ISA = "FASTCONV_MAX_ISA"
NATIVE = "FASTCONV_NATIVE"
VERBOSE = "FASTCONV_VERBOSE"

# Of MAX_ISA the kernel library knows them.
_CHOICES = {GPU: ("on", "off"), NATIVE: ("on", "off"), VERBOSE: ("dispatch",)}


def check():
    """Checks the variables that need no native library to be checked.

    Raises:
        InputError: a variable is set to a value that has no meaning.
    """
    for variable in _CHOICES:
        _read(variable)


def native_enabled():
    """Tells whether ops run on native kernels. Read at each call."""
    return _read(NATIVE) != "off"


def gpu_enabled():
    """Tells whether ops may run on CUDA kernels."""
    return _read(GPU) == "on"


def _read(variable):
    """Returns the variable's value, None where it is unset or empty."""
    value = os.environ.get(variable) or None
    if value is not None and value not in _CHOICES[variable]:
        raise InputError(
            f"{variable} must be one of: {', '.join(_CHOICES[variable])}. Received: {value}"
        )
    return value
