"""Runs the benchmarks of a device, each in a process of its own; gathers reports in one folder.

`python -m benchmarks.PART` runs one of them, and takes its own options too.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

from benchmarks import command

PARTS = {
    "cpu": ("train_step", "inference", "layers", "memory", "threads_and_batch"),
    "gpu": ("train_step", "layers", "memory"),
}


def main():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=f"{__doc__}\nParts: "
        + "; ".join(f"on a {device.upper()} {', '.join(parts)}" for device, parts in PARTS.items())
        + ".",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_common_options(parser)
    options = parser.parse_args()
    for part in PARTS[options.device]:
        print(f"{part}:", file=sys.stderr, flush=True)
        process = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{part}", *sys.argv[1:]], check=False
        )
        if process.returncode:
            sys.exit(process.returncode)  # the part has said why
    print(f"Reports, numbers and pictures are in {options.output}.")


if __name__ == "__main__":
    main()
