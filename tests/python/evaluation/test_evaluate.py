"""Tests of evaluation: of models whose answers are known, on images of one colour each."""

import dataclasses
import errno
import json
import pathlib

import numpy as np
import pytest
from color_models import write_color, write_model
from PIL import Image

from fastconv.errors import InputError
from fastconv.evaluation import Classifier, evaluate, summary
from fastconv.models import load_model, save_model

# The colours of each class's images: what the model takes them for.
IMAGES = {
    "blue": ["blue", "blue", "red"],
    "green": ["green", "red", "red", "red"],
    "red": ["red"],
}


@pytest.fixture
def model(tmp_path):
    return write_model(tmp_path / "run" / "model.keras")


def _write_data(root, split="test", classes=IMAGES):
    for name, colors in classes.items():
        for k, color in enumerate(colors):
            write_color(root / split / name / f"{k}.png", color)
    return root


@pytest.fixture
def data(tmp_path):
    return _write_data(tmp_path / "data")


@pytest.mark.parametrize("backend", ["fastconv", "stock"])
def test_the_numbers_are_those_of_the_images(tmp_path, data, backend):
    model = write_model(tmp_path / "model.keras", backend=backend)
    evaluation = evaluate(model, data)
    assert evaluation.class_names == ("red", "green", "blue")  # the model's order, not the folder's
    np.testing.assert_array_equal(evaluation.confusion, [[1, 0, 0], [3, 1, 0], [1, 0, 2]])
    assert evaluation.accuracy == 0.5
    assert (evaluation.images, evaluation.split, evaluation.data) == (8, "test", str(data))
    best, second, worst = evaluation.per_class
    assert (best.class_name, best.precision, best.support) == ("blue", 1, 3)
    assert (best.recall, best.f_score) == (pytest.approx(2 / 3), pytest.approx(0.8))
    assert (second.class_name, second.precision, second.recall) == ("green", 1, 0.25)
    assert (worst.class_name, worst.precision, worst.recall) == ("red", 0.2, 1)
    assert worst.f_score == pytest.approx(1 / 3)


def test_a_model_of_one_output_tells_two_classes(tmp_path):
    model = write_model(tmp_path / "model.keras", ("apple", "pear"))
    data = _write_data(
        tmp_path / "data", classes={"apple": ["red", "red", "green"], "pear": ["green"]}
    )
    evaluation = evaluate(model, data)
    np.testing.assert_array_equal(evaluation.confusion, [[2, 1], [0, 1]])
    assert evaluation.accuracy == 0.75


def test_probabilities_sum_to_one_for_both_kinds_of_models(tmp_path):
    image = write_color(tmp_path / "image.png", "green")
    for names in (("apple", "pear"), ("red", "green", "blue")):
        path = write_model(tmp_path / "model.keras", names)
        (row,) = Classifier(path).probabilities([image])
        assert (row.shape, row.argmax()) == ((len(names),), 1)
        # The green mean is 1: softmax of (0, 4, 0) or sigmoid of 4.
        assert row[1] == pytest.approx(1 / (1 + (len(names) - 1) * np.exp(-4)), rel=1e-5)
        assert row.sum() == pytest.approx(1, rel=1e-6)


def test_files_lie_beside_the_model(model, data):
    evaluation = evaluate(model.parent, data)  # the run folder
    assert evaluation.files == tuple(
        model.parent / name
        for name in ("evaluation.json", "evaluation.md", "confusion.png", "samples.png")
    )
    assert sorted(model.parent.iterdir()) == sorted((model, *evaluation.files))
    for picture in evaluation.files[2:]:
        with Image.open(picture) as image:
            image.load()
            assert image.format == "PNG"


def test_the_record_can_be_computed_with(model, data):
    evaluation = evaluate(model, data, output=data.parent / "a" / "b")
    record = json.loads((data.parent / "a" / "b" / "evaluation.json").read_text())
    assert record["accuracy"] == 0.5
    assert record["images"] == 8
    assert record["class_names"] == ["red", "green", "blue"]
    assert record["confusion"] == [[1, 0, 0], [3, 1, 0], [1, 0, 2]]
    assert [each["class_name"] for each in record["per_class"]] == ["blue", "green", "red"]
    assert record["per_class"][1] == vars(evaluation.per_class[1])
    assert (record["split"], record["data"]) == ("test", str(data))
    assert record["files"] == [file.name for file in evaluation.files]


