"""What the commands' parsers share: one-line errors and the types of arguments."""

import argparse
import sys

USAGE_ERROR = 2


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the whole usage."""

    def error(self, message):
        print_error(f"{message} (see `{self.prog} --help`)")
        self.exit(USAGE_ERROR)


def print_error(error):
    """Prints an error in one line."""
    print(f"fastconv: error: {' '.join(str(error).split())}", file=sys.stderr)


def positive(text):
    """Returns the integer of at least 1 that a text holds."""
    return _integer(text, 1)


def not_negative(text):
    """Returns the integer of at least 0 that a text holds."""
    return _integer(text, 0)


def _integer(text, least):
    try:
        value = int(text)
    except ValueError:
        value = None
    if value is None or value < least:
        raise argparse.ArgumentTypeError(f"must be an integer of at least {least}, not {text!r}")
    return value


def names(text):
    """Returns the names that a text holds, separated by commas, as a tuple."""
    found = tuple(name.strip() for name in text.split(","))
    if "" in found or len(set(found)) < len(found):
        raise argparse.ArgumentTypeError(
            f"must be different names separated by commas, not {text!r}"
        )
    return found


def number(text):
    """Returns the number that a text holds."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number, not {text!r}") from None


def image_size(text):
    """Returns `(height, width)`; the text holds both, as in 48x64, or one number for both."""
    sides = text.split("x")
    if len(sides) > 2 or not all(side.isdecimal() and int(side) > 0 for side in sides):
        raise argparse.ArgumentTypeError(f"must be like 64 or 48x64, not {text!r}")
    return int(sides[0]), int(sides[-1])
