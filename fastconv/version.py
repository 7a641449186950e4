"""The version, for Python, CMake and the package alike."""

__version__ = "0.1.0"
