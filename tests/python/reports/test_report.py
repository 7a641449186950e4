"""Tests of the page about runs."""

import html.parser
import itertools
import json
import re

import commands
import numpy as np
import pytest
from image_folders import write_dataset
from run_folders import EPOCHS, write_run

from fastconv import models
from fastconv.errors import InputError
from fastconv.reports import report
from fastconv.train import Run

CLASSES = ["<b>cat", "dog & co"]  # as in conftest.py
VOID = {"br", "img", "link", "meta", "source"}


class Page(html.parser.HTMLParser):
    """A page taken apart: `tags`, the `text` between them, `headings`, `tables` of cells."""

    def __init__(self, path):
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.tags, self.headings, self.tables = [], [], []
        self._open, self._texts = [], []
        self.feed(self.source)
        self.close()
        assert self._open == []
        self.text = " ".join(" ".join(self._texts).split())

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self._open.append(tag)
        if tag in ("h1", "h2", "h3"):
            self.headings.append("")
        elif tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if "style" in self._open:
            return
        self._texts.append(data)
        if any(tag in ("h1", "h2", "h3") for tag in self._open):
            self.headings[-1] += data
        if any(tag in ("th", "td") for tag in self._open):
            self.tables[-1][-1][-1] += data

    def table(self, corner):
        """Returns the rows of the first table whose first cell holds such a text."""
        return next(rows for rows in self.tables if rows[0][0] == corner)


@pytest.fixture(scope="module")
def single(folder):
    return Page(folder / "runs/fast/report.html")


@pytest.fixture(scope="module")
def both(folder):
    return Page(folder / "both.html")


def test_a_page_has_every_part(single):
    assert single.headings == [
        "fast",
        "Curves",
        "Classes",
        "Confusion matrix",
        "Sample predictions",
        "Activation maps",
        "Speed",
        "Stock against fastconv",
        "Model",
        "Configuration",
        "Environment",
    ]
    pictures = [attributes for tag, attributes in single.tags if tag == "img"]
    # Loss, accuracy, seconds; samples; the image, its filters, the stages of two convolutions.
    assert len(pictures) == 3 + 1 + 2 + (2 + 3)
    assert "57.0% best epoch: 3 of 3" in single.text
    assert "12.5% of an epoch waited for images" in single.text


def test_a_comparison_begins_with_what_the_runs_have_in_common(both):
    assert both.headings[:6] == [
        "2 runs compared",
        "Results",
        "Curves",
        "Settings that differ",
        "Stock against fastconv",
        "fast",
    ]
    assert both.headings.count("Confusion matrix") == 2
    results = both.table("run")
    assert [row[1:4] for row in results[1:]] == [
        ["fastconv", "57.0%", results[1][3]],
        ["stock", "57.0%", "not evaluated"],
    ]
    assert both.table("setting") == [["setting", "fast", "stock"], ["backend", "fastconv", "stock"]]


def test_speed_up_is_that_of_the_results(both):
    rows = {row[0]: row[1:] for row in both.table("")}
    assert rows["seconds per epoch"] == ["4", "2", "2.00"]
    # Of four times an epoch's seconds in all.
    assert rows["whole training, wall-clock seconds per epoch"] == ["5.33", "2.67", "2.00"]
    assert "what else the machine does in the meantime changes the speed-up" in both.text
    assert "the first, which compiles" in both.text


def test_the_tables_of_classes_are_those_of_the_evaluation(folder, single):
    evaluation = json.loads((folder / "runs/fast/evaluation.json").read_text())
    rows = single.table("class")[1:]
    assert [row[0] for row in rows] == [row["class_name"] for row in evaluation["per_class"]]
    for row, expected in zip(rows, evaluation["per_class"], strict=True):
        shown = [float(cell.rstrip("%")) / 100 for cell in row[1:4]]
        wanted = [expected[name] for name in ("precision", "recall", "f_score")]
        np.testing.assert_allclose(shown, wanted, atol=5e-4)
        assert int(row[4]) == expected["support"]
    header, *rows = single.table("true \\ predicted")
    assert header[1:] == CLASSES
    assert [[int(cell or 0) for cell in row[1:]] for row in rows] == evaluation["confusion"]


