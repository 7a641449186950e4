"""The max pooling layer against that of Keras."""

import keras
import numpy as np
import pytest
from helpers import values

from fastconv.layers import MaxPooling2D

ARGUMENTS = [
    {},
    {"pool_size": 3, "strides": 2},
    {"pool_size": (2, 3), "strides": (3, 1), "padding": "same"},
    {"pool_size": (12, 11), "strides": 1, "padding": "same"},
]


@pytest.mark.parametrize("arguments", ARGUMENTS)
def test_equals_keras(arguments):
    x = values((2, 13, 14, 5), "float32", 1)
    layer, stock = MaxPooling2D(**arguments), keras.layers.MaxPooling2D(**arguments)
    np.testing.assert_array_equal(layer(x), stock(x))
    for shape in ((None, 13, 14, 5), (None, None, None, 5)):
        assert layer.compute_output_shape(shape) == stock.compute_output_shape(shape)
        assert layer(keras.Input(shape[1:])).shape == stock(keras.Input(shape[1:])).shape


@pytest.mark.parametrize("arguments", ARGUMENTS)
def test_config_round_trip(arguments):
    layer = MaxPooling2D(**arguments, name="pool")
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(copy) is MaxPooling2D
    assert copy.get_config() == layer.get_config()
    stock = keras.layers.MaxPooling2D.from_config(layer.get_config())
    assert stock.get_config() == layer.get_config()


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float16", "float64"])
def test_types(policy):
    x = values((2, 6, 6, 3), "float32", 1)
    layer = MaxPooling2D(dtype=policy)
    y = layer(x)
    assert y.dtype == layer.compute_dtype
    np.testing.assert_array_equal(
        np.asarray(y, "float64"), np.asarray(keras.layers.MaxPooling2D(dtype=policy)(x), "float64")
    )


@pytest.mark.parametrize("jit_compile", ["auto", True, False])
def test_trains_compiled(jit_compile):
    model = keras.Sequential([keras.Input((8, 8, 2)), MaxPooling2D(), keras.layers.Flatten()])
    model.add(keras.layers.Dense(1))
    model.compile("sgd", "mse", jit_compile=jit_compile)
    history = model.fit(values((8, 8, 8, 2), "float32", 1), values((8, 1), "float32", 2), verbose=0)
    assert np.isfinite(history.history["loss"]).all()


@pytest.mark.parametrize(
    ("arguments", "shape"),
    [
        ({"pool_size": 0}, (1, 4, 4, 3)),
        ({"strides": -1}, (1, 4, 4, 3)),
        ({"pool_size": (1, 2, 3)}, (1, 4, 4, 3)),
        ({}, (4, 4, 3)),
    ],
    ids=str,
)
def test_errors_are_those_of_keras(arguments, shape):
    with pytest.raises(ValueError, match=r"[Rr]eceived") as stock:
        keras.layers.MaxPooling2D(name="pool", **arguments)(np.ones(shape))
    with pytest.raises(ValueError, match=r"[Rr]eceived") as ours:
        MaxPooling2D(name="pool", **arguments)(np.ones(shape))
    assert str(ours.value) == str(stock.value)


@pytest.mark.parametrize("arguments", [{"strides": 0}, {"padding": "full"}], ids=str)
def test_bad_arguments(arguments):
    with pytest.raises(ValueError, match="Received: "):
        MaxPooling2D(**arguments)(np.ones((1, 4, 4, 3)))


def test_integers_are_refused():
    with pytest.raises(ValueError, match=r"Received: x\.dtype=int32"):
        MaxPooling2D()(np.ones((1, 4, 4, 3), "int32"))


def test_channels_first_is_refused():
    with pytest.raises(ValueError, match=r"(?s)Permute.*Received: data_format='channels_first'"):
        MaxPooling2D(data_format="channels_first")


def test_other_backends_are_refused(monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    with pytest.raises(RuntimeError, match=r"(?s)tensorflow.*Received: backend='jax'"):
        MaxPooling2D()
