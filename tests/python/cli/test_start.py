"""Tests of how the command starts: TensorFlow's notices, and what keeps fastconv from starting."""

import contextlib
import os
import signal
import subprocess
import sys

import pytest

import fastconv_command

START = "import sys, fastconv_command; sys.exit(fastconv_command.main())"
WITHOUT_NOTICES = r"""
import os, fastconv_command
with fastconv_command._without_notices():
    os.write(2, b"WARNING: All log messages before absl::InitializeLog() is called are written\n")
    os.write(2, b"I0000 00:00:17 1 port.cc:1] notice\n")
    os.write(2, b"W0000 00:00:17 1 port.cc:2] warning\nunfinished")
    {end}
os.write(2, b"I0000 later\n")
"""


def python(code, *arguments, **environment):
    """Runs code in a new process, whose TensorFlow logs as it is set here."""
    inherited = {name: value for name, value in os.environ.items() if "TF_CPP" not in name}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**inherited, **environment},
        capture_output=True,
        check=False,
        text=True,
    )


def test_tensorflow_starts_quietly():
    result = python(START, "info", CUDA_VISIBLE_DEVICES="")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("fastconv ")


def test_what_keeps_fastconv_from_starting_ends_in_one_line():
    result = python(START, "info", FASTCONV_MAX_ISA="mmx")
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("fastconv: error: FASTCONV_MAX_ISA must be one of")
    assert line.endswith("Received: mmx")


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (ImportError("Another\nTensorFlow."), 2, "fastconv: error: Another TensorFlow.\n"),
        (KeyboardInterrupt(), 130, "\nfastconv: interrupted, no results written\n"),
    ],
)
def test_errors_at_the_start(monkeypatch, capsys, error, code, words):
    @contextlib.contextmanager
    def refuse():
        raise error
        yield

    monkeypatch.setattr(fastconv_command, "_without_notices", refuse)
    assert fastconv_command.main() == code
    assert capsys.readouterr().err == words


@pytest.mark.parametrize(("end", "code"), [("pass", 0), ("os.abort()", -signal.SIGABRT)])
def test_notices_alone_are_kept_back(end, code):
    result = python(WITHOUT_NOTICES.format(end=end))
    assert result.returncode == code
    later = "I0000 later\n" if code == 0 else ""
    assert result.stderr == f"W0000 00:00:17 1 port.cc:2] warning\nunfinished{later}"


def test_all_notices_are_there_where_the_log_level_is_set():
    result = python(WITHOUT_NOTICES.format(end="pass"), TF_CPP_MIN_LOG_LEVEL="0")
    assert result.returncode == 0
    assert "absl::InitializeLog()" in result.stderr
    assert "notice\n" in result.stderr
