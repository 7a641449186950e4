"""The errors that a user can mend."""


class InputError(ValueError):
    """What was given cannot be used; the message says what was wrong, received, and what to do.

    The command line prints it in one line and exits with code 2.
    """


class DataError(InputError):
    """The images cannot be used as they are; the message says which and what to do."""


def reason(error):
    """Returns what went wrong, without the path that an `OSError` names beside it.

    Args:
        error: exception of the operating system or of a library.

    Returns:
        String, for a message that names the path itself.

    Example:

    >>> from fastconv.errors import reason
    >>> try:
    ...     open("nowhere.txt")
    ... except OSError as error:
    ...     reason(error)
    'No such file or directory'
    """
    return getattr(error, "strerror", None) or str(error)
