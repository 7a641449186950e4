"""Tests of models as files."""

import errno
import json
import zipfile

import keras
import numpy as np
import pytest

import fastconv
from fastconv.errors import InputError
from fastconv.models.files import ModelDescription, load_model, save_model

DESCRIPTION = ModelDescription(
    "cifar10", None, "fastconv", ("cat", "dog"), image_size=(24, 26), channels=1
)


@pytest.fixture(scope="module")
def model():
    model = fastconv.models.build("cifar10", input_shape=DESCRIPTION.input_shape, classes=2)
    model.compile(fastconv.optimizers.RMSprop(), "categorical_crossentropy")
    return model


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    return save_model(model, tmp_path_factory.mktemp("run") / "model.keras", DESCRIPTION)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((3, *DESCRIPTION.input_shape), "float32")


@pytest.mark.parametrize("folder", [False, True], ids=["file", "run folder"])
def test_a_model_comes_back_as_it_was(model, saved, images, folder):
    loaded, description = load_model(saved.parent if folder else saved)
    assert description == DESCRIPTION
    assert description.input_shape == (24, 26, 1)
    assert description.fastconv == fastconv.__version__
    np.testing.assert_array_equal(loaded(images), model(images))


def test_keras_opens_the_file(model, saved, images):
    loaded = keras.saving.load_model(saved)
    assert type(loaded.optimizer) is fastconv.optimizers.RMSprop
    np.testing.assert_array_equal(loaded(images), model(images))


def test_the_archive_holds_a_readable_description(saved):
    with zipfile.ZipFile(saved) as archive:
        assert archive.testzip() is None
        fields = json.loads(archive.read("fastconv.json"))
    assert fields == {
        "fastconv": fastconv.__version__,
        "system": "cifar10",
        "variant": None,
        "backend": "fastconv",
        "class_names": ["cat", "dog"],
        "image_size": [24, 26],
        "channels": 1,
        "rescale": 255,
        "precision": "float32",
    }


def test_a_full_disk_leaves_the_older_model_whole(model, saved, monkeypatch):
    before = saved.read_bytes()

    def full(self, *_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(zipfile.ZipFile, "writestr", full)
        with pytest.raises(InputError, match=r"No space left on device.*Received: .*model.keras"):
            save_model(model, saved, DESCRIPTION)
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def test_a_failing_save_writes_no_model(tmp_path):
    with pytest.raises(AttributeError):
        save_model(None, tmp_path / "model.keras", DESCRIPTION)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_model_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no such model.*Received: .*nowhere"):
        load_model(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"holds no model\.keras.*Received: "):
        load_model(tmp_path)


def _text(path, saved):
    path.write_text("no archive")


def _truncated(path, saved):
    path.write_bytes(saved.read_bytes()[:-100])


def _plain_keras(path, saved):
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(path)


def _other_fields(path, saved):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("fastconv.json", '{"class_names": [], "image_size": [1, 1], "x": 0}')


def _damaged_weights(path, saved):
    with zipfile.ZipFile(saved) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            target.writestr(name, data[: len(data) // 2] if name.endswith(".h5") else data)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (_text, "no Keras model at all"),
        (_truncated, "damaged"),
        (_plain_keras, "no description of classes"),
        (_other_fields, "no description of classes"),
        (_damaged_weights, "cannot be loaded"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path, saved, write, message):
    path = tmp_path / "model.keras"
    write(path, saved)
    with pytest.raises(InputError, match=rf"(?s){message}.*Received: .*model\.keras$"):
        load_model(path)


def test_another_suffix_is_refused(tmp_path):
    path = tmp_path / "model.h5"
    path.write_text("")
    with pytest.raises(InputError, match=r"must end in \.keras"):
        load_model(path)
