"""Compares runs: in what their settings differ, and stock with fastconv where they do not."""

from __future__ import annotations

import dataclasses
import json
import statistics

from fastconv.tables import dimensions

# What differs between repetitions of one training, and between its two builds.
_FREE_SETTINGS = {"backend", "seed"}
# What follows from the settings, as the images of the seed's validation split do, or tells when and
# where the run took place.
_NO_SETTINGS = {"environment", "fingerprint", "started", "finished"}


@dataclasses.dataclass(frozen=True)
class Build:
    """The runs of one backend among those of equal settings.

    Attributes:
        runs: tuple of `ReportedRun`, at least one.
    """

    runs: tuple

    @property
    def seconds_per_epoch(self):
        """Median over the runs of their median seconds per epoch."""
        return self._median("seconds_per_epoch")

    @property
    def images_per_second(self):
        """Median over the runs of their images per second."""
        return self._median("images_per_second")

    @property
    def wall_seconds_per_epoch(self):
        """Median over the runs of the whole training's wall-clock time, by epoch."""
        return statistics.median(run.result["wall_seconds"] / len(run.epochs) for run in self.runs)

    @property
    def accuracies(self):
        """List of the runs' best validation accuracies, ascending."""
        return sorted(run.result["best"]["val_accuracy"] for run in self.runs)

    @property
    def labels(self):
        """List of the runs' labels."""
        return [run.label for run in self.runs]

    def _median(self, name):
        return statistics.median(run.result[name] for run in self.runs)


@dataclasses.dataclass(frozen=True)
class SpeedUp:
    """Stock and fastconv runs of equal settings.

    Attributes:
        title: string, what was trained.
        stock: `Build`.
        fastconv: `Build`.
    """

    title: str
    stock: Build
    fastconv: Build

    @property
    def per_epoch(self):
        """How many times faster fastconv's epochs are, without validation."""
        return self.stock.seconds_per_epoch / self.fastconv.seconds_per_epoch

    @property
    def end_to_end(self):
        """How many times faster the whole training is by epoch, start and validation included."""
        return self.stock.wall_seconds_per_epoch / self.fastconv.wall_seconds_per_epoch

    @property
    def one_epoch(self):
        """Whether a run has only the epoch that compiles."""
        return any(len(run.epochs) == 1 for run in (*self.stock.runs, *self.fastconv.runs))


def speed_ups(runs):
    """Compares the backends wherever runs differ in nothing but backend and seed.

    Args:
        runs: list of `ReportedRun`.

    Returns:
        List of `SpeedUp`, empty where no two runs can be compared.
    """
    groups = {}
    for run in runs:
        key = json.dumps(_settings(run, without=_FREE_SETTINGS), sort_keys=True)
        groups.setdefault(key, []).append(run)
    found = []
    for group in groups.values():
        builds = {
            backend: tuple(run for run in group if run.config["backend"] == backend)
            for backend in ("stock", "fastconv")
        }
        if all(builds.values()):
            title = describe(group[0])
            found.append(SpeedUp(title, Build(builds["stock"]), Build(builds["fastconv"])))
    return found


def differences(runs):
    """Lists the settings in which runs differ.

    Args:
        runs: list of `ReportedRun`.

    Returns:
        Dict from the setting's name to the list of its values, one for each run; None stands for
        a run without that setting.
    """
    settings = [_settings(run, without=()) for run in runs]
    names = dict.fromkeys(name for each in settings for name in each)
    values = {name: [each.get(name) for each in settings] for name in names}
    return {name: row for name, row in values.items() if any(value != row[0] for value in row)}


def describe(run):
    """Returns what a run trained in a few words.

    Args:
        run: `ReportedRun`.

    Returns:
        String, such as `"fruits360 v6, 35x35, batches of 32, float32"`.
    """
    config = run.config
    name = " ".join(filter(None, (config["system"], config.get("variant"))))
    size = dimensions(config["image_size"])
    return f"{name}, {size}, batches of {config['batch_size']}, {config['precision']}"


def _settings(run, without):
    return {
        name: value
        for name, value in run.config.items()
        if name not in _NO_SETTINGS and name not in without
    }
