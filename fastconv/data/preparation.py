"""Splits a data set of class folders into training and test images, by links or copies."""

from __future__ import annotations

import errno
import filecmp
import json
import os
import pathlib
import shutil
from dataclasses import dataclass

from fastconv.data.listing import SPLITS, FilesByClass, list_undivided
from fastconv.errors import DataError, reason
from fastconv.files import written_aside

# Says in the output how it was made.
RECORD = "prepare.json"

# Why a file cannot have a second name where a symbolic link may do: another file system, one
# without hard links, another owner, too many names.
_NO_HARD_LINK = (errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK)


@dataclass(frozen=True)
class Preparation:
    """What `prepare` has made.

    Attributes:
        output: Path of the folder.
        counts: Number of images by split and class name.
        kinds: How many images are hard links, symbolic links and copies, by these names.
        left_out: Number of images of the source that are in neither list.
    """

    output: pathlib.Path
    counts: dict[str, dict[str, int]]
    kinds: dict[str, int]
    left_out: int


def prepare(
    source: str | os.PathLike,
    output: str | os.PathLike,
    test_fraction: float | None = None,
    train_list: str | os.PathLike | None = None,
    test_list: str | os.PathLike | None = None,
    seed: int = 0,
    link: bool = True,
) -> Preparation:
    """Splits class folders of images into `train/<class>/` and `test/<class>/`.

    Either by a share of every class, chosen at random, or by lists as Food-101 has them: JSON files
    that map class names to images, `{"apple_pie": ["apple_pie/1005649", ...], ...}`, with or
    without the files' extensions. The source stays as it is. The output notes in `prepare.json` how
    it was made: repeating the call completes what an interrupt left undone, or changes nothing;
    other arguments need another folder.

    Args:
        source: Folder that holds `<class>/` with images.
        output: Folder to make.
        test_fraction: Share of the images of every class for the test split, above 0 and below 1.
            Defaults to `None`.
        train_list: Path of the list of training images. Defaults to `None`.
        test_list: Path of the list of test images. Defaults to `None`.
        seed: Start of the random choice of a share. Defaults to `0`.
        link: Whether to link the images, which takes no space: hard links, which stay when the
            source is removed, or symbolic ones where the file system cannot have these. False
            means copies. Defaults to `True`.

    Returns:
        A `Preparation`.

    Raises:
        DataError: There is neither a share nor both lists, or a share and lists; the source has no
            class folders or is split already; the output lies inside the source, or was made with
            other arguments, or holds other files; a list cannot be read, or names an image that
            does not exist, or that another list names.
        InputError: A file cannot be written.

    Example:

    >>> from fastconv.data import prepare
    >>> prepare("photos/train", "split", test_fraction=0.25).counts["test"]
    {'cat': 2, 'dog': 2, 'horse': 2}
    """
    source, output = pathlib.Path(source), pathlib.Path(output)
    _check_arguments(test_fraction, train_list, test_list, seed)
    images = list_undivided(source)
    _check_apart(source, output)
    if test_fraction is not None:
        # Imported here because scikit-learn takes a second.
        from fastconv.data.splitting import stratified_split

        splits = dict(zip(SPLITS, stratified_split(images, test_fraction, seed), strict=True))
    else:
        splits = _follow_lists(source, images, train_list, test_list)
    arguments = {
        "source": str(source.resolve()),
        "test_fraction": test_fraction,
        "seed": None if test_fraction is None else seed,
        "link": link,
    }
    _record(output, arguments, splits)
    kinds = dict.fromkeys(("hard link", "symbolic link", "copy"), 0)
    for split, files_by_class in splits.items():
        for name, files in files_by_class.items():
            for file in files:
                kinds[_place(file.resolve(), output / split / name / file.name, link)] += 1
    return Preparation(
        output=output,
        counts={
            split: {name: len(files) for name, files in files_by_class.items()}
            for split, files_by_class in splits.items()
        },
        kinds=kinds,
        left_out=sum(map(len, images.values())) - sum(kinds.values()),
    )


def _check_arguments(test_fraction, train_list, test_list, seed):
    lists = (train_list, test_list)
    if (test_fraction is None) != (None not in lists) or (None in lists) != (lists == (None, None)):
        raise DataError(
            "Give either a test fraction or both a train list and a test list. Received: "
            f"test_fraction={test_fraction}, train_list={train_list}, test_list={test_list}"
        )
    if seed < 0:
        raise DataError(f"`seed` must be at least 0. Received: seed={seed}")


