"""Several steps of Keras's `fit`, `evaluate` and `predict` inside one XLA program."""

from fastconv.steps.fuse import fuse_steps

__all__ = ["fuse_steps"]
