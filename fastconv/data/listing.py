"""Lists the images of a folder by split and class."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from fastconv.data.idx import IdxImage, find_idx_files, list_idx_images
from fastconv.data.images import IMAGE_EXTENSIONS, is_grey
from fastconv.errors import DataError

SPLITS = ("train", "test")

FilesByClass = dict[str, list[pathlib.Path | IdxImage]]

# The one split of a folder that holds class folders and no split folders.
_WHOLE = ""


@dataclass(frozen=True, eq=False)
class ImageSplit:
    """The images of one split, not yet read.

    Args:
        class_names: Names in label order.
        files: Paths of image files, or images of an idx file: what `load_image` takes, and `str`
            names.
        labels: int32 array of shape `(len(files),)`: positions in `class_names`.
    """

    class_names: tuple[str, ...]
    files: tuple[pathlib.Path | IdxImage, ...]
    labels: np.ndarray

    @classmethod
    def of(cls, files_by_class: FilesByClass) -> ImageSplit:
        """Makes a split.

        Args:
            files_by_class: Dict from class names, in label order, to files.

        Returns:
            An `ImageSplit`.
        """
        counts = [len(files) for files in files_by_class.values()]
        return cls(
            class_names=tuple(files_by_class),
            files=tuple(file for files in files_by_class.values() for file in files),
            labels=np.repeat(np.arange(len(counts), dtype="int32"), counts),
        )

    def __len__(self) -> int:
        """Returns the number of images."""
        return len(self.files)

    @property
    def counts(self) -> dict[str, int]:
        """Number of images by class name."""
        return dict(
            zip(
                self.class_names,
                np.bincount(self.labels, minlength=len(self.class_names)).tolist(),
                strict=True,
            )
        )

    @property
    def channels(self) -> int:
        """1 where all images are grey, else 3. Opens files up to the first one in colour."""
        return 1 if all(map(is_grey, self.files)) else 3

    @property
    def image_size(self) -> tuple[int, int] | None:
        """`(height, width)` of the images of idx files; None for image files, of any sizes."""
        first = self.files[0]
        return first.pixels.shape if isinstance(first, IdxImage) else None


@dataclass(frozen=True, eq=False)
class ImageListing:
    """The images of a folder.

    Args:
        directory: The folder.
        class_names: Names in label order.
        train: Images to fit.
        validation: Images to choose the best epoch by, set apart from `train`; None without
            a validation split.
        test: Images of `test/`; None where there is no such folder.
    """

    directory: pathlib.Path
    class_names: tuple[str, ...]
    train: ImageSplit
    validation: ImageSplit | None
    test: ImageSplit | None


def list_images(
    directory: str | os.PathLike,
    classes: Sequence[str] | None = None,
    limit_classes: int | None = None,
    validation_split: float = 0.15,
    seed: int = 0,
) -> ImageListing:
    """Lists the images of a folder to train on.

    The folder holds `train/<class>/` and, perhaps, `test/<class>/` with image files; or
    `<class>/`, which is all for training; or the idx files of MNIST (`train-images-idx3-ubyte` and
    so on, `.gz` or not). Hidden files and files without an image's extension are left out.

    Args:
        directory: The folder.
        classes: Names of the classes to use, in the order of the labels. None means all, in
            alphabetical order. Defaults to `None`.
        limit_classes: How many classes to use, the first in alphabetical order. None means all.
            Defaults to `None`.
        validation_split: Share of the training images of every class to set apart, at least 0 and
            less than 1. Defaults to `0.15`.
        seed: Start of the random choice of the validation images. Defaults to `0`.

    Returns:
        An `ImageListing`.

    Raises:
        DataError: A folder or split is missing, there are fewer than two classes, a class has no
            images or there is none of the name, the classes of the splits differ, or there are too
            few images to set some apart.

    Example:

    >>> from fastconv.data import list_images
    >>> listing = list_images("photos", classes=("cat", "dog"), validation_split=0.25)
    >>> listing.train.counts, listing.validation.counts
    ({'cat': 6, 'dog': 6}, {'cat': 2, 'dog': 2})
    """
    if not 0 <= validation_split < 1:
        raise DataError(
            "`validation_split` must be at least 0 and less than 1. "
            f"Received: validation_split={validation_split}"
        )
    root = _existing_folder(directory)
    listers = _find_splits(root)
    split = _WHOLE if _WHOLE in listers else "train"
    train = _choose(root, split, _list(root, split, listers), classes, limit_classes)
    class_names = tuple(train)
    test = None
    if "test" in listers:
        test = listers["test"]()
        chosen = class_names if classes is not None or limit_classes is not None else None
        if chosen is None:
            _check_same_classes(root, train, test)
        test = _choose(root, "test", test, chosen)
    validation = None
    if validation_split:
        # Imported here because scikit-learn takes a second.
        from fastconv.data.splitting import stratified_split

        train, validation = stratified_split(train, validation_split, seed)
    return ImageListing(
        directory=root,
        class_names=class_names,
        train=ImageSplit.of(train),
        validation=None if validation is None else ImageSplit.of(validation),
        test=None if test is None else ImageSplit.of(test),
    )


def list_split(
    directory: str | os.PathLike, split: str = "test", classes: Sequence[str] | None = None
) -> ImageSplit:
    """Lists the images of one split, whole, to evaluate on.

    Args:
        directory: A folder as `list_images` takes; where it holds `<class>/` without splits, these
            are listed.
        split: `"train"` or `"test"`. Defaults to `"test"`.
        classes: Names of the classes in the order of the labels; None means all, in alphabetical
            order. Defaults to `None`.

    Returns:
        An `ImageSplit`.

    Raises:
        DataError: The folder or split is missing, there are fewer than two classes, or a class has
            no images or there is none of the name.

    Example:

    >>> from fastconv.data import list_split
    >>> list_split("photos", "test").counts
    {'cat': 4, 'dog': 4, 'horse': 4}
    """
    if split not in SPLITS:
        raise DataError(f"`split` must be one of {', '.join(SPLITS)}. Received: split={split!r}")
    root = _existing_folder(directory)
    listers = _find_splits(root)
    if _WHOLE in listers:
        split = _WHOLE
    return ImageSplit.of(_choose(root, split, _list(root, split, listers), classes))


def list_undivided(directory: str | os.PathLike) -> FilesByClass:
    """Returns the image files of a folder that holds class folders and no splits.

    Args:
        directory: The folder.

    Returns:
        Dict from the class names, in alphabetical order, to the files.

    Raises:
        DataError: The folder is missing or split, has fewer than two classes, or one has no images.
    """
    root = _existing_folder(directory)
    listers = _find_splits(root)
    if _WHOLE not in listers:
        raise DataError(
            f"The folder is split already: it holds {' and '.join(sorted(listers))} images. "
            f"Received: {root}"
        )
    return _choose(root, _WHOLE, listers[_WHOLE]())


def list_image_files(folder: str | os.PathLike, recursive: bool = False) -> list[pathlib.Path]:
    """Returns the image files of a folder in alphabetical order.

    Files without an image's extension are left out, and hidden files and folders.

    Args:
        folder: The folder.
        recursive: Whether to list the files of folders within, too. Defaults to `False`.

    Returns:
        List of paths.

    Example:

    >>> from fastconv.data import list_image_files
    >>> [file.name for file in list_image_files("photos/test/cat")]
    ['0.png', '1.png', '2.png', '3.png']
    """
    folder = pathlib.Path(folder)
    return [
        entry
        for entry in sorted(folder.rglob("*") if recursive else folder.iterdir())
        if entry.suffix.lower() in IMAGE_EXTENSIONS
        and not any(part.startswith(".") for part in entry.relative_to(folder).parts)
        and entry.is_file()
    ]


def _existing_folder(directory: str | os.PathLike) -> pathlib.Path:
    """Returns the path of a data folder that exists."""
    root = pathlib.Path(directory)
    if not root.is_dir():
        raise DataError(f"The data folder does not exist or is not a folder. Received: {root}")
    return root


def _find_splits(root: pathlib.Path) -> dict[str, Callable[[], FilesByClass]]:
    """Returns the splits that are there, each with a function that lists its images by class."""
    idx_files = find_idx_files(root)
    if idx_files:
        return {split: partial(list_idx_images, *files) for split, files in idx_files.items()}
    folders = {folder.name: folder for folder in _list_folders(root)}
    splits = {split: folders[split] for split in SPLITS if split in folders}
    # A class, too, may be called "train": its folder holds images instead of folders.
    if splits and (len(splits) == len(folders) or any(map(_list_folders, splits.values()))):
        return {split: partial(_list_class_folders, folder) for split, folder in splits.items()}
    return {_WHOLE: partial(_list_class_folders, root)}


def _list(root: pathlib.Path, split: str, listers: dict[str, Callable]) -> FilesByClass:
    if split not in listers:
        raise DataError(
            f"The data folder has no {split}/. It must hold train/<class>/ and test/<class>/, or "
            f"<class>/ alone, or MNIST's idx files of both splits. Received: {root}"
        )
    return listers[split]()


def _list_class_folders(folder: pathlib.Path) -> FilesByClass:
    """Returns the image files of every class folder, both in alphabetical order."""
    return {entry.name: list_image_files(entry) for entry in _list_folders(folder)}


def _list_folders(folder: pathlib.Path) -> list[pathlib.Path]:
    return [
        entry
        for entry in sorted(folder.iterdir())
        if entry.is_dir() and not entry.name.startswith(".")
    ]


def _choose(
    root: pathlib.Path,
    split: str,
    listing: FilesByClass,
    classes: Sequence[str] | None = None,
    limit: int | None = None,
) -> FilesByClass:
    """Returns the classes asked for, in their order, or all, once they can be trained on."""
    folder = f"{split}/" if split else "the folder"
    _check_choice(root, folder, listing, classes, limit)
    names = list(listing)[:limit] if classes is None else classes
    chosen = {name: listing[name] for name in names}
    if len(chosen) < 2:
        all_are_chosen = classes is None and limit is None
        raise DataError(
            f"Images need at least two class folders, {folder} has {len(chosen)}"
            f"{'' if all_are_chosen else ' of those chosen'}. Received: {root / split}"
        )
    for name, files in chosen.items():
        if not files:
            raise DataError(
                f"Class {name!r} has no images in {folder} (files ending in "
                f"{', '.join(IMAGE_EXTENSIONS)}). Received: {root / split / name}"
            )
    return chosen


def _check_choice(
    root: pathlib.Path,
    folder: str,
    listing: FilesByClass,
    classes: Sequence[str] | None,
    limit: int | None,
) -> None:
    if limit is not None and limit > len(listing):
        raise DataError(
            f"There are {len(listing)} classes in {folder}. "
            f"Received: limit_classes={limit} of {root}"
        )
    if classes is None:
        return
    if limit is not None:
        raise DataError(
            "Choose classes by name or limit their number, not both. "
            f"Received: classes={list(classes)}, limit_classes={limit}"
        )
    for name in classes:
        if name not in listing:
            raise DataError(
                f"There is no class {name!r} in {folder}, which has {', '.join(listing)}. "
                f"Received: classes={list(classes)} of {root}"
            )
    if len(set(classes)) < len(classes):
        raise DataError(f"A class was named twice. Received: classes={list(classes)}")


def _check_same_classes(root: pathlib.Path, train: FilesByClass, test: FilesByClass) -> None:
    if set(train) == set(test):
        return
    only = "; ".join(
        f"only in {split}/: {', '.join(names)}"
        for split, names in (
            ("train", [name for name in train if name not in test]),
            ("test", [name for name in test if name not in train]),
        )
        if names
    )
    raise DataError(f"train/ and test/ must hold the same classes; {only}. Received: {root}")
