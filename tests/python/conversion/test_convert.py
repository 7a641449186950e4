"""Conversion of models: what becomes one layer, what stays, and equal results both ways."""

import keras
import numpy as np
import pytest
from keras import layers

import fastconv
from fastconv import models, optimizers
from fastconv.errors import InputError
from fastconv.layers import Dense, Dropout, FusedConv2D, MaxPooling2D

SMALL = {
    "cifar10": (32, 32, 3),
    "fruits360": (12, 13, 3),
    "food101": (80, 80, 3),
    "catsdogs": (20, 20, 3),
    "vgg16": (32, 32, 3),
}


def images(model, seed=0):
    return np.random.default_rng(seed).random((3, *model.input_shape[1:]), dtype="float32")


def randomize(model):
    """Gives every weight a value of its own; statistics stay positive."""
    generator = np.random.default_rng(1)
    model.set_weights(
        [
            generator.uniform(0.05, 0.4, weight.shape) - 0.1 * (weight.ndim > 1)
            for weight in model.get_weights()
        ]
    )


def kinds(model):
    return [type(layer) for layer in model.layers]


def assert_equal_results(one, other):
    x = images(one)
    expected = keras.tree.flatten(one(x))
    for y, z in zip(expected, keras.tree.flatten(other(x)), strict=True):
        np.testing.assert_allclose(z, y, rtol=2e-5, atol=2e-5 * float(np.abs(y).max()))


@pytest.mark.parametrize("system", SMALL)
def test_documented_systems_both_ways(system):
    stock = models.build(system, "stock", input_shape=SMALL[system])
    randomize(stock)
    fast = fastconv.convert(stock)
    expected = models.build(system, "fastconv", input_shape=SMALL[system])
    assert kinds(fast)[:-1] == kinds(expected)[:-1]
    assert type(fast.layers[-1]) is Dense  # the documented models have a stock one there
    assert_equal_results(stock, fast)
    back = fastconv.convert(fast, "stock")
    if system == "fruits360":  # LeakyReLU layers come back as Activation layers
        assert len(back.layers) == len(stock.layers)
    else:
        assert kinds(back) == kinds(stock)
    for one, other in zip(stock.get_weights(), back.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert_equal_results(stock, back)
    assert [w.trainable for w in back.weights] == [w.trainable for w in stock.weights]


def residual_model(**changes):
    inputs = keras.Input((10, 11, 4))
    x = layers.Conv2D(4, 3, padding="same", name="first")(inputs)
    x = layers.BatchNormalization()(x)
    shortcut = x = layers.ReLU(name="relu")(x)
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, name="second")(x)
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-2)(x)
    x = layers.LeakyReLU(0.1)(x)
    x = layers.MaxPooling2D(3, 2, padding="same")(x)
    x = layers.SpatialDropout2D(0.3, seed=5)(x)
    y = layers.Conv2D(8, 1, strides=2, name="shortcut")(shortcut)
    x = layers.Add()([x, y]) * 2.0
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, {"out": layers.Dense(5)(x), "features": x})


def test_functional_models_with_branches():
    stock = residual_model()
    randomize(stock)
    fast = fastconv.convert(stock)
    assert kinds(fast).count(FusedConv2D) == 3
    assert not {layers.Conv2D, layers.BatchNormalization, layers.ReLU} & set(kinds(fast))
    second = fast.get_layer("second")
    assert (second.momentum, second.epsilon, second.negative_slope) == (0.9, 1e-2, None)
    assert second.pool_size == (3, 3)
    assert second.pool_strides == (2, 2)
    assert second.spatial_dropout == 0.3
    assert_equal_results(stock, fast)
    back = fastconv.convert(fast, "stock")
    assert FusedConv2D not in kinds(back)
    assert_equal_results(stock, back)


def test_dropout_draws_what_the_stock_model_would():
    stock = keras.Sequential(
        [keras.Input((9, 9, 3)), layers.Conv2D(4, 3), layers.Dropout(0.5), layers.Dropout(0.25)]
    )
    stock(images(stock), training=True)  # the numbers go on from here
    fast = fastconv.convert(stock)
    assert kinds(fast) == [FusedConv2D, Dropout]
    y, z = (model(images(stock), training=True) for model in (stock, fast))
    np.testing.assert_allclose(z, y, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("between", "count"),
    [
        ([], 1),
        ([layers.BatchNormalization(), layers.Activation("gelu")], 3),
        ([layers.Activation("relu"), layers.BatchNormalization()], 2),
        ([layers.BatchNormalization(axis=1)], 1),
        ([layers.MaxPooling2D(2), layers.ReLU()], 2),
        ([layers.ReLU(max_value=6)], 1),
        ([layers.Dropout(0.5, noise_shape=(None, 1, 1, 1))], 1),
        ([layers.BatchNormalization(trainable=False)], 1),
        ([layers.BatchNormalization(dtype="float64")], 1),
        ([layers.ReLU(activity_regularizer="l2")], 1),
        ([layers.AveragePooling2D(2)], 1),
    ],
)
def test_what_a_block_takes(between, count):
    """A fused layer stands for `count` layers; the rest stays as it was."""
    stock = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3), *between])
    randomize(stock)
    fast = fastconv.convert(stock)
    assert type(fast.layers[0]) is FusedConv2D
    assert len(fast.layers) == len(stock.layers) - count + 1
    assert_equal_results(stock, fast)


