"""The ops with one and with several threads, which TensorFlow sets at start only."""

import os
import pathlib
import subprocess
import sys

import pytest
from conftest import INTRA_OP_THREADS

FOLDER = pathlib.Path(__file__).parent


@pytest.mark.skipif(INTRA_OP_THREADS in os.environ, reason="this is the process that it starts")
@pytest.mark.parametrize("threads", [1, 4])
def test_threads(threads):
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-k", "every or test_xla", FOLDER],
        env={**os.environ, INTRA_OP_THREADS: str(threads)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-5000:]
    assert " passed" in result.stdout
