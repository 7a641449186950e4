"""Dropout of the fused layer against keras.layers.Dropout and SpatialDropout2D."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import values
from keras import layers
from tolerances import assert_close_in_norm, chain_bound

from fastconv.layers import FusedConv2D

SHAPE = (4, 9, 10, 6)
# Arguments of FusedConv2D, and the stock layers between normalisation and dropout.
BLOCKS = {
    "plain": ({}, list),
    "leaky": ({"activation": "leaky_relu"}, lambda: [layers.LeakyReLU(negative_slope=0.2)]),
    "relu_pool": (
        {"activation": "relu", "pool_size": 2},
        lambda: [layers.ReLU(), layers.MaxPooling2D()],
    ),
    "tanh_pool": (  # Keras's own code from the activation on
        {"activation": "tanh", "pool_size": 2},
        lambda: [layers.Activation("tanh"), layers.MaxPooling2D()],
    ),
}
STOCK = {"dropout": layers.Dropout, "spatial_dropout": layers.SpatialDropout2D}


def pair(name, kind, batch_norm=False, rate=0.3, seed=7):
    """Returns a model of one fused layer and the stock one, with equal weights and seeds."""
    arguments, after = BLOCKS[name]
    # Normalisation removes a bias.
    arguments = {**arguments, "use_bias": not batch_norm}
    fused = FusedConv2D(13, 3, batch_norm=batch_norm, seed=seed, **{kind: rate}, **arguments)
    normalisation = [layers.BatchNormalization()] if batch_norm else []
    convolution = layers.Conv2D(13, 3, use_bias=not batch_norm)
    stock = [convolution, *normalisation, *after(), STOCK[kind](rate, seed=seed)]
    models = [
        keras.Sequential([keras.Input(SHAPE[1:]), *model_layers])
        for model_layers in ([fused], stock)
    ]
    models[0].set_weights(models[1].get_weights())
    return models


@pytest.mark.parametrize("kind", STOCK)
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("name", BLOCKS)
def test_equals_stock(name, batch_norm, kind):
    fused, stock = pair(name, kind, batch_norm)
    x = values(SHAPE, "float32", 1)
    bound = chain_bound(tf.float32, 4 * 9 * 10)
    masks = []
    for training in (True, False, True):
        with tf.GradientTape(persistent=True) as tape:
            y, expected_y = fused(x, training=training), stock(x, training=training)
            dy = values(tuple(y.shape), "float32", 2)
            loss, expected_loss = tf.reduce_sum(y * dy), tf.reduce_sum(expected_y * dy)
        np.testing.assert_array_equal(y == 0, expected_y == 0)
        assert_close_in_norm(y, expected_y, bound, "y")
        gradients = tape.gradient(loss, fused.trainable_variables)
        expected = tape.gradient(expected_loss, stock.trainable_variables)
        for variable, one, other in zip(
            fused.trainable_variables, gradients, expected, strict=True
        ):
            assert_close_in_norm(one, other, bound, variable.path)
        masks.append(y == 0)
    assert (masks[0] != masks[2]).numpy().any()  # each step draws anew
    assert fused.count_params() == stock.count_params()
    assert len(fused.weights) == len(stock.weights)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "float64"])
@pytest.mark.parametrize("kind", STOCK)
def test_types(policy, kind):
    x = values(SHAPE, "float32", 1)
    stock = STOCK[kind](0.3, seed=7, dtype=policy)
    layer = FusedConv2D(6, 1, use_bias=False, seed=7, dtype=policy, **{kind: 0.3})
    layer.build(SHAPE)
    layer.kernel.assign(tf.eye(6)[None, None])
    y = layer(x, training=True)
    assert y.dtype == layer.compute_dtype
    np.testing.assert_array_equal(y, stock(x, training=True))


@pytest.mark.parametrize("kind", STOCK)
def test_xla_draws_the_masks_of_plain_mode(kind, needs_native):
    fused, stock = pair("relu_pool", kind)
    x = values(SHAPE, "float32", 1)
    run = tf.function(lambda x: fused(x, training=True), jit_compile=True)
    for _ in range(2):
        np.testing.assert_array_equal(run(x) == 0, stock(x, training=True) == 0)


def test_seeds_follow_the_order_of_layers():
    """`keras.utils.set_random_seed` gives both builds the same masks."""
    seeds = []
    for make in (
        lambda: [FusedConv2D(3, 3, dropout=0.5), FusedConv2D(3, 3, spatial_dropout=0.5)],
        lambda: [
            layers.Conv2D(3, 3),
            layers.Dropout(0.5),
            layers.Conv2D(3, 3),
            layers.SpatialDropout2D(0.5),
        ],
    ):
        keras.utils.set_random_seed(3)
        made = [layer for layer in make() if hasattr(layer, "seed_generator")]
        seeds.append([layer.seed_generator.state.numpy().tolist() for layer in made])
    assert seeds[0] == seeds[1]


@pytest.mark.parametrize("kind", STOCK)
def test_rates_at_the_ends(kind):
    x = values(SHAPE, "float32", 1)
    everything, nothing = (FusedConv2D(5, 3, **{kind: rate}) for rate in (1.0, 0.0))
    before = everything.seed_generator.state.numpy()
    np.testing.assert_array_equal(everything(x, training=True), tf.zeros((4, 7, 8, 5)))
    # As in the stock layers, nothing was drawn.
    np.testing.assert_array_equal(everything.seed_generator.state, before)
    np.testing.assert_array_equal(nothing(x, training=True), nothing(x))
    assert not hasattr(nothing, "seed_generator")


@pytest.mark.parametrize("kind", STOCK)
def test_config_and_files(kind, tmp_path):
    fused, _ = pair("relu_pool", kind)
    config = fused.layers[0].get_config()
    assert (config[kind], config["seed"]) == (0.3, 7)
    copy = FusedConv2D.from_config(config)
    assert copy.get_config() == config
    copy.build(SHAPE)
    copy.set_weights(fused.get_weights())
    fused.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x = values(SHAPE, "float32", 1)
    y = fused(x, training=True)
    np.testing.assert_array_equal(copy(x, training=True), y)
    np.testing.assert_array_equal(loaded(x, training=True), y)


@pytest.mark.parametrize(
    "arguments",
    [
        {"dropout": -0.1},
        {"dropout": 1.5},
        {"spatial_dropout": 2},
        {"dropout": "half"},
        {"dropout": None},
        {"dropout": 0.1, "spatial_dropout": 0.1},
        {"dropout": 0.1, "seed": 0.5},
    ],
    ids=str,
)
def test_bad_arguments(arguments):
    with pytest.raises(ValueError, match="Received: "):
        FusedConv2D(4, 3, **arguments)
