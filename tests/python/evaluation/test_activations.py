"""Tests of activation maps: the stages inside fused layers are the outputs of stock layers."""

import keras
import numpy as np
import pytest

import fastconv
from fastconv.errors import InputError
from fastconv.evaluation import activation_maps, convolution_stages, first_filters
from fastconv.layers import FusedConv2D

# Small images of each system that still leave every layer something to compute.
SYSTEMS = [
    ("cifar10", None, (32, 30, 3)),
    ("cifar10", None, (28, 28, 1)),
    ("fruits360", "v1", (9, 8, 3)),
    ("fruits360", "v3", (9, 8, 3)),
    ("fruits360", "v4", (9, 8, 3)),
    ("fruits360", "v5", (9, 8, 3)),
    ("fruits360", "v6", (9, 8, 3)),
    ("food101", None, (82, 80, 3)),
    ("catsdogs", None, (22, 24, 3)),
    ("vgg16", None, (32, 34, 3)),
]

STAGES = {
    keras.layers.BatchNormalization: "batch normalisation",
    keras.layers.Activation: "activation",
    keras.layers.LeakyReLU: "activation",
    keras.layers.MaxPooling2D: "pooling",
}


def _random(shape, seed, low=-1.0, high=1.0):
    return np.random.default_rng(seed).uniform(low, high, shape).astype("float32")


def _randomise(model):
    """Gives biases and batch normalisation values that a wrong stage would show in."""
    for index, weight in enumerate(model.weights):
        if len(weight.shape) == 1:
            low = 0.5 if weight.name in ("gamma", "moving_variance") else -0.3
            weight.assign(_random(weight.shape, index, low, low + 1))


def _build_pair(system, variant, input_shape):
    keras.utils.set_random_seed(1)
    stock, fast = (
        fastconv.models.build(system, backend, input_shape, classes=2, variant=variant)
        for backend in ("stock", "fastconv")
    )
    _randomise(stock)
    fast.set_weights(stock.get_weights())
    return stock, fast


def _stock_blocks(stock, image):
    """Returns of each convolution of a stock model its input, and its stages by name."""
    layers = [layer for layer in stock.layers if len(layer.output.shape) == 4]
    outputs = keras.Model(stock.inputs[0], [layer.output for layer in layers])(image[np.newaxis])
    blocks, x = [], image[np.newaxis]
    for layer, output in zip(layers, outputs, strict=True):
        if isinstance(layer, keras.layers.Conv2D):
            linear = keras.layers.Conv2D.from_config({**layer.get_config(), "activation": None})
            linear.build(x.shape)
            linear.set_weights(layer.get_weights())
            blocks.append((x, {"convolution": linear(x)}))
            if layer.activation is not keras.activations.linear:
                blocks[-1][1]["activation"] = output
        elif not isinstance(layer, keras.layers.Dropout):
            blocks[-1][1][STAGES[type(layer)]] = output
        x = output
    return blocks


def _assert_close(actual, expected, bound=1e-6):
    """Asserts closeness to a bound that is relative to the largest expected value."""
    expected = np.asarray(expected, "float32")
    np.testing.assert_allclose(
        np.asarray(actual, "float32"), expected, rtol=0, atol=bound * np.abs(expected).max()
    )


@pytest.mark.parametrize(("system", "variant", "input_shape"), SYSTEMS)
def test_stages_of_fused_layers_are_the_stock_layers(system, variant, input_shape):
    stock, fast = _build_pair(system, variant, input_shape)
    image = _random(input_shape, 7, 0)
    blocks = _stock_blocks(stock, image)
    fused = [layer for layer in fast.layers if isinstance(layer, FusedConv2D)]
    for layer, (x, expected) in zip(fused, blocks, strict=True):
        stages = convolution_stages(layer, x)
        assert list(stages) == list(expected)
        for stage, maps in stages.items():
            _assert_close(maps, expected[stage])
        # What the fused kernel computes itself: Winograd's algorithms round up to 3e-6.
        _assert_close(layer(x, training=False), maps, bound=1e-5)

    found = activation_maps(fast, image, [layer.name for layer in fused])
    assert [(each.layer, each.stage) for each in found] == [
        (layer.name, stage)
        for layer, (_, expected) in zip(fused, blocks, strict=True)
        for stage in expected
    ]
    every = [maps[0] for _, expected in blocks for maps in expected.values()]
    for each, maps in zip(found, every, strict=True):
        _assert_close(each.maps, maps, bound=1e-4)  # roundings of all layers before


