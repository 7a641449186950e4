"""Runs the command line: as a user does, or in this process, which saves TensorFlow's start."""

import os
import pathlib
import subprocess
import sysconfig

from fastconv import cli

FASTCONV = pathlib.Path(sysconfig.get_path("scripts")) / "fastconv"


def run(*arguments, cwd, **environment):
    """Runs the installed command and returns the finished process."""
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


def call(*arguments):
    """Runs the command in this process and returns its exit code."""
    try:
        return cli.main([str(argument) for argument in arguments])
    except SystemExit as exit_:  # of argparse
        return exit_.code


def refusal(capsys, *arguments):
    """Asserts that the command refuses its arguments in one line, and returns that line."""
    capsys.readouterr()
    assert call(*arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("fastconv: error: ")
    return line
