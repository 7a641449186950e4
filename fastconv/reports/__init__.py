"""One HTML page about a training run, or comparing several."""

from fastconv.reports.reporting import report

__all__ = ["report"]
