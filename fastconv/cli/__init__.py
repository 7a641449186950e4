"""The command `fastconv`, one module per sub-command."""

import os
import sys

from fastconv.cli import demo, evaluate, info, predict, prepare, report, show, train, transfer
from fastconv.cli.arguments import USAGE_ERROR, Parser, print_error
from fastconv.errors import InputError
from fastconv.version import __version__

_COMMANDS = (demo, prepare, train, transfer, evaluate, predict, show, report, info)
_INTERRUPTED = 130
_OUTPUT_CLOSED = 141  # as of a program that SIGPIPE ends


def main(arguments=None):
    """Runs the command line.

    Args:
        arguments: list of strings; None means those of the process. Defaults to `None`.

    Returns:
        Int, the exit code: 0, 2 for an input that cannot be used, 130 when interrupted, 141 when
        nobody reads the output any more.
    """
    options = _parser().parse_args(arguments)
    try:
        try:
            options.run(options)
        finally:
            _flush_output()
    except KeyboardInterrupt as interrupt:
        print(f"\nfastconv: interrupted, {str(interrupt) or 'no results written'}", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:  # `head`, say, has seen enough
        return _OUTPUT_CLOSED
    except (InputError, ImportError, OSError) as error:
        print_error(error)
        return USAGE_ERROR
    return 0


def _flush_output():
    try:
        sys.stdout.flush()
    except OSError:
        # Python would try again at its end, and print a traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def _parser():
    parser = Parser(
        prog="fastconv",
        description="Faster training of Keras CNNs.",
        epilog="example: fastconv demo --data photos --epochs 20",
    )
    parser.add_argument("--version", action="version", version=f"fastconv {__version__}")
    commands = parser.add_subparsers(metavar="command", required=True)
    for command in _COMMANDS:
        command.add_parser(commands)
    return parser
