"""Tests of the pictures that `show` writes."""

import pytest
from color_models import write_color, write_model
from image_folders import write_image
from PIL import Image

from fastconv.errors import InputError
from fastconv.evaluation import show
from fastconv.models import load_model


@pytest.fixture
def model(tmp_path):
    return write_model(tmp_path / "run" / "model.keras")


def test_every_stage_of_the_first_layers_gets_a_picture(model, tmp_path):
    name = load_model(model)[0].layers[0].name
    files = show(model.parent, write_image(tmp_path / "cat.photo.png", 0, (50, 40)))
    assert [file.name for file in files] == [
        "channels.png",
        "filters.png",
        f"maps-1-{name}-convolution.png",
        f"maps-2-{name}-activation.png",
        f"maps-3-{name}-pooling.png",
    ]
    folder = model.parent / "show" / "cat.photo"
    assert sorted(folder.iterdir()) == sorted(files)
    for file in files:
        with Image.open(file) as picture:
            assert len(picture.convert("RGB").getcolors(1 << 24)) > 10  # not blank


def test_layers_and_folder_can_be_chosen(tmp_path):
    model = write_model(tmp_path / "model.keras", backend="stock")
    pooling = load_model(model)[0].layers[1].name
    image = write_color(tmp_path / "red.png", "red")
    files = show(model, image, output=tmp_path / "a" / "b", layers=[pooling], max_maps=2)
    assert [file.name for file in files][2:] == [f"maps-1-{pooling}-output.png"]
    assert files[2].parent == tmp_path / "a" / "b"


def test_an_unknown_layer_is_refused_with_those_that_there_are(model, tmp_path):
    name = load_model(model)[0].layers[0].name
    image = write_color(tmp_path / "red.png", "red")
    with pytest.raises(InputError, match=rf"has are {name}\. Received: conv$"):
        show(model, image, layers=["conv"])
    assert list(model.parent.iterdir()) == [model]


def test_pictures_without_maps_are_refused(model, tmp_path):
    image = write_color(tmp_path / "red.png", "red")
    with pytest.raises(InputError, match=r"`max_maps` must be at least 1\. Received: max_maps=0$"):
        show(model, image, max_maps=0)


def test_an_unreadable_image_is_named(model, tmp_path):
    image = tmp_path / "cat.png"
    image.write_text("no image")
    with pytest.raises(InputError, match=rf"cannot be read.*Received: {image}"):
        show(model, image)


def test_a_missing_image_is_named(model, tmp_path):
    with pytest.raises(InputError, match=r"Received: .*nowhere\.png"):
        show(model, tmp_path / "nowhere.png")
