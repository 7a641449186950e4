"""A run folder: what a training was asked, how it went, and what came out."""

from __future__ import annotations

import csv
import io
import json
import os
import pathlib
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import keras

from fastconv.errors import InputError, reason
from fastconv.files import written_aside
from fastconv.models import ModelDescription, load_model
from fastconv.models.files import MODEL_FILE

METRICS = ("loss", "accuracy", "val_loss", "val_accuracy")
_COLUMNS = ("epoch", "phase", *METRICS, "learning_rate")
_COLUMNS += ("seconds", "images_per_second", "input_share")


@dataclass(frozen=True)
class Run:
    """The folder that `fastconv train` or `fastconv transfer` writes.

    Args:
        path: The folder.

    Example:

    >>> from fastconv.train import Run
    >>> run = Run("runs/cifar10")
    >>> model, description = run.load_model()
    >>> description.class_names
    ('cat', 'dog', 'horse')
    """

    path: pathlib.Path

    def __init__(self, path: str | os.PathLike):
        object.__setattr__(self, "path", pathlib.Path(path))

    @property
    def model_file(self) -> pathlib.Path:
        """`model.keras`, the model after its best epoch."""
        return self.path / MODEL_FILE

    @property
    def resume_folder(self) -> pathlib.Path:
        """`resume/`, what goes on from here; there is none when the run has finished."""
        return self.path / "resume"

    @property
    def tensorboard_folder(self) -> pathlib.Path:
        """`tensorboard/`, to be looked at with `tensorboard --logdir`."""
        return self.path / "tensorboard"

    @property
    def curves_file(self) -> pathlib.Path:
        """`curves.png`, loss and accuracy over the epochs."""
        return self.path / "curves.png"

    @property
    def config(self) -> dict:
        """`config.json`: settings, class names, number of images, versions."""
        return self._read("config.json")

    @property
    def result(self) -> dict:
        """`result.json`: best epoch, metrics, times; of a finished run."""
        return self._read("result.json")

    @property
    def exists(self) -> bool:
        """Whether the folder holds a run, finished or not."""
        return (self.path / "config.json").exists()

    @property
    def finished(self) -> bool:
        """Whether the training came to its end."""
        return (self.path / "result.json").exists()

    @property
    def history(self) -> list[dict]:
        """`history.csv`: one row per epoch, numbers as numbers."""
        return self._read("history.csv", _parse_history)

    def load_model(self) -> tuple[keras.Model, ModelDescription]:
        """Returns the model after its best epoch, and its description."""
        return load_model(self.model_file)

    def write_config(self, config: dict) -> None:
        """Writes `config.json`."""
        self._write("config.json", config)

    def write_result(self, result: dict) -> None:
        """Writes `result.json`, which finishes the run, and removes `resume/`."""
        self._write("result.json", result)
        shutil.rmtree(self.resume_folder, ignore_errors=True)

    def write_history(self, rows: list[dict]) -> None:
        """Writes `history.csv`, whole."""
        columns = [name for name in _COLUMNS if name in rows[0]]
        with (
            written_aside(self.path / "history.csv") as aside,
            aside.open("w", encoding="utf-8", newline="") as file,
        ):
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)

    def _write(self, name: str, record: dict) -> None:
        with written_aside(self.path / name) as aside:
            aside.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")

    def _read(self, name: str, parse: Callable[[str], Any] = json.loads) -> Any:
        try:
            return parse((self.path / name).read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(
                f"The folder holds no readable {name}: give one that `fastconv train` or `fastconv "
                f"transfer` wrote ({reason(error)}). Received: {self.path}"
            ) from error
        except (ValueError, csv.Error) as error:
            raise InputError(f"{name} is damaged ({error}). Received: {self.path}") from error


def best_row(rows: list[dict], monitor: str) -> dict:
    """Returns the row of the best epoch, the first of equal ones.

    Args:
        rows: Rows of `history.csv`, at least one.
        monitor: Name of the column to judge by: the lowest is best for losses, else the highest.
    """
    sign = 1 if monitor.endswith("loss") else -1

    def badness(row):
        value = sign * row[monitor]
        return float("inf") if value != value else value  # a loss that is not a number

    return min(rows, key=badness)


def check_fields(file: pathlib.Path, held: Iterable[str], needed: Iterable[str]) -> None:
    """Checks that a file of a run holds what will be read of it.

    Args:
        file: `config.json`, say, of a run folder.
        held: Names of what it holds.
        needed: Names of what it must hold.

    Raises:
        InputError: Something is missing.
    """
    missing = sorted(set(needed).difference(held))
    if missing:
        raise InputError(
            f"The run's {file.name} has no {', '.join(missing)}: another version of fastconv may "
            f"have written it. Received: {file.parent}"
        )


def _parse_history(text: str) -> list[dict]:
    return [
        {name: value if name == "phase" else _number(value) for name, value in row.items()}
        for row in csv.DictReader(io.StringIO(text), restval="")
    ]


def _number(text: str) -> int | float:
    return int(text) if text.isdecimal() else float(text)
