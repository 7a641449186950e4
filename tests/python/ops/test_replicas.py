"""Two replicas: synchronized batch normalisation computes what one would on the whole batch.

And optimizers update weights as Keras's do.
"""

import os
import pathlib
import subprocess
import sys

SCRIPT = pathlib.Path(__file__).with_name("two_replicas.py")


def test_two_replicas():
    # Logical devices are made at TensorFlow's start: a process of its own.
    path = os.pathsep.join(
        [str(SCRIPT.parents[1]), str(SCRIPT.parents[3]), os.environ.get("PYTHONPATH", "")]
    )
    result = subprocess.run(
        [sys.executable, SCRIPT],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-5000:]
    assert result.stdout.endswith("equal\n")
