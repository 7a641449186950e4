"""Trains models on image data sets and reports what came out."""

from fastconv.train.comparison import BuildResult, Comparison, compare_builds
from fastconv.train.report import write_report

__all__ = ["BuildResult", "Comparison", "compare_builds", "write_report"]
