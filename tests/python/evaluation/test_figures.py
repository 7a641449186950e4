"""Tests of pictures: what is written and coloured in them. That they look well, eyes must tell."""

import io

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from fastconv import plots
from fastconv.evaluation import ActivationMaps, figures, measure


def _texts(axes):
    return [text.get_text() for text in axes.texts]


def _colors(figure):
    """Returns the colours of a figure's pixels."""
    with Image.open(io.BytesIO(plots.png(figure))) as picture:
        return {color for _, color in picture.convert("RGB").getcolors(1 << 24)}


def _rgb(color):
    return tuple(round(255 * value) for value in mpl.colors.to_rgb(color))


@pytest.fixture
def images():
    return np.random.default_rng(0).random((20, 6, 5, 3), "float32")


def test_a_confusion_matrix_names_classes_and_counts():
    figure = figures.confusion(measure([0, 0, 0, 1, 2], [0, 0, 2, 1, 1], ["cat", "dog", "owl"]))
    axes = figure.axes[0]
    assert axes.get_title() == "3 of 5 images right (60.0%)"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog", "owl"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["cat", "dog", "owl"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "true class")
    # Column, row and count: rows are true classes.
    counts = {text.get_position(): text.get_text() for text in axes.texts}
    assert counts == {(0, 0): "2", (2, 0): "1", (1, 1): "1", (1, 2): "1"}
    shares = axes.images[0].get_array()
    np.testing.assert_allclose(shares, [[2 / 3, 0, 1 / 3], [0, 1, 0], [0, 1, 0]])


def test_a_confusion_matrix_of_many_classes_has_no_numbers():
    many = range(101)
    figure = figures.confusion(measure(many, many, [str(label) for label in many]))
    assert _texts(figure.axes[0]) == []
    assert len(figure.axes[0].get_yticklabels()) == 101


def test_samples_are_green_when_right_and_red_when_wrong(images):
    figure = figures.samples(images[:2], ["cat", "dog"], ["cat", "cat"])
    assert len(figure.axes) == 20
    right, wrong, empty = figure.axes[:3]
    assert (right.get_title(), right.title.get_color()) == ("cat (cat)", plots.GREEN)
    assert (wrong.get_title(), wrong.title.get_color()) == ("dog (cat)", plots.RED)
    assert empty.get_title() == ""
    assert [axes.axison for axes in (right, wrong, empty)] == [False, True, False]
    frame = {spine.get_edgecolor()[:3] for spine in wrong.spines.values()}
    assert frame == {mpl.colors.to_rgb(plots.RED)}
    np.testing.assert_array_equal(wrong.images[0].get_array(), images[1])
    assert {_rgb(plots.GREEN), _rgb(plots.RED)} <= _colors(figure)


def test_right_samples_alone_have_no_red_frame(images):
    assert _rgb(plots.RED) not in _colors(figures.samples(images * 0, ["cat"] * 20, ["cat"] * 20))


def test_long_class_names_are_wrapped(images):
    figure = figures.samples(images[:1], ["PineappleMini"], ["StrawberryWedge"])
    assert figure.axes[0].get_title() == "PineappleMini\n(StrawberryWedge)"


def test_maps_are_drawn_each_on_its_scale():
    maps = np.zeros((4, 5, 3), "float32")
    maps[0, 0], maps[3, 4] = (-1, 0, 20), (0.5, 7, 10)
    figure = figures.maps(ActivationMaps("conv", "activation", maps))
    (axes,) = figure.axes
    assert axes.get_title().startswith("conv, activation\n3 maps of 4x5,\n")
    assert _texts(axes) == ["0: -1 to 0.5", "1: 0 to 7", "2: 0 to 20"]
    for index, image in enumerate(axes.images):
        np.testing.assert_array_equal(image.get_array(), maps[..., index])
        assert image.get_clim() == (maps[..., index].min(), maps[..., index].max())


def test_only_the_first_of_many_maps_are_drawn():
    figure = figures.maps(ActivationMaps("conv", "pooling", np.ones((2, 2, 100))), max_maps=9)
    (axes,) = figure.axes
    assert axes.get_title().startswith("conv, pooling\nthe first 9 of 100 maps of 2x2,\n")
    assert len(axes.images) == len(axes.texts) == 9


@pytest.mark.parametrize("count", [1, 7, 33, 100])
def test_tiles_do_not_overlap(count):
    (axes,) = figures.maps(ActivationMaps("c", "pooling", np.ones((7, 3, count))), 100).axes
    boxes = [image.get_extent() for image in axes.images]
    assert len(boxes) == count
    for k, (left, right, bottom, top) in enumerate(boxes):
        assert bottom - top == pytest.approx(7 / 3 * (right - left))
        assert 0 <= left < right <= axes.get_xlim()[1] + 1e-9
        assert 0 < top < bottom <= axes.get_ylim()[0] + 1e-9
        for other in boxes[:k]:
            assert left >= other[1] or right <= other[0] or top >= other[2]


@pytest.mark.parametrize("count", [1, 16, 32, 64])
def test_titles_lie_within_the_picture(count):
    for figure in (
        figures.maps(ActivationMaps("fused_conv2d", "pooling", np.ones((30, 30, count)))),
        figures.filters("fused_conv2d", np.ones((3, 3, 3, count))),
    ):
        figure.canvas.draw()
        left, bottom, right, top = figure.axes[0].title.get_window_extent().extents
        assert 0 < left < right < figure.bbox.width
        assert 0 < bottom < top < figure.bbox.height


def test_filters_share_a_scale_around_grey():
    kernel = np.zeros((1, 2, 3, 2), "float32")
    kernel[0, 0, :, 0], kernel[0, 1, :, 1] = (2, -2, 0), (1, 0, -1)
    (axes,) = figures.filters("conv", kernel).axes
    assert axes.get_title() == "conv: 2 filters of 1x2x3, middle grey is zero"
    first, second = (image.get_array() for image in axes.images)
    np.testing.assert_allclose(first, [[(1, 0, 0.5), (0.5, 0.5, 0.5)]])
    np.testing.assert_allclose(second, [[(0.5, 0.5, 0.5), (0.75, 0.5, 0.25)]])


def test_filters_of_one_channel_are_grey():
    kernel = np.array([[[[1.0, -1.0]]]])
    (axes,) = figures.filters("conv", kernel).axes
    for image, expected in zip(axes.images, (1, 0), strict=True):
        np.testing.assert_array_equal(image.get_array(), [[expected]])
        assert (image.cmap.name, image.get_clim()) == ("gray", (0, 1))


def test_filters_of_nothing_but_zeros_are_grey():
    (axes,) = figures.filters("conv", np.zeros((1, 1, 3, 1))).axes
    np.testing.assert_array_equal(axes.images[0].get_array(), [[[0.5] * 3]])


def test_channels_are_drawn_beside_the_image(images):
    figure = figures.channels(images[0])
    assert [axes.get_title() for axes in figure.axes] == ["image", "red", "green", "blue"]
    for index, axes in enumerate(figure.axes[1:]):
        np.testing.assert_array_equal(axes.images[0].get_array(), images[0][..., index])
        assert axes.images[0].get_clim() == (0, 1)


def test_a_grey_image_has_one_channel(images):
    (axes,) = figures.channels(images[0][..., :1]).axes
    assert axes.get_title() == "grey"
    assert axes.images[0].cmap.name == "gray"
