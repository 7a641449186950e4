"""Tests of the charts of a page: what their legends and axes say, and that all of it is in view."""

import types

import pytest

from fastconv import plots
from fastconv.reports import charts
from fastconv.train import curves


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are drawn, in order: one for light pages, one for dark ones."""
    figures, new_figure = [], plots.new_figure

    def keep(width, height):
        figures.append(new_figure(width, height))
        return figures[-1]

    monkeypatch.setattr(plots, "new_figure", keep)
    return figures


def run(label, epochs):
    names = ("loss", "val_loss", "accuracy", "val_accuracy", "seconds", "input_share")
    values = [0.5 + 0.1 * epoch for epoch in range(epochs)]
    return types.SimpleNamespace(
        label=label,
        epochs=[*range(1, epochs + 1)],
        phases=[],
        history=dict.fromkeys(names, values),
        result={"seconds_per_epoch": 0.5},
    )


def labels(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize(("count", "length"), [(2, 20), (4, 40), (9, 150)])
def test_a_legend_lies_within_the_chart_and_leaves_it_room(drawn, count, length):
    runs = [run(f"run{index}-".ljust(length, "x"), 2) for index in range(count)]
    charts.curves(runs, "loss")
    charts.epoch_times(runs)
    for figure in drawn:
        figure.canvas.draw()
        left, bottom, right, top = figure.legends[0].get_window_extent().extents
        axes = figure.axes[0].get_tightbbox()
        assert 0 <= left < right <= figure.bbox.width
        assert 0 <= bottom < top <= axes.y0
        assert axes.height > 0.75 * 3.3 * figure.dpi
    assert len(drawn) == 4


def test_equal_runs_give_equal_pictures():
    assert charts.curves([run("fast", 3)], "loss") == charts.curves([run("fast", 3)], "loss")


def test_lines_of_several_runs_are_named_once(drawn):
    charts.curves([run("stock", 3), run("fast", 3)], "loss")
    light, _ = drawn
    assert labels(light) == ["stock", "fast", "training", "validation"]


def test_training_and_validation_differ_where_there_is_one_epoch(drawn):
    charts.curves([run("fast", 1)], "loss")
    light, _ = drawn
    assert labels(light) == ["training", "validation"]
    training, validation = light.axes[0].lines
    assert training.get_markerfacecolor() == "none"
    assert validation.get_markerfacecolor() == plots.BLUE


@pytest.mark.parametrize("epochs", [1, 2, 7])
def test_epochs_are_whole(drawn, epochs):
    charts.curves([run("fast", epochs)], "loss")
    row = dict.fromkeys(("loss", "accuracy", "val_loss", "val_accuracy"), 0.5)
    curves.draw_run("title", [row] * epochs, best_epoch=1)
    for figure in drawn:
        figure.canvas.draw()
        first, last = figure.axes[0].get_xlim()
        ticks = [tick for tick in figure.axes[0].get_xticks() if first <= tick <= last]
        assert ticks
        assert all(tick == round(tick) for tick in ticks)


def test_the_best_epoch_and_the_phases_are_marked_apart(drawn):
    row = dict.fromkeys(("loss", "accuracy", "val_loss", "val_accuracy"), 0.5)
    rows = [{**row, "phase": "head"}, {**row, "phase": "head"}, {**row, "phase": "fine-tune"}]
    curves.draw_run("title", rows, best_epoch=2)
    marks = drawn[0].axes[1].lines[2:]
    assert [(mark.get_label(), *mark.get_xdata()) for mark in marks] == [
        ("best epoch", 2, 2),
        ("begin of fine-tune", 2.5, 2.5),
    ]
    best, phase = (mark.get_linestyle() for mark in marks)
    assert best != phase
