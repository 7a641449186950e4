"""The documented systems: parameters, shapes, and equal predictions in both builds."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import values
from tolerances import assert_close_in_norm, chain_bound

from fastconv import FusedConv2D
from fastconv.errors import InputError
from fastconv.models import SYSTEMS, build

# (system, variant): total and trainable parameters.
PARAMETERS = {
    ("cifar10", None): (276_138, 276_138),
    ("fruits360", "v1"): (464_665, 464_665),
    ("fruits360", "v2"): (927_513, 927_513),
    ("fruits360", "v3"): (1_870_809, 1_870_809),
    ("fruits360", "v4"): (1_871_065, 1_870_937),
    ("fruits360", "v5"): (5_573_993, 5_573_801),
    ("fruits360", "v6"): (9_328_933, 9_328_549),
    ("food101", None): (10_588_458, 10_588_458),
    ("catsdogs", None): (1_625_281, 1_625_281),
    ("vgg16", None): (17_115_079, 9_479_815),
}

# Sizes after the convolutions (and pooling) of the documented tables, and the head's widths.
SHAPES = {
    "cifar10": [(32, 32, 32), (15, 15, 32), (15, 15, 64), (6, 6, 64), (6, 6, 64), (2, 2, 64)],
    "fruits360": [(35, 35, 64), (17, 17, 128)],
    "food101": [
        (128, 128, 32),
        (63, 63, 32),
        (63, 63, 64),
        (30, 30, 64),
        (30, 30, 128),
        (14, 14, 128),
        (14, 14, 512),
        (2, 2, 512),
    ],
    "catsdogs": [(31, 31, 32), (14, 14, 64)],
}
HEADS = {
    "cifar10": [512, 10],
    "fruits360": [250, 17],
    "food101": [1024, 10],
    "catsdogs": [128, 1],
    "vgg16": [519, 16],
}


@pytest.mark.parametrize("backend", ["fastconv", "stock"])
@pytest.mark.parametrize(("system", "variant"), PARAMETERS)
def test_parameters(system, variant, backend):
    model = build(system, backend, variant=variant)
    trainable = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    assert (model.count_params(), trainable) == PARAMETERS[system, variant]


@pytest.mark.parametrize(("system", "variant"), PARAMETERS)
def test_equal_weights_give_equal_predictions(system, variant):
    fast, stock = (build(system, backend, variant=variant) for backend in ("fastconv", "stock"))
    assert [w.name for w in fast.weights] == [w.name for w in stock.weights]
    assert [w.shape for w in fast.weights] == [w.shape for w in stock.weights]
    fast.set_weights(stock.get_weights())
    x = values((2, *SYSTEMS[system].input_shape), "float32", 1)
    # The longest sum is that of the first Dense; the bound grows with each layer.
    bound = chain_bound(tf.float32, 5 * 5 * 512)
    assert_close_in_norm(fast(x), stock(x), bound, "prediction")
    stock.set_weights(fast.get_weights())


@pytest.mark.parametrize("system", SHAPES)
def test_layer_shapes(system):
    fast, stock = (build(system, backend) for backend in ("fastconv", "stock"))
    fused = [layer for layer in fast.layers if isinstance(layer, FusedConv2D)]
    assert [layer.output.shape[1:] for layer in fused] == SHAPES[system]
    # A stock block ends before the next convolution, or before the head.
    maps = [layer for layer in stock.layers if len(layer.output.shape) == 4]
    ends = [
        layer.output.shape[1:]
        for layer, following in itertools.zip_longest(maps, maps[1:])
        if following is None or isinstance(following, keras.layers.Conv2D)
    ]
    assert ends == SHAPES[system]


@pytest.mark.parametrize("backend", ["fastconv", "stock"])
@pytest.mark.parametrize("system", HEADS)
def test_heads(system, backend):
    layers = build(system, backend).layers
    dense = [layer for layer in layers if isinstance(layer, keras.layers.Dense)]
    assert [layer.units for layer in dense] == HEADS[system]
    assert dense[-1].activation.__name__ == ("sigmoid" if system == "catsdogs" else "softmax")


def test_other_shapes_and_classes():
    for backend in ("fastconv", "stock"):
        mnist = build("cifar10", backend, input_shape=(28, 28, 1))
        assert mnist.input_shape == (None, 28, 28, 1)
        assert build("food101", backend, (100, 90, 3), classes=101).output_shape == (None, 101)


@pytest.mark.parametrize("backend", ["fastconv", "stock"])
def test_vgg16_is_that_of_keras(backend):
    model = build("vgg16", backend)
    base = keras.applications.VGG16(weights=None, include_top=False, input_shape=(100, 100, 3))
    ours = {layer.name: layer for layer in model.layers}
    for layer in base.layers:
        if layer.weights:
            assert [w.shape for w in ours[layer.name].weights] == [w.shape for w in layer.weights]
            assert ours[layer.name].trainable == layer.name.startswith("block5")
    assert model.get_layer("flatten").input.shape == (None, 3, 3, 512)


@pytest.mark.parametrize("backend", ["fastconv", "stock"])
def test_vgg16_thaws(backend):
    model = build("vgg16", backend)
    for layer in model.layers:
        layer.trainable = True
    assert len(model.trainable_weights) == 2 * 15
    for layer in model.layers:
        layer.trainable = not layer.name.startswith("block")
    assert len(model.trainable_weights) == 4


@pytest.mark.parametrize("system", SYSTEMS)
def test_trains_as_documented(system):
    description = SYSTEMS[system]
    # Small images: the same layers in less time.
    size = {"food101": 80, "vgg16": 32, "cifar10": 28, "catsdogs": 20, "fruits360": 12}[system]
    model = build(system, input_shape=(size, size, 3))
    model.compile(description.new_optimizer(), description.loss, metrics=["accuracy"])
    x = values((4, size, size, 3), "float32", 1)
    labels = np.arange(4) % 2
    if description.loss == "categorical_crossentropy":
        labels = keras.utils.to_categorical(labels, description.classes)
    history = model.fit(x, labels, batch_size=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"system": "lenet"}, "system"),
        ({"backend": "torch"}, "backend"),
        ({"variant": "v1"}, "variant"),
        ({"system": "fruits360", "variant": "v7"}, "variant"),
        ({"classes": 1}, "at least 2"),
        ({"system": "catsdogs", "classes": 3}, "at most 2"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(InputError, match=rf"{message}.*Received: "):
        build(**{"system": "cifar10", **arguments})
