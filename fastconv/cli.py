"""The command `fastconv`."""

from __future__ import annotations

import argparse
import os
import sys

from fastconv import config, demo
from fastconv.about import info
from fastconv.data import DataError

_USAGE_ERROR = 2
_INTERRUPTED = 130


def main(arguments=None):
    """Runs the command line.

    Args:
        arguments: list of strings; None means those of the process. Defaults to `None`.

    Returns:
        Int, the exit code: 0, 2 for an input that cannot be used, 130 when interrupted.
    """
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except KeyboardInterrupt:
        print("\nfastconv: interrupted, no results written", file=sys.stderr)
        return _INTERRUPTED
    except (DataError, ImportError, OSError) as error:
        _print_error(error)
        return _USAGE_ERROR
    return 0


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the whole usage."""

    def error(self, message):
        _print_error(f"{message} (see `{self.prog} --help`)")
        self.exit(_USAGE_ERROR)


def _print_error(error):
    print(f"fastconv: error: {' '.join(str(error).split())}", file=sys.stderr)


def _parser():
    parser = _Parser(
        prog="fastconv",
        description="Faster training of Keras CNNs.",
        epilog="example: fastconv demo --data photos --epochs 20",
    )
    commands = parser.add_subparsers(metavar="command", required=True)

    demo_parser = commands.add_parser(
        "demo",
        help="train one model in stock Keras and in fastconv, compare speed and accuracy",
        description="Trains the cifar10 system twice from equal weights, in stock Keras layers and "
        "in fastconv's, then prints a table and writes it and the learning curves to a folder.",
        epilog="example: fastconv demo --data photos --epochs 20, where photos holds "
        "train/<class>/ and test/<class>/ folders of images",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    demo_parser.add_argument(
        "--data",
        metavar="DIR",
        help="folder with train/<class>/ and test/<class>/ images; without it, a synthetic data "
        "set that fastconv draws",
    )
    demo_parser.add_argument("--epochs", type=_positive, default=10, metavar="N", help="epochs")
    demo_parser.add_argument(
        "--batch-size", type=_positive, default=256, metavar="N", help="images per training step"
    )
    demo_parser.add_argument(
        "--output", default="fastconv-demo", metavar="DIR", help="folder to write the results to"
    )
    demo_parser.add_argument(
        "--seed", type=_not_negative, default=0, metavar="N", help="start of all random numbers"
    )
    demo_parser.set_defaults(run=_demo)

    info_parser = commands.add_parser(
        "info",
        help="print versions, instruction set and where the libraries lie",
        description="Prints versions, instruction set and where the libraries lie.",
        epilog="example: FASTCONV_MAX_ISA=avx2 fastconv info",
    )
    info_parser.set_defaults(run=_info)
    return parser


def _positive(text):
    return _integer(text, 1)


def _not_negative(text):
    return _integer(text, 0)


def _integer(text, least):
    try:
        value = int(text)
    except ValueError:
        value = None
    if value is None or value < least:
        raise argparse.ArgumentTypeError(f"must be an integer of at least {least}, not {text!r}")
    return value


def _demo(options):
    demo.run(
        data=options.data,
        epochs=options.epochs,
        batch_size=options.batch_size,
        output=options.output,
        seed=options.seed,
    )


def _info(options):
    del options  # takes none
    facts = info()
    cap = os.environ.get(config.MAX_ISA)
    rows = {
        "fastconv": facts["fastconv"],
        "python": facts["python"],
        "tensorflow": f"{facts['tensorflow']} (built for {facts['built_for_tensorflow']})",
        "keras": facts["keras"],
        "compiler": facts["compiler"],
        "instruction sets built": ", ".join(facts["isas"]),
        "instruction set detected": facts["detected_isa"],
        "instruction set in use": facts["isa"]
        + (f" (capped by {config.MAX_ISA}={cap})" if cap else ""),
        "native kernels": "on" if facts["native"] else "off (FASTCONV_NATIVE=off)",
        "CUDA build": "yes" if facts["cuda"] else "no",
        "libraries": facts["library"],
    }
    width = max(map(len, rows))
    for name, value in rows.items():
        print(f"{name.ljust(width)}  {value}")
