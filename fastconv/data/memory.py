"""How much memory there is to take."""

from __future__ import annotations

import pathlib

_PROC = pathlib.Path("/proc/meminfo")
_CGROUP = pathlib.Path("/sys/fs/cgroup")


def available_memory() -> int:
    """Returns the bytes that a process can take without swapping, or beyond its container's limit.

    Memory of the page cache counts as free. A container's limit is that of control groups v2.
    """
    available = 1024 * _field(_PROC, "MemAvailable:")
    limit = _CGROUP / "memory.max"
    if limit.exists() and (text := limit.read_text().strip()) != "max":
        used = int((_CGROUP / "memory.current").read_text())
        cache = _field(_CGROUP / "memory.stat", "inactive_file")
        available = min(available, max(0, int(text) - used + cache))
    return available


def _field(path: pathlib.Path, name: str) -> int:
    """Returns the number behind a name in a file of `name number` lines."""
    fields = (line.split() for line in path.read_text().splitlines())
    return next(int(values[1]) for values in fields if values[0] == name)
