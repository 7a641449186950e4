"""Turns what a report shows into one HTML page."""

from __future__ import annotations

import dataclasses
import datetime
import textwrap
from typing import Any

import jinja2

from fastconv.reports import comparison
from fastconv.reports.model_summary import ModelSummary
from fastconv.reports.pictures import Picture
from fastconv.reports.runs import ReportedRun
from fastconv.train import report
from fastconv.version import __version__

# More classes make a table of numbers wider than a page; the picture shows them as colours.
_MAX_TABLE_CLASSES = 20
_MAX_CONFUSIONS = 5
_NOT_EVALUATED = (
    "This run was not evaluated. `fastconv evaluate RUN --data DIR` does it, or `fastconv report "
    "RUN --data DIR`, which evaluates first."
)


@dataclasses.dataclass(frozen=True)
class RunContent:
    """What the page shows of one run. A part that the run lacks is a string: the reason.

    Attributes:
        run: `ReportedRun`.
        evaluation: dict, `evaluation.json`; None for a run that was not evaluated.
        model: `ModelSummary` or string.
        curves: list of `Picture`, loss and accuracy.
        epoch_times: `Picture` of the seconds of each epoch.
        confusion: `Picture` or string.
        samples: `Picture` or string.
        activations: list of `Picture`, or string.
    """

    run: ReportedRun
    evaluation: dict[str, Any] | None
    model: ModelSummary | str
    curves: list[Picture]
    epoch_times: Picture
    confusion: Picture | str
    samples: Picture | str
    activations: list[Picture] | str


def render(contents, overview=None):
    """Returns the page.

    Args:
        contents: list of `RunContent`.
        overview: list of `Picture`, loss, accuracy and times of all runs; None for a single run.
            Defaults to `None`.

    Returns:
        String, HTML without references to other files.
    """
    runs = [content.run for content in contents]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("fastconv.reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=_percent, number=_number, duration=_duration, setting=_setting, moment=_moment
    )
    environment.tests["text"] = lambda value: isinstance(value, str)
    return environment.get_template("report.html.jinja").render(
        contents=contents,
        overview=overview,
        runs=runs,
        describe=comparison.describe,
        differences=comparison.differences(runs),
        speed_ups=comparison.speed_ups(runs),
        max_table_classes=_MAX_TABLE_CLASSES,
        confusions=_confusions,
        caveats=report.CAVEATS,
        not_evaluated=_NOT_EVALUATED,
        version=__version__,
    )


def _confusions(evaluation):
    """Returns the most frequent mistakes: `(true class, predicted class, images, share)`."""
    names = evaluation["class_names"]
    mistakes = [
        (names[true], names[predicted], count, count / sum(row))
        for true, row in enumerate(evaluation["confusion"])
        for predicted, count in enumerate(row)
        if count and true != predicted
    ]
    return sorted(mistakes, key=lambda mistake: -mistake[2])[:_MAX_CONFUSIONS]


def _percent(value):
    return f"{value:.1%}"


def _number(value):
    """Three digits, or all of an integer with separated thousands."""
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _duration(seconds):
    """Seconds below two minutes, else hours, minutes and seconds."""
    if seconds < 120:
        return f"{seconds:.3g} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def _moment(text):
    """A time in ISO 8601 to the minute."""
    return datetime.datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M %Z").strip()


def _setting(value):
    """A value of a run's configuration for readers."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return "; ".join(
            f"{name.replace('_', ' ')} {_setting(each)}" for name, each in value.items()
        )
    if isinstance(value, list):
        return ", ".join(map(_setting, value))
    return textwrap.shorten(value, 400) if isinstance(value, str) else str(value)
