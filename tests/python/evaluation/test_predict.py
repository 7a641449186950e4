"""Tests of predictions."""

import gzip
import struct

import keras
import numpy as np
import pytest
from color_models import write_color, write_model
from image_folders import write_image

import fastconv
from fastconv.data import load_images
from fastconv.errors import InputError
from fastconv.evaluation import Prediction, evaluate, predict
from fastconv.models import ModelDescription, save_model


@pytest.fixture
def model(tmp_path):
    return write_model(tmp_path / "model.keras")


@pytest.fixture
def folder(tmp_path):
    """Images of two colours, one of them in a folder within, and files that are none."""
    folder = tmp_path / "outside"
    write_color(folder / "b.png", "blue", size=(40, 30))
    write_color(folder / "a.JPG", "green")
    write_color(folder / "within" / "c.png", "red")
    (folder / "notes.txt").write_text("no image")
    (folder / ".hidden.png").write_text("no image")
    write_color(folder / ".hidden" / "d.png", "red")
    return folder


def test_images_of_a_folder_come_in_order(model, folder):
    predictions = predict(model, folder)
    assert [each.path for each in predictions] == [folder / "a.JPG", folder / "b.png"]
    assert [each.class_name for each in predictions] == ["green", "blue"]


def test_folders_within_are_taken_where_asked_for(model, folder):
    predictions = predict(model, folder, recursive=True)
    assert [each.path for each in predictions] == [
        folder / "a.JPG",
        folder / "b.png",
        folder / "within" / "c.png",
    ]
    assert predictions[2].class_name == "red"


def test_one_image_is_predicted(model, folder):
    assert predict(model, folder / "b.png") == [
        Prediction(folder / "b.png", (("blue", pytest.approx(1 / (1 + 2 * np.exp(-4)), rel=1e-5)),))
    ]


def test_top_classes_come_sorted(model, tmp_path):
    image = write_image(tmp_path / "image.png", 0)
    red, green, blue = load_images([image], (6, 8))[0].reshape(-1, 3).astype(float).mean(axis=0)
    expected = dict(sorted({"red": red, "green": green, "blue": blue}.items(), key=lambda x: -x[1]))
    (prediction,) = predict(model, image, top=3)
    names, probabilities = zip(*prediction.classes, strict=True)
    assert len(set(probabilities)) == 3
    assert list(probabilities) == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1)
    assert set(names) == set(expected)
    assert (prediction.class_name, prediction.probability) == prediction.classes[0]
    assert predict(model, image, top=2)[0].classes == prediction.classes[:2]


@pytest.mark.parametrize("backend", ["fastconv", "stock"])
@pytest.mark.parametrize(
    ("system", "input_shape", "classes"),
    [("cifar10", (24, 26, 3), 4), ("catsdogs", (22, 24, 1), 2)],
)
def test_probabilities_are_those_of_the_model(tmp_path, system, input_shape, classes, backend):
    keras.utils.set_random_seed(0)
    model = fastconv.models.build(system, backend, input_shape, classes)
    model.set_weights([3 * weights for weights in model.get_weights()])
    names = tuple("abcd"[:classes])
    description = ModelDescription(system, None, backend, names, input_shape[:2], input_shape[2])
    path = save_model(model, tmp_path / "model.keras", description)
    images = [write_image(tmp_path / "images" / f"{k}.png", k, (31, 20 + k)) for k in range(5)]
    pixels = load_images(images, input_shape[:2], input_shape[2]).astype("float32") / 255
    expected = model.predict(pixels, verbose=0)
    if classes == 2:
        expected = np.concatenate([1 - expected, expected], axis=1)
    assert np.ptp(expected, axis=0).max() > 0.01  # else images would not matter

    predictions = predict(path, tmp_path / "images", top=classes, batch_size=2)
    found = [[dict(each.classes)[name] for name in names] for each in predictions]
    # Batches of another size may be computed by another kernel.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_images_of_idx_files_are_evaluated(tmp_path):
    """MNIST's own format goes the same way."""
    model = fastconv.models.build("cifar10", "stock", (24, 24, 1), 10)
    names = tuple("0123456789")
    path = save_model(
        model,
        tmp_path / "run" / "model.keras",
        ModelDescription("cifar10", None, "stock", names, (24, 24), 1),
    )
    pixels = np.random.default_rng(0).integers(0, 256, (20, 24, 24), dtype=np.uint8)
    labels = np.arange(20, dtype=np.uint8) % 10
    for prefix in ("train", "t10k"):
        with gzip.open(tmp_path / f"{prefix}-images-idx3-ubyte.gz", "wb") as file:
            file.write(struct.pack(">4i", 2051, *pixels.shape) + pixels.tobytes())
        with gzip.open(tmp_path / f"{prefix}-labels-idx1-ubyte.gz", "wb") as file:
            file.write(struct.pack(">2i", 2049, len(labels)) + labels.tobytes())
    expected = model.predict(pixels[..., np.newaxis].astype("float32") / 255, verbose=0)
    confusion = np.zeros((10, 10), int)
    np.add.at(confusion, (labels, expected.argmax(axis=1)), 1)
    np.testing.assert_array_equal(evaluate(path, tmp_path).confusion, confusion)


def test_an_unreadable_image_is_named(model, folder):
    (folder / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    with pytest.raises(InputError, match=rf"cannot be read.*Received: {folder / 'b.png'}"):
        predict(model, folder)


def test_a_file_that_is_no_image_is_named(model, folder):
    with pytest.raises(InputError, match=r"cannot be read.*Received: .*notes\.txt"):
        predict(model, folder / "notes.txt")


def test_a_folder_without_images_is_refused(model, tmp_path):
    write_color(tmp_path / "empty" / "within" / "a.png", "red")
    with pytest.raises(InputError, match=r"holds no images.*--recursive.*Received: .*empty$"):
        predict(model, tmp_path / "empty")
    (tmp_path / "empty" / "within" / "a.png").unlink()
    with pytest.raises(InputError, match=r"holds no images.*Received: .*empty$"):
        predict(model, tmp_path / "empty", recursive=True)


def test_a_missing_image_is_refused(model, tmp_path):
    with pytest.raises(InputError, match=r"no such image or folder.*Received: .*nowhere"):
        predict(model, tmp_path / "nowhere")


@pytest.mark.parametrize("top", [0, 4])
def test_top_beyond_the_classes_is_refused(model, folder, top):
    with pytest.raises(InputError, match=rf"from 1 to 3.*Received: top={top}"):
        predict(model, folder, top=top)


def test_a_missing_model_is_refused(tmp_path, folder):
    with pytest.raises(InputError, match=r"no such model.*Received: "):
        predict(tmp_path / "nowhere.keras", folder)