def test_the_model_is_described_layer_by_layer(folder, single):
    model, _ = models.load_model(folder / "runs/fast")
    rows = single.table("layer")[1:]
    assert [row[0] for row in rows[:-2]] == [layer.name for layer in model.layers]
    assert rows[1][2] == "32 filters 3x3, valid, relu, max pooling 2x2, dropout 0.25"
    parameters = sum(int(np.prod(weight.shape)) for weight in model.weights)
    assert rows[-2] == ["parameters", f"{parameters:,}"]


def test_settings_and_environment_are_listed(folder, single):
    listed = {row[0]: row[1] for rows in single.tables for row in rows if len(row) == 2}
    assert listed["data"] == str((folder / "photos").resolve())
    assert listed["class names"] == ", ".join(CLASSES)
    assert listed["variant"] == "none"
    assert listed["tensorflow"].startswith("2.21.")


@pytest.mark.parametrize("name", ["single", "both"])
def test_a_page_needs_no_other_file(name, request):
    page = request.getfixturevalue(name)
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    for tag, attributes in page.tags:
        assert tag not in ("script", "link", "iframe")
        for attribute in ("src", "srcset"):
            assert attributes.get(attribute, "data:image/").startswith("data:image/")
        if "href" in attributes:
            assert attributes["href"][0] == "#"
            assert attributes["href"][1:] in ids
    assert not re.search(r"@import|url\(", page.source)


@pytest.mark.parametrize("name", ["single", "both"])
def test_a_page_is_accessible(name, request):
    page = request.getfixturevalue(name)
    assert page.tags[0] == ("html", {"lang": "en"})
    for tag, attributes in page.tags:
        if tag == "img":
            assert len(attributes["alt"]) > 20
        elif tag == "th":
            assert attributes["scope"] in ("col", "row")
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(level <= before + 1 for before, level in itertools.pairwise(levels))


def test_names_are_text_not_markup(single):
    assert "b" not in {tag for tag, _ in single.tags}
    assert "&lt;b&gt;cat" in single.source
    assert "dog &amp; co" in single.source


def test_equal_runs_give_equal_pages(folder, single, tmp_path):
    (again,) = report(folder / "runs/fast", tmp_path / "again.html")
    assert again.read_text(encoding="utf-8") == single.source


def test_data_may_have_more_classes_than_the_run(tmp_path):
    data = write_dataset(tmp_path / "photos", classes=("bird", "cat", "dog"))
    run = write_run(tmp_path / "run", tmp_path / "gone", ("dog", "cat"))
    page = Page(*report(run, data=data))
    assert page.table("true \\ predicted")[0][1:] == ["dog", "cat"]
    assert "of 4 images of the test split" in page.text
    assert "An image of class dog and its channels" in page.text


def test_what_a_run_lacks_is_said(tmp_path):
    run = write_run(tmp_path / "run", tmp_path / "gone", model=False)
    (output,) = report(run)
    page = Page(output)
    assert "This run was not evaluated" in page.text
    assert "has no samples.png" in page.text
    assert "Not shown: The folder holds no model.keras" in page.text
    assert "trained in the fastconv build alone" in page.text


def test_without_images_there_are_no_activation_maps(tmp_path):
    run = write_run(tmp_path / "run", tmp_path / "gone")
    page = Page(*report(run, tmp_path / "page.html"))
    assert "there is no image to draw them for" in page.text
    assert str(tmp_path / "gone") in page.text


def test_a_run_in_phases_and_of_many_classes(tmp_path):
    classes = [f"class {k}" for k in range(21)]
    run = Run(write_run(tmp_path / "run", tmp_path / "gone", classes, model=False))
    phases = ("head", "head", "fine-tune")
    run.write_history(
        [row | {"phase": phase} for row, phase in zip(run.history, phases, strict=True)]
    )
    evaluation = {
        "split": "test",
        "images": 21,
        "accuracy": 1.0,
        "class_names": classes,
        "per_class": [
            {"class_name": name, "precision": 1.0, "recall": 1.0, "f_score": 1.0, "support": 1}
            for name in classes
        ],
        "confusion": np.eye(21, dtype=int).tolist(),
    }
    (run.path / "evaluation.json").write_text(json.dumps(evaluation))
    page = Page(*report(run.path))
    assert "head from epoch 1, fine-tune from epoch 3" in page.text
    assert "No image was taken for one of another class" in page.text
    assert "has no confusion.png" in page.text


