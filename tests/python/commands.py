"""Runs the installed command as a user does."""

import os
import pathlib
import subprocess
import sysconfig

FASTCONV = pathlib.Path(sysconfig.get_path("scripts")) / "fastconv"


def run(*arguments, cwd, **environment):
    return subprocess.run(
        [FASTCONV, *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        check=False,
        text=True,
        timeout=300,
    )


def assert_refused(result, *words):
    """Asserts exit code 2 and, beside TensorFlow's log, one line that holds the words."""
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    lines = [line for line in result.stderr.splitlines() if line.startswith("fastconv: error: ")]
    assert len(lines) == 1, result.stderr
    for word in words:
        assert word in lines[0]
