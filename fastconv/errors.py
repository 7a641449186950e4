"""The errors that a user can mend."""


class InputError(ValueError):
    """What was given cannot be used; the message says what was wrong, received, and what to do.

    The command line prints it in one line and exits with code 2.
    """


class DataError(InputError):
    """The images cannot be used as they are; the message says which and what to do."""