def test_runs_of_other_settings_are_not_compared(tmp_path):
    data = tmp_path / "gone"
    fast = write_run(tmp_path / "fast", data, model=False)
    stock = write_run(tmp_path / "stock", data, backend="stock", model=False, batch_size=8)
    page = Page(*report([fast, stock], tmp_path / "page.html"))
    assert "none of their times can be held against each other" in page.text
    assert ["batch size", "4", "8"] in page.table("setting")


def test_seeds_are_repetitions(tmp_path):
    data = tmp_path / "gone"
    runs = [
        write_run(tmp_path / f"{backend}-{seed}", data, backend=backend, model=False, seed=seed)
        for backend in ("stock", "fastconv")
        for seed in (1, 2)
    ]
    page = Page(*report(runs, tmp_path / "page.html"))
    rows = {row[0]: row[1:] for row in page.table("")}
    assert rows["runs"] == ["stock-1, stock-2", "fastconv-1, fastconv-2", ""]
    assert rows["best validation accuracy"] == ["57.0% to 57.0%", "57.0% to 57.0%", ""]


def _unfinished(path):
    (path / "result.json").unlink()


def _damaged(path):
    (path / "evaluation.json").write_text('{"accuracy": 0.')


def _empty(path):
    header, _ = (path / "history.csv").read_text().split("\n", 1)
    (path / "history.csv").write_text(f"{header}\n")


def _damaged_history(path):
    history = path / "history.csv"
    history.write_text(history.read_text()[:-30])


def _other_evaluation(path):
    (path / "evaluation.json").write_text('{"accuracy": 0.5}')


def _of_another_version(path):
    result = json.loads((path / "result.json").read_text())
    del result["best"]
    (path / "result.json").write_text(json.dumps(result))


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        (_unfinished, "--resume"),
        (_damaged, "damaged"),
        (_empty, "no epochs"),
        (_damaged_history, "history.csv is damaged"),
        (_of_another_version, "result.json has no best: another version"),
        (_other_evaluation, "evaluation.json has no class_names, .*: another version"),
    ],
)
def test_a_run_that_cannot_be_reported_is_refused(tmp_path, damage, word):
    run = write_run(tmp_path / "run", tmp_path / "gone", model=False)
    damage(run)
    with pytest.raises(InputError, match=rf"{word}.*Received: .*{run.name}"):
        report(run)
    assert not (run / "report.html").exists()


def test_equal_names_are_told_apart_by_their_paths(tmp_path):
    data = tmp_path / "gone"
    runs = [write_run(tmp_path / name / "run", data, model=False) for name in "ab"]
    page = Page(*report(runs, tmp_path / "page.html"))
    assert all(str(run) in page.headings for run in runs)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], ["no such run folder", "nowhere"]),
        (["photos"], ["no readable config.json", "photos"]),
        (["runs/fast", "runs/stock", "runs/fast"], ["only once", "runs/fast"]),
        (["runs/fast", "--output", "photos"], ["is a folder", "photos"]),
        (["runs/fast", "--data", "runs"], ["runs"]),
        ([], ["required", "RUN"]),
    ],
)
def test_bad_arguments_are_refused_in_one_line(folder, arguments, words, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    before = (folder / "runs/fast/report.html").read_bytes()
    line = commands.refusal(capsys, "report", *arguments)
    for word in words:
        assert word in line
    assert (folder / "runs/fast/report.html").read_bytes() == before


def test_the_command_writes_the_page(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert commands.call("report", folder / "runs/fast", folder / "runs/stock") == 0
    assert "Written: report.html" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert Page(tmp_path / "report.html").headings[0] == "2 runs compared"
    assert f"best epoch: {EPOCHS} of {EPOCHS}" in Page(tmp_path / "report.html").text
