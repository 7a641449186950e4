"""Charts of one run's training, or of several runs in one chart, for light and dark pages."""

import io
import textwrap
from dataclasses import dataclass

import matplotlib as mpl

from fastconv import plots
from fastconv.reports.pictures import Picture, data_uri


@dataclass(frozen=True)
class _Theme:
    ink: str
    grid: str
    colors: tuple[str, ...]


# Colours of Okabe and Ito's palette, lighter or darker where the background would swallow them.
_LIGHT = _Theme(
    ink="#1f2933",
    grid="#cbd2d9",
    colors=(plots.BLUE, plots.VERMILION, plots.GREEN, "#CC79A7", "#8A6D00", "#4A4A4A"),
)
_DARK = _Theme(
    ink="#e4e7eb",
    grid="#52606d",
    colors=("#56B4E9", "#E69F00", "#2FCFA0", "#E79BC4", "#F0E442", "#C0C0C0"),
)
_SIZE = (5.4, 3.3)  # inches, without the legend; text stays legible on a phone
_LABEL_WIDTH = 60  # characters
# Runs beyond the number of colours differ in their marker.
_MARKERS = ("o", "s", "^", "D", "v", "P")


def curves(runs, metric):
    """Draws a metric of training and validation by epoch.

    Args:
        runs: list of `ReportedRun`, at least one.
        metric: `"loss"` or `"accuracy"`.

    Returns:
        A `Picture`.
    """

    def draw(figure, theme):
        axes = figure.subplots()
        kinds = {
            "training": (metric, {"linestyle": ":", "markerfacecolor": "none"}),
            "validation": (f"val_{metric}", {}),
        }
        for index, run in enumerate(runs):
            style = _style(theme, index)
            for kind, (name, changes) in kinds.items():
                label = kind if len(runs) == 1 else None
                axes.plot(run.epochs, run.history[name], label=label, **style, **changes)
            if len(runs) > 1:
                axes.plot([], [], label=run.label, **style)
            for epoch, _ in run.phases[1:]:
                axes.axvline(epoch - 0.5, color=theme.ink, linewidth=0.8, linestyle="--", alpha=0.6)
        if len(runs) > 1:
            style = {**_style(theme, 0), "color": theme.ink}
            for kind, (_, changes) in kinds.items():
                axes.plot([], [], label=kind, **style, **changes)
        _finish(figure, axes, metric, theme)

    best = min if metric == "loss" else max
    spans = "; ".join(
        f"{run.label}: {run.history[f'val_{metric}'][0]:.3g} in validation after the first epoch, "
        f"{best(run.history[f'val_{metric}']):.3g} at best"
        for run in runs
    )
    return _picture(draw, f"Line chart of the {metric} by epoch. {spans}.")


def epoch_times(runs):
    """Draws the seconds of each epoch; of a single run, also how many of them waited for input.

    Args:
        runs: list of `ReportedRun`, at least one.

    Returns:
        A `Picture`.
    """

    def draw(figure, theme):
        axes = figure.subplots()
        if len(runs) == 1:
            (run,) = runs
            waiting = [
                seconds * share
                for seconds, share in zip(
                    run.history["seconds"], run.history["input_share"], strict=True
                )
            ]
            computing = [
                seconds - wait
                for seconds, wait in zip(run.history["seconds"], waiting, strict=True)
            ]
            axes.bar(run.epochs, computing, color=theme.colors[0], label="computing")
            axes.bar(
                run.epochs,
                waiting,
                bottom=computing,
                color=theme.colors[1],
                label="waiting for images",
            )
        else:
            for index, run in enumerate(runs):
                axes.plot(
                    run.epochs,
                    run.history["seconds"],
                    label=run.label,
                    **_style(theme, index),
                )
        axes.set_ylim(bottom=0)
        _finish(figure, axes, "seconds", theme)

    spans = "; ".join(
        f"{run.label}: {min(run.history['seconds']):.3g} to {max(run.history['seconds']):.3g} "
        f"seconds, median {run.result['seconds_per_epoch']:.3g}"
        for run in runs
    )
    return _picture(draw, f"Chart of the seconds that each epoch took. {spans}.")


def _style(theme, index):
    color = theme.colors[index % len(theme.colors)]
    marker = _MARKERS[index // len(theme.colors) % len(_MARKERS)]
    return {"color": color, "linewidth": 1.8, "marker": marker, "markersize": 3.5}


def _finish(figure, axes, label, theme):
    axes.set_xlabel("epoch", color=theme.ink)
    axes.set_ylabel(label, color=theme.ink)
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.tick_params(colors=theme.ink)
    axes.grid(color=theme.grid, linewidth=0.6, alpha=0.7)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(theme.grid)
    _add_legend(figure, axes, theme)


def _add_legend(figure, axes, theme):
    """Adds a legend below the axes, in two columns where they fit, and makes room for it."""
    handles, labels = axes.get_legend_handles_labels()
    for columns in (2, 1):
        legend = figure.legend(
            handles,
            [textwrap.fill(label, _LABEL_WIDTH) for label in labels],
            loc="outside lower center",
            ncols=columns,
            frameon=False,
            labelcolor=theme.ink,
        )
        extent = legend.get_window_extent(figure.canvas.get_renderer())
        if columns == 1 or extent.width <= figure.bbox.width:
            break
        legend.remove()
    figure.set_figheight(_SIZE[1] + extent.height / figure.dpi)


def _picture(draw, alt):
    """Draws once for each kind of page."""
    uris = []
    # Equal runs give equal pages: no date, no random names in the file.
    with mpl.rc_context({"svg.hashsalt": "fastconv"}):
        for theme in (_LIGHT, _DARK):
            figure = plots.new_figure(*_SIZE)
            draw(figure, theme)
            content = io.BytesIO()
            figure.savefig(content, format="svg", transparent=True, metadata={"Date": None})
            uris.append(data_uri(content.getvalue(), "image/svg+xml"))
    return Picture(uris[0], alt, dark=uris[1])
