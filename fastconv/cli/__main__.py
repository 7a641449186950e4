#!/usr/bin/env python3
"""The script `fastconv`.

It is no entry point of the package's metadata: that would import fastconv, and TensorFlow with it,
before any code of ours could turn an interrupt or a refusal of those seconds into one line.
"""

import sys


def _run():
    """Runs the command line and returns the exit code; see `fastconv.cli.main`."""
    try:
        from fastconv.cli import main
    except KeyboardInterrupt:
        print("\nfastconv: interrupted, no results written", file=sys.stderr)
        return 130
    except (ImportError, ValueError) as error:  # `fastconv.errors.InputError` is a ValueError
        print(f"fastconv: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return main()


if __name__ == "__main__":
    sys.exit(_run())