def _check_apart(source: pathlib.Path, output: pathlib.Path) -> None:
    first, second = source.resolve(), output.resolve()
    if first.is_relative_to(second) or second.is_relative_to(first):
        raise DataError(
            "The output must be a folder of its own, neither inside the source nor around it. "
            f"Received: source {source}, output {output}"
        )
    if output.exists() and not output.is_dir():
        raise DataError(f"The output is a file, not a folder. Received: {output}")


def _follow_lists(source, images, train_list, test_list) -> dict[str, FilesByClass]:
    """Returns the images of the lists, by split and class."""
    by_name = {}
    for name, files in images.items():
        for file in files:
            by_name[f"{name}/{file.name}"] = [file]
            by_name.setdefault(f"{name}/{file.stem}", []).append(file)
    splits, taken = {}, {}
    for split, path in zip(SPLITS, (train_list, test_list), strict=True):
        splits[split] = {}
        for name, entries in _read_list(path).items():
            splits[split][name] = []
            for entry in entries:
                found = by_name.get(entry, [])
                if len(found) != 1:
                    problem = "several images of this name" if found else "no such image"
                    raise DataError(
                        f"The list names {entry!r}, but there is {problem} in {source}. "
                        f"Received: {path}"
                    )
                (file,) = found
                if file.parent.name != name:
                    raise DataError(
                        f"The list names {entry!r} under class {name!r}. Received: {path}"
                    )
                if file in taken:
                    where = "twice" if taken[file] == path else f"and so does {taken[file]}"
                    raise DataError(f"The list names {entry!r} {where}. Received: {path}")
                taken[file] = path
                splits[split][name].append(file)
    train, test = (set(splits[split]) for split in SPLITS)
    if train != test:
        raise DataError(
            f"Both lists must have the same classes, but only one has {sorted(train ^ test)}. "
            f"Received: {train_list} and {test_list}"
        )
    return splits


def _read_list(path: str | os.PathLike) -> dict[str, list[str]]:
    try:
        content = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"The list cannot be read ({reason(error)}). Received: {path}") from error
    except ValueError as error:
        raise DataError(f"The list is no JSON file ({error}). Received: {path}") from error
    if not isinstance(content, dict) or not all(
        isinstance(entries, list) and entries and all(isinstance(entry, str) for entry in entries)
        for entries in content.values()
    ):
        raise DataError(
            'A list maps class names to images: {"class": ["class/image", ...], ...}, at least one '
            f"image a class. Received: {path}"
        )
    if len(content) < 2:
        raise DataError(f"A list needs at least two classes. Received: {path}")
    return content


def _record(output: pathlib.Path, arguments: dict, splits: dict[str, FilesByClass]) -> None:
    """Notes in the output how it is made, or makes sure that it was made in the same way."""
    record = {
        **arguments,
        **{
            split: {name: [file.name for file in files] for name, files in files_by_class.items()}
            for split, files_by_class in splits.items()
        },
    }
    path = output / RECORD
    if not path.exists():
        if output.is_dir() and any(output.iterdir()):
            raise DataError(
                f"The output holds files, but no {RECORD}: `prepare` has not made it. Choose a new "
                f"or empty folder. Received: {output}"
            )
        with written_aside(path) as aside:
            aside.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        return
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(
            f"The record of the output is damaged ({error}). Choose another folder, or remove this "
            f"one. Received: {path}"
        ) from error
    changed = [name for name in arguments if before.get(name) != record[name]]
    changed = [f"{name} was {before.get(name)!r} and is {record[name]!r}" for name in changed]
    if not changed and before != record:
        changed = ["the images of the source, or the lists, are others than then"]
    if changed:
        raise DataError(
            f"The output was prepared in another way: {'; '.join(changed)}. Choose another folder, "
            f"or remove this one. Received: {output}"
        )


def _place(file: pathlib.Path, target: pathlib.Path, link: bool) -> str:
    """Makes the target, where it is not there yet, and returns what it is."""
    if not os.path.lexists(target):
        with written_aside(target) as aside:
            if link:
                _link(file, aside)
            else:
                shutil.copy2(file, aside)
    elif not target.exists() or not (target.samefile(file) if link else filecmp.cmp(file, target)):
        raise DataError(f"Another file is in the place of an image. Remove it. Received: {target}")
    if not link:
        return "copy"
    return "symbolic link" if target.is_symlink() else "hard link"


def _link(file: pathlib.Path, target: pathlib.Path) -> None:
    try:
        os.link(file, target)
    except OSError as error:
        if error.errno not in _NO_HARD_LINK:
            raise
        os.symlink(file, target)
