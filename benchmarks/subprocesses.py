"""Calls a function in a process of its own, where libraries start anew."""

from __future__ import annotations

import importlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

_SOURCE = pathlib.Path(__file__).resolve().parents[1]


def call(function, processors=None, **arguments):
    """Calls a function of a module in a new Python process.

    Args:
        function: string `"<module>:<function>"`.
        processors: the processors that the process may use; None means those of this process.
            Libraries size their thread pools by them when they start.
        **arguments: the function's arguments, plain data.

    Returns:
        What the function returns, plain data.

    Raises:
        RuntimeError: the process failed; the message ends with what it printed.
    """
    with tempfile.TemporaryDirectory() as folder:
        result = pathlib.Path(folder, "result.json")
        process = subprocess.run(
            [sys.executable, "-m", __name__, function, json.dumps(arguments), str(result)],
            cwd=_SOURCE,
            preexec_fn=processors and (lambda: os.sched_setaffinity(0, processors)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            text=True,
        )
        if process.returncode:
            raise RuntimeError(f"{function} failed. Received: {process.stdout[-4000:]}")
        return json.loads(result.read_text(encoding="utf-8"))


def _main():
    function, arguments, result = sys.argv[1:]
    module, _, name = function.partition(":")
    value = getattr(importlib.import_module(module), name)(**json.loads(arguments))
    pathlib.Path(result).write_text(json.dumps(value), encoding="utf-8")


if __name__ == "__main__":
    _main()
