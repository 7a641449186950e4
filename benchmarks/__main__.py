"""Runs all benchmarks, each in a process of its own, and gathers their reports in one folder.

`python -m benchmarks.PART` runs one of them, and takes its own options too.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

from benchmarks import command

PARTS = ("train_step", "inference", "layers", "memory", "threads_and_batch")


def main():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=f"{__doc__}\nParts: {', '.join(PARTS)}.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_common_options(parser)
    options = parser.parse_args()
    for part in PARTS:
        print(f"{part}:", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", f"benchmarks.{part}", *sys.argv[1:]], check=True)
    print(f"Reports, numbers and pictures are in {options.output}.")


if __name__ == "__main__":
    main()
