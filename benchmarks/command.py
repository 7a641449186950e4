"""The command line of a part: its options, the device, the files it leaves."""

from __future__ import annotations

import argparse
import json
import pathlib
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks import harness, machine, report
from fastconv.errors import InputError

DEFAULT_OUTPUT = pathlib.Path("build/benchmarks")
SYSTEMS = ("cifar10", "fruits360", "food101", "catsdogs", "vgg16")
POLICIES = ("float32", "mixed_bfloat16", "mixed_float16", "float64")
_QUICK = {"systems": ["cifar10", "catsdogs"], "rounds": 3, "budget": 0, "steps": 1}
_FULL = {
    "cpu": {
        "systems": list(SYSTEMS),
        "rounds": 21,
        "budget": 20,
        "dtype_policy": ["float32"],
    },
    "gpu": {
        "systems": list(SYSTEMS),
        "rounds": 21,
        "budget": 5,
        "batch": [32, 256],
        "dtype_policy": ["float32", "mixed_bfloat16"],
    },
}


@dataclass(frozen=True)
class Part:
    """A benchmark that runs alone or with the others.

    Attributes:
        name: Name of its module and of its files.
        description: What it measures; the help text and the head of its report.
        measure: Takes the options and returns the results, plain data.
        markdown: Takes the results and returns their tables.
        plot: Takes the results and the path of a picture to write.
        defaults: By device, options that differ from the other parts' defaults. A part runs on
            these devices alone.
        add_options: Adds the part's own options to a parser.
    """

    name: str
    description: str
    measure: Callable[[argparse.Namespace], Any]
    markdown: Callable[[Any], str]
    plot: Callable[[Any, pathlib.Path], None]
    defaults: dict[str, dict[str, Any]]
    add_options: Callable[[argparse.ArgumentParser], None] = lambda parser: None

    def run(self, arguments=None):
        """Parses the options, measures, prints the report and writes JSON, Markdown and PNG."""
        parser = argparse.ArgumentParser(
            prog=f"python -m benchmarks.{self.name}",
            description=self.description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        add_common_options(parser)
        self.add_options(parser)
        options = parser.parse_args(arguments)
        try:
            self._run(options)
        except InputError as error:
            parser.exit(2, f"{parser.prog}: error: {error}\n")

    def _run(self, options):
        if options.device not in self.defaults:
            raise InputError(
                f"{self.name} measures what only a CPU has: leave --device out. "
                f"Received: --device {options.device}"
            )
        machine.use(machine.environment(options.device, options.isa))
        defaults = {**_FULL[options.device], **self.defaults[options.device]}
        for name, value in {**defaults, **(_QUICK if options.quick else {})}.items():
            if getattr(options, name) is None:
                setattr(options, name, value)
        record = {
            "benchmark": self.name,
            "command": shlex.join(["python", *sys.orig_argv[1:]]),
            "machine": machine.describe(options.device),
            "options": {
                name: str(value) if isinstance(value, pathlib.Path) else value
                for name, value in vars(options).items()
            },
            "results": self.measure(options),
        }
        text = report.document(record, self.description, self.markdown(record["results"]))
        options.output.mkdir(parents=True, exist_ok=True)
        file = options.output / self.name
        file.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        file.with_suffix(".md").write_text(text, encoding="utf-8")
        self.plot(record["results"], file.with_suffix(".png"))
        print(text)


def add_common_options(parser):
    """Adds what all parts take."""
    parser.add_argument(
        "--systems", nargs="+", choices=SYSTEMS, help="documented systems (default: all)"
    )
    parser.add_argument(
        "--device",
        choices=_FULL,
        default="cpu",
        help="measure on the CPU, also where there is a GPU, or on the first GPU (default: "
        "%(default)s)",
    )
    parser.add_argument(
        "--batch",
        nargs="+",
        type=count,
        help="images per step, one number or several (default: the part's, or the system's)",
    )
    parser.add_argument("--rounds", type=count, help="most rounds to time (default: the part's)")
    parser.add_argument(
        "--budget",
        type=float,
        metavar="SECONDS",
        help="time for the rounds of one system, or layer's pass, after which no more begin once "
        f"there are {harness.FEWEST_ROUNDS} (default: the part's)",
    )
    parser.add_argument(
        "--steps",
        type=count,
        help="steps of a variant in a round (default: as many as take "
        f"{harness.TURN_SECONDS} seconds)",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="small systems, few rounds: shows that all works, and is too short to decide anything",
    )
    parser.add_argument(
        "--isa",
        choices=machine.ISAS,
        help="cap the instruction set of fastconv and of the libraries it is compared with",
    )
    parser.add_argument(
        "--dtype-policy",
        nargs="+",
        choices=POLICIES,
        help="Keras dtype policies (default: float32; on a GPU mixed_bfloat16, too)",
    )
    parser.add_argument(
        "--output",
        type=pathlib.Path,
        default=DEFAULT_OUTPUT,
        metavar="FOLDER",
        help="folder for JSON, Markdown and pictures (default: %(default)s)",
    )


def count(text):
    """Parses a positive integer."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1. Received: {text}")
    return value


def positive(text):
    """Parses a number above 0."""
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"must be above 0. Received: {text}")
    return value


def progress(line):
    """Reports what is being done, apart from the results."""
    print(f"  {line}", file=sys.stderr, flush=True)
