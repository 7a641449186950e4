"""Learning curves."""

from fastconv import plots
from fastconv.train.run import METRICS

# The lines also differ in width, because equal curves cover each other.
WIDE = {"color": plots.BLUE, "linewidth": 5, "alpha": 0.45}
NARROW = {"color": plots.VERMILION, "linewidth": 1.8, "marker": "o", "markersize": 4}
_TRAINING = {**NARROW, "color": plots.BLUE, "marker": "s"}


def draw_curves(title, curves, marks=()):
    """Draws loss and accuracy over the epochs.

    Args:
        title: string.
        curves: list of tuples `(label, values, style)`: `values` is a dict of lists, `loss` and
            `accuracy` with one number per epoch; `style` holds arguments of matplotlib's `plot`.
        marks: list of tuples `(epoch, label, linestyle)`, vertical lines at epochs from 1. Defaults
            to `()`.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure = plots.new_figure(11, 4.5)
    for axes, metric in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for label, values, style in curves:
            epochs = range(1, len(values[metric]) + 1)
            axes.plot(epochs, values[metric], label=label, **style)
        for epoch, label, line in marks:
            axes.axvline(epoch, color="0.4", linewidth=1.2, linestyle=line, label=label)
        axes.set_xlabel("epoch")
        axes.set_ylabel(metric)
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axes.grid(alpha=0.3)
    axes.set_ylim(0, 1)
    axes.legend(frameon=False)
    figure.suptitle(title)
    return figure


def draw_run(title, rows, best_epoch):
    """Draws the curves of one run in training and validation, with its best epoch and its phases.

    Args:
        title: string.
        rows: list of dicts, rows of `history.csv`.
        best_epoch: int, from 1.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    columns = {name: [row[name] for row in rows] for name in METRICS}
    validation = {name: columns[f"val_{name}"] for name in ("loss", "accuracy")}
    marks = [(best_epoch, "best epoch", "--")]
    phases = [row.get("phase") for row in rows]
    for epoch in range(1, len(rows)):
        if phases[epoch] != phases[epoch - 1]:
            marks.append((epoch + 0.5, f"begin of {phases[epoch]}", ":"))
    curves = [("training", columns, _TRAINING), ("validation", validation, NARROW)]
    return draw_curves(title, curves, marks)