def test_layers_that_others_read_stay_apart():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3)(inputs)
    y = layers.BatchNormalization()(x)
    fast = fastconv.convert(keras.Model(inputs, [y, layers.ReLU()(x)]))
    assert kinds(fast).count(layers.BatchNormalization) == 1
    assert kinds(fast).count(layers.ReLU) == 1
    fast = fastconv.convert(keras.Model(inputs, [y, x]))
    assert kinds(fast).count(layers.BatchNormalization) == 1


def test_calls_with_arguments_stay_apart():
    """Dropout that also drops in inference must go on doing so."""
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3)(inputs)
    stock = keras.Model(inputs, layers.Dropout(0.5, seed=3)(x, training=True))
    fast = fastconv.convert(stock)
    assert kinds(fast)[1:] == [FusedConv2D, Dropout]
    assert np.mean(np.asarray(fast(images(fast))) == 0) > 0.3


def test_shared_and_nested_models():
    block = keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Conv2D(3, 3, padding="same"), layers.ReLU()]
    )
    inputs = keras.Input((8, 8, 3))
    shared = layers.Conv2D(3, 1)
    x = layers.Add()([block(inputs), block(shared(shared(inputs)))])
    stock = keras.Model(inputs, x)
    randomize(stock)
    fast = fastconv.convert(stock)
    assert len(fast.weights) == len(stock.weights)
    assert kinds(fast.get_layer(block.name)) == [FusedConv2D]
    assert_equal_results(stock, fast)


def test_what_is_called_twice_stays_one_layer():
    """A normalisation in two blocks would have two sets of statistics."""
    inputs = keras.Input((8, 8, 3))
    shared = layers.BatchNormalization()
    x, y = (shared(layers.Conv2D(4, size, padding="same")(inputs)) for size in (1, 3))
    stock = keras.Model(inputs, layers.Add()([x, y]))
    randomize(stock)
    fast = fastconv.convert(stock)
    assert kinds(fast).count(layers.BatchNormalization) == 1
    assert kinds(fast).count(FusedConv2D) == 2
    assert len(fast.weights) == len(stock.weights)
    assert_equal_results(stock, fast)


def test_a_regularizer_of_activities_sees_the_same_ones():
    stock = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, activity_regularizer="l2"),
            layers.MaxPooling2D(2),
        ]
    )
    fast = fastconv.convert(stock)
    assert kinds(fast) == [FusedConv2D, MaxPooling2D]
    x = images(stock)
    stock(x), fast(x)
    np.testing.assert_allclose(fast.losses, stock.losses, rtol=1e-5)


def test_low_rank_adaptation_stays():
    convolution = layers.Conv2D(4, 3)
    stock = keras.Sequential([keras.Input((8, 8, 3)), convolution, layers.ReLU()])
    convolution.enable_lora(2)
    randomize(stock)
    fast = fastconv.convert(stock)
    assert kinds(fast) == [layers.Conv2D, layers.ReLU]
    assert_equal_results(stock, fast)


def test_other_classes_of_layers_stay():
    class Doubled(layers.Conv2D):
        def call(self, inputs):
            return 2.0 * super().call(inputs)

    stock = keras.Sequential(
        [keras.Input((8, 8, 3)), Doubled(4, 3), layers.MaxPooling2D(2), layers.Dense(3)]
    )
    fast = fastconv.convert(stock)
    assert kinds(fast) == [Doubled, MaxPooling2D, Dense]
    assert_equal_results(stock, fast)


def test_a_compiled_model_comes_back_compiled():
    stock = models.build("cifar10", "stock")
    stock.compile(keras.optimizers.RMSprop(0.25), "categorical_crossentropy", metrics=["accuracy"])
    fast = fastconv.convert(stock)
    assert type(fast.optimizer) is optimizers.RMSprop
    assert float(fast.optimizer.learning_rate) == 0.25
    x, y = images(fast), np.eye(10, dtype="float32")[:3]
    assert stock.evaluate(x, y, verbose=0) == pytest.approx(
        fast.evaluate(x, y, verbose=0), rel=1e-4
    )
    stock.compile(keras.optimizers.Ftrl(), "mse")
    assert type(fastconv.convert(stock).optimizer) is keras.optimizers.Ftrl


def test_mixed_precision_stays():
    policy = keras.DTypePolicy("mixed_bfloat16")
    stock = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, dtype=policy),
            layers.BatchNormalization(dtype=policy),
            layers.ReLU(dtype=policy),
        ]
    )
    fast = fastconv.convert(stock)
    assert kinds(fast) == [FusedConv2D]
    assert fast.layers[0].dtype_policy == policy


def test_saving_and_loading(tmp_path):
    fast = fastconv.convert(residual_model())
    fast.save(tmp_path / "fast.keras")
    assert_equal_results(fast, keras.models.load_model(tmp_path / "fast.keras"))


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


@pytest.mark.parametrize(
    "model", [Subclassed(), keras.Sequential([layers.Conv2D(4, 3)]), layers.Conv2D(4, 3)]
)
def test_models_without_a_known_order_are_refused(model):
    with pytest.raises(InputError, match=r"`model` must be a built.*Received: model="):
        fastconv.convert(model)


def test_backends_are_checked():
    with pytest.raises(InputError, match="`backend` must be one of fastconv, stock"):
        fastconv.convert(models.build("catsdogs"), "onednn")
