"""Folders and files to write to; a file is whole or not there."""

from __future__ import annotations

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Iterator

from fastconv.errors import InputError, reason


@contextlib.contextmanager
def folder_to_fill(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Makes a folder, and those around it, where there is none.

    What it made goes again where the block fails before anything is in it.

    Args:
        path: The folder.

    Yields:
        Its path.

    Raises:
        InputError: It cannot be made: a file is in its place, say.

    Example:

    >>> from fastconv.files import folder_to_fill
    >>> with folder_to_fill("results") as folder:
    ...     _ = (folder / "note.txt").write_text("done")
    """
    path = pathlib.Path(path)
    try:
        made = [folder for folder in (path, *path.parents) if not folder.exists()]
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"The folder cannot be made ({reason(error)}). Choose another place. Received: {path}"
        ) from error
    try:
        yield path
    except BaseException:
        with contextlib.suppress(OSError):  # one that holds something stays
            for folder in made:
                folder.rmdir()
        raise


def write_files(folder: str | os.PathLike, contents: dict[str, bytes]) -> list[pathlib.Path]:
    """Writes files to a folder, each of them aside first.

    Args:
        folder: The folder, made where there is none.
        contents: Bytes by file name.

    Returns:
        Paths of the files.

    Raises:
        InputError: One cannot be written.
    """
    files = [pathlib.Path(folder, name) for name in contents]
    for file, content in zip(files, contents.values(), strict=True):
        with written_aside(file) as aside:
            aside.write_bytes(content)
    return files


@contextlib.contextmanager
def written_aside(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Gives a path to write to and, when that is done, moves the file to its place.

    An older file stays whole until then, and for good where writing fails or is interrupted.

    Args:
        path: Where the file shall be. Missing folders are made.

    Yields:
        A path of the same name in a new folder beside it.

    Raises:
        InputError: It cannot be written: the disk is full, say, or a folder or a device is in its
            place.

    Example:

    >>> from fastconv.files import written_aside
    >>> with written_aside("results.json") as aside:
    ...     _ = aside.write_text("{}")
    """
    path = pathlib.Path(path)
    if path.exists() and not path.is_file():  # a device would be replaced for every program
        raise InputError(
            "A folder or a device is in the place of the file. Choose another place. "
            f"Received: {path}"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".writing-", dir=path.parent) as folder:
            aside = pathlib.Path(folder) / path.name
            yield aside
            os.replace(aside, path)
    except OSError as error:
        raise InputError(
            f"The file cannot be written ({reason(error)}). Free some space, or choose "
            f"another place. Received: {path}"
        ) from error
