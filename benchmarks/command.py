"""The command line of a part: its options, the instruction set, the files it leaves."""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks import harness, machine, report

DEFAULT_OUTPUT = pathlib.Path("build/benchmarks")
SYSTEMS = ("cifar10", "fruits360", "food101", "catsdogs", "vgg16")
_QUICK = {"systems": ["cifar10", "catsdogs"], "rounds": 3, "budget": 0, "steps": 1}
_FULL = {"systems": list(SYSTEMS), "rounds": 21, "budget": 20}

# Caps fastconv, oneDNN (TensorFlow's and PyTorch's), XLA and PyTorch's own kernels alike.
_ISA_ENVIRONMENT = {
    "avx2": {
        "FASTCONV_MAX_ISA": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
    }
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
        defaults: Options that differ from the other parts' defaults.
        add_options: Adds the part's own options to a parser.
    """

    name: str
    description: str
    measure: Callable[[argparse.Namespace], Any]
    markdown: Callable[[Any], str]
    plot: Callable[[Any, pathlib.Path], None]
    defaults: dict[str, Any] = None
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
        cap_isa(options.isa)
        defaults = _QUICK if options.quick else {**_FULL, **(self.defaults or {})}
        for name, value in defaults.items():
            if getattr(options, name) is None:
                setattr(options, name, value)
        record = {
            "benchmark": self.name,
            "command": shlex.join(["python", *sys.orig_argv[1:]]),
            "machine": machine.describe(),
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
    parser.add_argument("--batch", type=count, help="images per step (default: the system's)")
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
        choices=_ISA_ENVIRONMENT,
        help="cap the instruction set of fastconv and of the libraries it is compared with",
    )
    parser.add_argument(
        "--dtype-policy",
        choices=("float32", "mixed_bfloat16", "mixed_float16", "float64"),
        default="float32",
        help="Keras dtype policy (default: %(default)s)",
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


def cap_isa(isa):
    """Starts this process again where the libraries, already loaded, would ignore the cap."""
    environment = _ISA_ENVIRONMENT.get(isa, {})
    if any(os.environ.get(name) != value for name, value in environment.items()):
        os.environ.update(environment)
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def progress(line):
    """Reports what is being done, apart from the results."""
    print(f"  {line}", file=sys.stderr, flush=True)
