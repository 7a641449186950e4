"""The command `fastconv` from its first moment: TensorFlow's start, then `fastconv.cli`.

A package of its own, because importing anything of `fastconv` imports TensorFlow. Here TensorFlow's
notices are kept back, and what keeps fastconv from starting ends in one line.
"""

import contextlib
import os
import re
import signal
import sys

USAGE_ERROR = 2
INTERRUPTED = 130

_LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
# What TensorFlow tells every user without a GPU: notices, the header that comes before them, and
# that there is no CUDA driver (error 303; a driver that fails has another number).
_NOTICE = re.compile(rb"I\d{4} |WARNING: All log messages before absl::|E\d{4} .*cuInit.*\(303\)")


def main():
    """Runs the command line with the arguments of the process.

    Returns:
        Int, the exit code: 0, 2 for an input that cannot be used, 130 when interrupted.
    """
    try:
        with _without_notices():
            import tensorflow as tf

            from fastconv import cli

            tf.config.list_physical_devices()  # says what it finds at the first call
    except KeyboardInterrupt:
        return report_interrupt("no results written")
    # What fastconv raises at import: another TensorFlow, an environment variable out of range.
    except (ImportError, ValueError) as error:
        return report_error(error)
    return cli.main()


def report_error(error):
    """Prints an error in one line and returns the exit code for it."""
    print(f"fastconv: error: {' '.join(str(error).split())}", file=sys.stderr)
    return USAGE_ERROR


def report_interrupt(state):
    """Prints that the command was interrupted, and in what state, and returns the exit code."""
    print(f"\nfastconv: interrupted, {state}", file=sys.stderr)
    return INTERRUPTED


@contextlib.contextmanager
def _without_notices():
    """Keeps TensorFlow's notices from stderr, unless TF_CPP_MIN_LOG_LEVEL is set.

    TensorFlow's libraries write notices while they are loaded, before they read that variable, so
    another process reads what is written to stderr meanwhile and passes the rest on. It does so,
    too, when this process is aborted, which a variable or a file in its place would not.
    """
    if _LOG_LEVEL in os.environ:
        yield
        return
    os.environ[_LOG_LEVEL] = "1"
    stderr = os.dup(2)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writing)
        _pass_on(reading, stderr)
    os.close(reading)
    os.dup2(writing, 2)
    os.close(writing)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.waitpid(child, 0)


def _pass_on(source, target):
    """Copies lines that are no notices from one file descriptor to another, then exits."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # ends with the process that it reads from
        with open(source, "rb") as lines:
            for line in lines:
                if not _NOTICE.match(line):
                    os.write(target, line)
    finally:
        os._exit(0)
