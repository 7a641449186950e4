"""What a training is asked to do, with the system's own values for what is left out."""

from __future__ import annotations

import dataclasses
import numbers
import os
import pathlib
from collections.abc import Sequence

from fastconv.errors import InputError
from fastconv.models import BACKENDS, PRECISIONS, SYSTEMS, Phase, System

BASE_WEIGHTS = ("imagenet", "none")


@dataclasses.dataclass(frozen=True)
class Settings:
    """All that decides what a run computes, beside the images themselves.

    Args:
        system: Name of the documented system.
        data: Absolute path of the folder of images.
        variant: The system's variant, None where it has none.
        backend: `"fastconv"` or `"stock"`.
        classes: Names of the classes in the order of the labels, None for all.
        limit_classes: How many classes, the first in alphabetical order; None for all.
        image_size: `(height, width)` that images are resized to; None for the size of idx images.
        grayscale: Whether images are turned to grey levels.
        batch_size: Images per training step.
        learning_rate: The optimizer's at its first step.
        epochs: At most so many.
        validation_split: Share of the training images to validate on; 0 for the test split.
        augment: Whether the system's augmentation is applied to the training images.
        patience: The training ends after so many epochs without a better one; 0 for never.
        precision: Keras's dtype policy.
        seed: Start of all random numbers.
        weights: Of the base of transfer learning: `"imagenet"`, the absolute path of a file, or
            `"none"` for random ones; None without a base. Defaults to `None`.
        fine_tune_learning_rate: As `learning_rate`, of the second phase of transfer learning; None
            where there is none. Defaults to `None`.
        fine_tune_epochs: As `epochs`, likewise. Defaults to `None`.
    """

    system: str
    data: str
    variant: str | None
    backend: str
    classes: tuple[str, ...] | None
    limit_classes: int | None
    image_size: tuple[int, int] | None
    grayscale: bool
    batch_size: int
    learning_rate: float
    epochs: int
    validation_split: float
    augment: bool
    patience: int
    precision: str
    seed: int
    weights: str | None = None
    fine_tune_learning_rate: float | None = None
    fine_tune_epochs: int | None = None

    @property
    def description(self) -> System:
        """The documented system."""
        return SYSTEMS[self.system]

    @property
    def command(self) -> str:
        """The command that trains the system."""
        return "transfer" if self.description.phases else "train"

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The parts of the training, one after the other, without those of no epochs."""
        if not self.description.phases:
            return (Phase("train", self.epochs, self.learning_rate),)
        head, fine_tuning = self.description.phases
        phases = (
            dataclasses.replace(head, epochs=self.epochs, learning_rate=self.learning_rate),
            dataclasses.replace(
                fine_tuning,
                epochs=self.fine_tune_epochs,
                learning_rate=self.fine_tune_learning_rate,
            ),
        )
        return tuple(phase for phase in phases if phase.epochs)


FIELDS = tuple(field.name for field in dataclasses.fields(Settings))


def resolve(system: str, data: str | os.PathLike, **options) -> Settings:
    """Returns the settings of a new run.

    Args:
        system: Name of the documented system.
        data: Folder of images.
        **options: Other fields of `Settings`; None stands for the system's own value.

    Raises:
        InputError: There is no such system or variant, or a value is out of range.
    """
    if system not in SYSTEMS:
        raise InputError(
            f"There is no such system: give one of {', '.join(SYSTEMS)}. Received: {system}"
        )
    description = SYSTEMS[system]
    settings = {
        "variant": description.variants[-1] if description.variants else None,
        "backend": "fastconv",
        "classes": None,
        "limit_classes": None,
        "image_size": None,
        "grayscale": False,
        "batch_size": description.batch_size,
        "learning_rate": description.learning_rate,
        "epochs": description.epochs,
        "validation_split": description.validation_split or 0.0,
        "augment": True,
        "patience": description.patience,
        "precision": "float32",
        "seed": 0,
    }
    if description.phases:
        head, fine_tuning = description.phases
        settings |= {
            "learning_rate": head.learning_rate,
            "epochs": head.epochs,
            "fine_tune_learning_rate": fine_tuning.learning_rate,
            "fine_tune_epochs": fine_tuning.epochs,
        }
    given = {name: value for name, value in options.items() if value is not None}
    return _checked(Settings(system=system, data=str(data), **(settings | given)))


def from_config(config: dict) -> Settings:
    """Returns the settings that a run's `config.json` holds among other things."""
    return _normal(Settings(**{name: config[name] for name in FIELDS}))


def differences(settings: Settings, given: dict) -> dict[str, tuple]:
    """Returns the fields of which another value is given, with both values.

    Args:
        settings: Those of a run.
        given: Values by field; None stands for none given.
    """
    given = {name: value for name, value in given.items() if value is not None}
    wanted = _normal(dataclasses.replace(settings, **given))
    return {
        name: (getattr(settings, name), getattr(wanted, name))
        for name in given
        if getattr(settings, name) != getattr(wanted, name)
    }


def _normal(settings: Settings) -> Settings:
    """Returns equal settings with tuples for lists and absolute paths."""
    changes = {"data": str(pathlib.Path(settings.data).resolve())}
    if settings.classes is not None:
        if isinstance(settings.classes, str):
            raise InputError(
                f"`classes` must be a list of names. Received: classes={settings.classes!r}"
            )
        changes["classes"] = tuple(settings.classes)
    if settings.image_size is not None:
        size = settings.image_size
        changes["image_size"] = tuple(size) if isinstance(size, Sequence) else (size, size)
    if settings.weights not in (None, *BASE_WEIGHTS):
        changes["weights"] = str(pathlib.Path(settings.weights).resolve())
    return dataclasses.replace(settings, **changes)


def _checked(settings: Settings) -> Settings:
    description = settings.description
    settings = _normal(settings)
    _check_choice("variant", settings.variant, description.variants or (None,))
    _check_choice("backend", settings.backend, BACKENDS)
    _check_choice("precision", settings.precision, PRECISIONS)
    for name, least in (
        *(("batch_size", 1), ("epochs", 1), ("fine_tune_epochs", 0), ("limit_classes", 2)),
        *(("patience", 0), ("seed", 0)),
    ):
        value = getattr(settings, name)
        if value is not None and not (isinstance(value, numbers.Integral) and value >= least):
            raise InputError(
                f"`{name}` must be an integer of at least {least}. Received: {name}={value!r}"
            )
    for name in ("learning_rate", "fine_tune_learning_rate"):
        value = getattr(settings, name)
        if value is not None and not (_is_number(value) and 0 < value < float("inf")):
            raise InputError(f"`{name}` must be a positive number. Received: {name}={value!r}")
    if not (_is_number(settings.validation_split) and 0 <= settings.validation_split < 1):
        raise InputError(
            "`validation_split` must be a number of at least 0 and less than 1. "
            f"Received: validation_split={settings.validation_split!r}"
        )
    size = settings.image_size
    if size is not None and not (
        len(size) == 2 and all(isinstance(side, numbers.Integral) and side > 0 for side in size)
    ):
        raise InputError(
            f"`image_size` must be one or two positive integers. Received: image_size={size}"
        )
    return settings


def _is_number(value):
    return isinstance(value, numbers.Real)


def _check_choice(name, value, choices):
    if value not in choices:
        listed = ", ".join(str(choice) for choice in choices)
        raise InputError(f"`{name}` must be one of: {listed}. Received: {name}={value}")
