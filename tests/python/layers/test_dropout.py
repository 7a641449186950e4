"""The dropout layer against that of Keras."""

import keras
import numpy as np
import pytest
from helpers import values

from fastconv.layers import Dropout


@pytest.mark.parametrize("arguments", [{"rate": 0.5}, {"rate": 0.3, "noise_shape": (None, 1)}])
def test_equals_stock(arguments):
    x = values((8, 9), "float32", 1)
    layer, stock = Dropout(**arguments, seed=5), keras.layers.Dropout(**arguments, seed=5)
    for training in (True, False, True):
        np.testing.assert_array_equal(layer(x, training=training), stock(x, training=training))
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(copy) is Dropout
    assert copy.get_config() == layer.get_config()
    assert stock.get_config().keys() == layer.get_config().keys()


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_rates_at_the_ends(rate):
    x = values((8, 9), "float32", 1)
    np.testing.assert_array_equal(Dropout(rate)(x, training=True), x * (1 - rate))
