"""What a report takes from a run folder."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from fastconv.errors import InputError, reason
from fastconv.train import Run
from fastconv.train.run import METRICS, check_fields

_EVALUATION_FILE = "evaluation.json"
_NEEDED_EVALUATION = {"accuracy", "images", "split", "per_class", "class_names", "confusion"}
# What the page is made of; other settings are listed as they are.
_NEEDED = {
    "config.json": {
        *("system", "variant", "backend", "image_size", "batch_size", "precision", "data"),
        *("class_names", "validated_on", "environment", "finished"),
    },
    "result.json": {
        *("best_epoch", "best", "final", "seconds_per_epoch", "images_per_second"),
        *("input_share", "wall_seconds"),
    },
    "history.csv": {"epoch", *METRICS, "seconds", "input_share"},
}


@dataclasses.dataclass(frozen=True)
class ReportedRun:
    """A finished run, read.

    Attributes:
        folder: The run folder.
        label: What the report calls the run; no two runs of a report have the same.
        config: `config.json`.
        result: `result.json`.
        history: Columns of `history.csv`.
    """

    folder: pathlib.Path
    label: str
    config: dict[str, Any]
    result: dict[str, Any]
    history: dict[str, list]

    @property
    def epochs(self) -> list[int]:
        """Numbers of the epochs, from 1."""
        return self.history["epoch"]

    @property
    def phases(self) -> list[tuple[int, str]]:
        """First epoch and name of each phase of the training; empty where it has but one."""
        names = self.history.get("phase", [])
        starts = [k for k, name in enumerate(names) if k == 0 or names[k - 1] != name]
        return [(self.epochs[k], names[k]) for k in starts]

    @property
    def settings(self) -> dict[str, Any]:
        """`config` without the environment."""
        return {name: value for name, value in self.config.items() if name != "environment"}

    def read_evaluation(self) -> dict[str, Any] | None:
        """Returns `evaluation.json`, None where the run was not evaluated.

        Raises:
            InputError: The file is damaged, or of another version of fastconv.
        """
        path = self.folder / _EVALUATION_FILE
        try:
            evaluation = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise InputError(
                f"The evaluation is damaged ({reason(error)}): repeat it with `fastconv evaluate`. "
                f"Received: {path}"
            ) from error
        check_fields(path, evaluation, _NEEDED_EVALUATION)
        return evaluation


def read_runs(folders: Sequence[str | os.PathLike]) -> list[ReportedRun]:
    """Reads run folders.

    Args:
        folders: Folders of finished runs, at least one.

    Returns:
        The runs, labelled by their folders' names, or by the paths as given where names are equal.

    Raises:
        InputError: One is not the folder of a finished run, or is given twice.
    """
    paths = [pathlib.Path(folder) for folder in folders]
    resolved = [path.resolve() for path in paths]
    if not paths:
        raise InputError("At least one run folder is needed. Received: none")
    for path, target in zip(paths, resolved, strict=True):
        if resolved.count(target) > 1:
            raise InputError(f"A run can be in a report only once. Received: {path} twice")
    names = [target.name for target in resolved]
    return [
        _read_run(path, name if names.count(name) == 1 else str(path))
        for path, name in zip(paths, names, strict=True)
    ]


def _read_run(path, label):
    if not path.is_dir():
        raise InputError(
            f"There is no such run folder: give one that `fastconv train` wrote. Received: {path}"
        )
    run = Run(path)
    config = run.config
    if not run.finished:
        raise InputError(
            f"The run is not finished: continue it with `fastconv train --resume`. Received: {path}"
        )
    rows = run.history
    if not rows:
        raise InputError(f"The run's history.csv has no epochs. Received: {path}")
    history = {name: [row[name] for row in rows] for name in rows[0]}
    result = run.result
    for (name, needed), held in zip(_NEEDED.items(), (config, result, history), strict=True):
        check_fields(path / name, held, needed)
    return ReportedRun(path, label, config, result, history)