@pytest.mark.parametrize(
    "block",
    [
        {"activation": "tanh", "pool_size": 2},
        {"activation": "leaky_relu"},
        {"negative_slope": 0.1, "batch_norm": True, "pool_size": (3, 2), "pool_strides": 1},
        {"activation": keras.layers.LeakyReLU(0.25), "dropout": 0.5},
        {"use_bias": False, "batch_norm": True, "center": False, "spatial_dropout": 0.5},
        {"batch_norm": True, "scale": False, "epsilon": 0.1, "activation": "relu"},
        {"strides": 2, "padding": "same", "pool_size": 2, "pool_padding": "same"},
        {"dilation_rate": 2, "groups": 2},
        {},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_the_last_stage_is_the_layers_output(block, dtype):
    layer = FusedConv2D(6, 3, **block, dtype=dtype)
    x = _random((2, 9, 10, 4), 3)
    layer.build(x.shape)
    _randomise(layer)
    *_, last = convolution_stages(layer, x).values()
    assert last.dtype == layer.compute_dtype
    # Fused layers of 16 bits fold batch normalisation into the filter and round once.
    _assert_close(last, layer(x, training=False), 1e-5 if dtype == "float32" else 2.0**-5)


def test_an_inner_stage_is_not_that_after_it():
    """So that a mixed-up name would not go unnoticed."""
    layer = FusedConv2D(6, 3, batch_norm=True, activation="relu", pool_size=2)
    x = _random((1, 9, 9, 3), 3)
    layer.build(x.shape)
    _randomise(layer)
    convolution, normalised, activated, pooled = convolution_stages(layer, x).values()
    assert np.min(normalised) < 0 == np.min(activated)
    assert np.abs(convolution - normalised).max() > 0.1
    np.testing.assert_array_equal(activated, np.maximum(normalised, 0))
    assert (activated.shape, pooled.shape) == ((1, 7, 7, 6), (1, 3, 3, 6))


def test_default_layers_are_the_first_two_convolutions_in_both_builds():
    stock, fast = _build_pair("fruits360", "v6", (9, 8, 3))
    image = _random((9, 8, 3), 7, 0)
    of_fast, of_stock = activation_maps(fast, image), activation_maps(stock, image)
    assert [each.stage for each in of_fast] == [
        *("convolution", "batch normalisation", "activation"),
        *("convolution", "batch normalisation", "activation", "pooling"),
    ]
    assert [each.stage for each in of_stock] == [
        *("convolution", "output", "output"),
        *("convolution", "output", "output", "output"),
    ]
    for one, other in zip(of_fast, of_stock, strict=True):
        _assert_close(one.maps, other.maps, bound=1e-5)


def test_default_layers_end_before_the_third_convolution():
    _, fast = _build_pair("cifar10", None, (24, 24, 3))
    found = activation_maps(fast, _random((24, 24, 3), 7, 0))
    assert list(dict.fromkeys(each.layer for each in found)) == [
        layer.name for layer in fast.layers[:2]
    ]


def test_chosen_layers_come_in_the_order_of_the_model():
    stock, _ = _build_pair("catsdogs", None, (22, 24, 3))
    names = [layer.name for layer in stock.layers[:4]]
    found = activation_maps(stock, _random((22, 24, 3), 7, 0), [names[3], names[1]])
    assert [each.layer for each in found] == [names[1], names[3]]


@pytest.mark.parametrize("name", ["nowhere", "flatten"])
def test_a_layer_without_maps_is_refused_with_the_names_of_the_others(name):
    _, fast = _build_pair("catsdogs", None, (22, 24, 3))
    name = next((layer.name for layer in fast.layers if layer.name.startswith(name)), name)
    first, second = (layer.name for layer in fast.layers[:2])
    with pytest.raises(InputError, match=rf"{first}, {second}\. Received: {name}$"):
        activation_maps(fast, _random((22, 24, 3), 7, 0), [first, name])


def test_first_filters_are_those_of_the_first_convolution():
    stock, fast = _build_pair("catsdogs", None, (22, 24, 3))
    for model in (stock, fast):
        name, kernel = first_filters(model)
        assert name == model.layers[0].name
        np.testing.assert_array_equal(kernel, stock.get_weights()[0])


def test_a_model_without_convolution_has_no_filters():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    with pytest.raises(InputError, match="no convolution"):
        first_filters(model)
