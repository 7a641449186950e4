"""Measurements of fastconv; `python -m benchmarks` lists them."""
