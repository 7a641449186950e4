"""Where a training stands, and all that it needs to go on as if nothing had happened."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import zipfile

import keras
import numpy as np

from fastconv.errors import InputError, reason
from fastconv.files import written_aside

_FILE = "state.npz"


@dataclasses.dataclass
class ResumePoint:
    """A position in a training.

    Args:
        phase: Index of the phase. Defaults to `0`.
        step: Steps done of the epoch after those in `rows`. Defaults to `0`.
        seconds: Time that these steps took. Defaults to `0.0`.
        wait_seconds: Time of it in which steps waited for input. Defaults to `0.0`.
        wall_seconds: Time that all took so far. Defaults to `0.0`.
        rows: Rows of `history.csv`, one per finished epoch. What callbacks know of the past is
            computed from them again. Defaults to `[]`.
    """

    phase: int = 0
    step: int = 0
    seconds: float = 0.0
    wait_seconds: float = 0.0
    wall_seconds: float = 0.0
    rows: list[dict] = dataclasses.field(default_factory=list)

    @property
    def epoch(self) -> int:
        """Index of the epoch to go on with."""
        return len(self.rows)


def save(folder: pathlib.Path, model: keras.Model, point: ResumePoint) -> None:
    """Writes a point and the state of the model, its optimizer and its metrics.

    Args:
        folder: `resume/` of a run.
        model: Keras model that has trained.
        point: Where it stands.

    Raises:
        InputError: The file cannot be written.
    """
    state = {f"v{k}": variable.numpy() for k, variable in enumerate(_variables(model))}
    with written_aside(folder / _FILE) as aside:
        np.savez(aside, point=json.dumps(dataclasses.asdict(point)), **state)


def load(folder: pathlib.Path) -> tuple[ResumePoint, list[np.ndarray] | None]:
    """Reads what `save` wrote.

    Args:
        folder: `resume/` of a run.

    Returns:
        Tuple of the point and the state for `restore`; the beginning and None where nothing was
        saved, because the run ended within its first epoch.

    Raises:
        InputError: The file is damaged.
    """
    path = folder / _FILE
    if not path.exists():
        return ResumePoint(), None
    try:
        with np.load(path) as saved:
            point = ResumePoint(**json.loads(str(saved["point"])))
            return point, [saved[name] for name in saved.files if name != "point"]
    except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(
            f"The saved state is damaged ({reason(error)}): train anew. Received: {path}"
        ) from error


def restore(model: keras.Model, state: list[np.ndarray]) -> None:
    """Gives a model, its optimizer and its metrics the state that `load` returned.

    Args:
        model: Compiled as the saved one was, with optimizer and metrics built.
        state: Values of its variables.

    Raises:
        InputError: The state is of another model.
    """
    variables = _variables(model)
    if [value.shape for value in state] != [tuple(variable.shape) for variable in variables]:
        raise InputError(
            "The saved state does not fit the model. Resume with the version of fastconv that the "
            f"run began with, or train anew. Received: {len(state)} variables in {_FILE}"
        )
    for variable, value in zip(variables, state, strict=True):
        variable.assign(value)


def _variables(model):
    # The model's own include the states of dropout's random numbers, which weight files leave out.
    return [*model.variables, *model.optimizer.variables, *model.metrics_variables]