def test_the_tables_are_sorted_by_f_score(model, data):
    evaluation = evaluate(model, data)
    table = summary.class_table(evaluation)
    assert table.splitlines() == [
        "| class | precision | recall | F-score | support |",
        "| ----- | --------: | -----: | ------: | ------: |",
        "| blue  |    1.0000 | 0.6667 |  0.8000 |       3 |",
        "| green |    1.0000 | 0.2500 |  0.4000 |       4 |",
        "| red   |    0.2000 | 1.0000 |  0.3333 |       1 |",
    ]
    page = (model.parent / "evaluation.md").read_text()
    assert table in page
    assert "| green            |   3 |     1 |    0 |" in page
    assert "Accuracy: 50.00% of 8 images of the test split" in page
    assert "![Random images](samples.png)" in page


def test_another_split_can_be_evaluated(model, data):
    _write_data(data, "train", {name: [name] for name in IMAGES})
    assert evaluate(model, data, split="train").accuracy == 1


def test_some_classes_can_be_evaluated(model, data):
    _write_data(data, classes={"yellow": ["red"]})
    evaluation = evaluate(model, data, classes=("blue", "red"))
    np.testing.assert_array_equal(evaluation.confusion, [[1, 0, 0], [0, 0, 0], [1, 0, 2]])
    assert evaluation.per_class[-1].support == 0


def test_the_batch_size_does_not_matter(model, data):
    np.testing.assert_array_equal(
        evaluate(model, data, batch_size=3).confusion, evaluate(model, data).confusion
    )


def test_random_images_depend_on_the_seed_alone(model, data):
    _write_data(data, classes={"red": ["red", "blue"] * 15})
    pictures = []
    for seed in (1, 1, 2):
        evaluate(model, data, seed=seed)
        pictures.append((model.parent / "samples.png").read_bytes())
    assert pictures[0] == pictures[1] != pictures[2]


def test_a_class_that_the_model_does_not_have_is_refused(model, data):
    _write_data(data, classes={"yellow": ["red"], "white": ["red"]})
    with pytest.raises(InputError, match=r"classes white, yellow: the data has 5 .*model 3.*Rec"):
        evaluate(model, data)
    assert list(model.parent.iterdir()) == [model]


def test_a_class_that_the_data_does_not_have_is_refused(model, data):
    for image in (data / "test" / "green").iterdir():
        image.unlink()
    with pytest.raises(InputError, match=r"'green' has no images.*Received: .*green"):
        evaluate(model, data)
    (data / "test" / "green").rmdir()
    with pytest.raises(InputError, match=r"class green\..*--classes blue,red\. Received: "):
        evaluate(model, data)


def test_a_missing_split_is_refused(model, data):
    with pytest.raises(InputError, match=r"no train/.*Received: "):
        evaluate(model, data, split="train")


def test_a_truncated_image_is_named(model, data):
    broken = data / "test" / "green" / "2.png"
    broken.write_bytes(broken.read_bytes()[:50])
    with pytest.raises(InputError, match=rf"cannot be read.*Received: {broken}"):
        evaluate(model, data)
    assert list(model.parent.iterdir()) == [model]


def test_a_model_of_other_outputs_than_classes_is_refused(model):
    trained, description = load_model(model)
    names = ("red", "green", "blue", "grey")
    save_model(trained, model, dataclasses.replace(description, class_names=names))
    with pytest.raises(InputError, match=r"names 4 classes.*tells 3 apart.*Received: "):
        Classifier(model)


def test_a_full_disk_leaves_the_older_evaluation_whole(model, data, monkeypatch):
    evaluation = evaluate(model, data)
    before = [file.read_bytes() for file in evaluation.files]

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(pathlib.Path, "write_bytes", full)
        with pytest.raises(InputError, match=r"No space left.*Received: .*evaluation\.json"):
            evaluate(model, data, seed=1)
    assert [file.read_bytes() for file in evaluation.files] == before
    assert sorted(model.parent.iterdir()) == sorted((model, *evaluation.files))
