"""Measurements of fastconv; `python -m benchmarks` runs them all. See docs/benchmarks.md."""
