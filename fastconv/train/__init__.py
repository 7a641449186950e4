"""Trains models on image data sets and reports what came out."""

from fastconv.train.comparison import BuildResult, Comparison, compare_builds
from fastconv.train.interruption import Interrupted
from fastconv.train.report import write_report
from fastconv.train.run import Run
from fastconv.train.training import resume, train, transfer

__all__ = [
    "BuildResult",
    "Comparison",
    "Interrupted",
    "Run",
    "compare_builds",
    "resume",
    "train",
    "transfer",
    "write_report",
]
