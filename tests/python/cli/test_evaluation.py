"""Tests of `fastconv evaluate`, `predict` and `show`."""

import json

import pytest
from color_models import write_color, write_model
from commands import call, refusal, run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a trained model in run/ and images in data/ of which one of four is wrong."""
    folder = tmp_path_factory.mktemp("evaluation")
    write_model(folder / "run" / "model.keras")
    for name, color in (("red", "red"), ("green", "green"), ("blue", "blue"), ("blue", "red")):
        write_color(folder / "data" / "test" / name / f"{color}.png", color)
    return folder


@pytest.fixture
def current(folder, monkeypatch):
    """That folder as the current one."""
    monkeypatch.chdir(folder)
    return folder


def test_evaluate_prints_the_table_and_writes_files(current, capsys):
    assert call("evaluate", "run", "--data", "data", "--output", "results") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Accuracy: 75.00% of 4 images of the test split of data."
    table = [line for line in lines if line.startswith("|")]
    assert [line.split()[1] for line in table[2:]] == ["green", "red", "blue"]
    assert "\n".join(table) in (current / "results" / "evaluation.md").read_text()
    names = ["confusion.png", "evaluation.json", "evaluation.md", "samples.png"]
    assert sorted(file.name for file in (current / "results").iterdir()) == names
    for name in names:
        assert f"results/{name}" in lines[-1]


def test_the_installed_predict_prints_nothing_but_json_where_asked_for(folder):
    result = run(
        *("predict", "run/model.keras", "data/test", "--recursive", "--json", "--top", "2"),
        cwd=folder,
    )
    assert result.returncode == 0, result.stderr
    records = json.loads(result.stdout)
    assert [(each["image"], each["class_name"]) for each in records] == [
        ("data/test/blue/blue.png", "blue"),
        ("data/test/blue/red.png", "red"),
        ("data/test/green/green.png", "green"),
        ("data/test/red/red.png", "red"),
    ]
    for each in records:
        first, second = each["top"]
        assert first == {name: each[name] for name in ("class_name", "probability")}
        assert 1 > first["probability"] > 0.9 > second["probability"] > 0


def test_predict_prints_a_table(folder, capsys):
    image = folder / "data" / "test" / "green" / "green.png"
    assert call("predict", folder / "run", image, "--top", 3) == 0
    header, _, *rows = capsys.readouterr().out.splitlines()
    assert header.split() == ["|", "image", "|", "class", "|", "probability", "|"]
    # exp(4) by exp(4) + 2
    assert rows[0].split() == ["|", str(image), "|", "green", "|", "96.47%", "|"]
    assert [row.split() for row in rows[1:]] == [
        ["|", "|", "red", "|", "1.77%", "|"],
        ["|", "|", "blue", "|", "1.77%", "|"],
    ]


def test_show_writes_pictures(current, capsys):
    assert call("show", "run", "data/test/red/red.png", "--max-maps", 2) == 0
    written = [line.strip() for line in capsys.readouterr().out.splitlines()[1:]]
    assert len(written) == 5
    assert sorted(written) == sorted(
        str(file.relative_to(current)) for file in (current / "run" / "show" / "red").iterdir()
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["evaluate", "run"], ["--data"]),
        (["evaluate", "nowhere", "--data", "data"], ["no such model", "nowhere"]),
        (["evaluate", "data", "--data", "data"], ["no model.keras", "data"]),
        (["evaluate", "run", "--data", "nowhere"], ["does not exist", "nowhere"]),
        (["evaluate", "run", "--data", "data", "--split", "val"], ["--split", "'val'"]),
        (["evaluate", "run", "--data", "data", "--split", "train"], ["no train/", "data"]),
        (["evaluate", "run", "--data", "data", "--classes", "red,,blue"], ["--classes"]),
        (["evaluate", "run", "--data", "data", "--classes", "red,red"], ["--classes"]),
        (["evaluate", "run", "--data", "data", "--classes", "red,pink"], ["'pink'"]),
        (["predict", "run", "nowhere"], ["no such image or folder", "nowhere"]),
        (["predict", "run", "data"], ["no images", "--recursive", "data"]),
        (["predict", "run", "data/test/red", "--top", "9"], ["from 1 to 3", "top=9"]),
        (["show", "run", "nowhere.png"], ["nowhere.png"]),
        (["show", "run", "run/model.keras"], ["cannot be read", "run/model.keras"]),
        (["show", "run", "data/test/red/red.png", "--layers", "conv9"], ["fused_conv2d", "conv9"]),
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("current")
def test_bad_input_is_refused_in_one_line(capsys, arguments, words):
    line = refusal(capsys, *arguments)
    for word in words:
        assert word in line


def test_a_truncated_image_is_named(folder, tmp_path, capsys):
    broken = write_color(tmp_path / "broken.png", "red")
    broken.write_bytes(broken.read_bytes()[:50])
    line = refusal(capsys, "predict", folder / "run", tmp_path)
    assert "cannot be read" in line
    assert str(broken) in line
