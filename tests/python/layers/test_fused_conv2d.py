"""The fused convolution layer against Conv2D, BatchNormalization, activation and MaxPooling2D."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import values
from keras import layers
from tolerances import assert_close_in_norm, chain_bound, stock_layers_bound

from fastconv.layers import FusedConv2D

SHAPE = (4, 9, 10, 6)

# Arguments of FusedConv2D, and the stock layers after Conv2D and BatchNormalization.
BLOCKS = {
    "plain": ({}, list),
    "no_bias": ({"use_bias": False}, list),
    "relu": ({"activation": "relu"}, lambda: [layers.ReLU()]),
    "slope": ({"negative_slope": 0.3}, lambda: [layers.LeakyReLU()]),
    "leaky_name": ({"activation": "leaky_relu"}, lambda: [layers.Activation("leaky_relu")]),
    "leaky_layer": (
        {"activation": layers.LeakyReLU(negative_slope=0.1)},
        lambda: [layers.LeakyReLU(negative_slope=0.1)],
    ),
    "relu_layer": (
        {"activation": layers.ReLU(negative_slope=0.2)},
        lambda: [layers.ReLU(negative_slope=0.2)],
    ),
    "capped_relu": (
        {"activation": layers.ReLU(max_value=3.0), "pool_size": 2},
        lambda: [layers.ReLU(max_value=3.0), layers.MaxPooling2D()],
    ),
    "tanh_pool": (
        {"activation": "tanh", "pool_size": 2},
        lambda: [layers.Activation("tanh"), layers.MaxPooling2D()],
    ),
    "relu_pool": (
        {"activation": "relu", "pool_size": 2},
        lambda: [layers.ReLU(), layers.MaxPooling2D()],
    ),
    "overlap": (
        {"negative_slope": 0.3, "pool_size": 3, "pool_strides": (2, 1), "pool_padding": "same"},
        lambda: [layers.LeakyReLU(), layers.MaxPooling2D(3, (2, 1), "same")],
    ),
    "strides_groups": (
        {"strides": 2, "groups": 3, "padding": "same", "activation": "relu"},
        lambda: [layers.ReLU()],
    ),
    "dilation": ({"dilation_rate": (2, 1), "kernel_size": (3, 2)}, list),
}
CONVOLUTION = (
    "use_bias",
    "strides",
    "groups",
    "padding",
    "dilation_rate",
    "kernel_size",
    "kernel_regularizer",
    "bias_initializer",
)


def pair(name, batch_norm, **batch_norm_arguments):
    """Returns a model of one fused layer and the stock one, with equal weights."""
    arguments, after = BLOCKS[name]
    arguments = {"kernel_size": 3, **arguments}
    convolution = {key: arguments[key] for key in CONVOLUTION if key in arguments}
    stock = [layers.Conv2D(12, **convolution)]
    if batch_norm:
        stock.append(layers.BatchNormalization(**batch_norm_arguments))
        arguments = {**arguments, "batch_norm": True, **batch_norm_arguments}
    # The activation may be a layer: each model needs its own.
    arguments = {
        key: type(value).from_config(value.get_config())
        if isinstance(value, layers.Layer)
        else value
        for key, value in arguments.items()
    }
    fused = keras.Sequential([keras.Input(SHAPE[1:]), FusedConv2D(12, **arguments)])
    stock = keras.Sequential([keras.Input(SHAPE[1:]), *stock, *after()])
    # Weights away from their trivial initial values.
    weights = [
        w if variable.name == "kernel" else 1.5 + values(w.shape, "float32", 8).numpy()
        for variable, w in zip(stock.weights, stock.get_weights(), strict=True)
    ]
    stock.set_weights(weights)
    fused.set_weights(stock.get_weights())
    return fused, stock


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("name", BLOCKS)
def test_equals_stock(name, batch_norm):
    fused, stock = pair(name, batch_norm)
    x = values(SHAPE, "float32", 1)
    # In training the statistics' longest sum is over the batch, the convolution's over 54 terms.
    bound = chain_bound(tf.float32, 4 * 9 * 10)
    for training in (False, True, False):
        assert fused.output_shape == stock.output_shape
        with tf.GradientTape(persistent=True) as tape:
            y, expected_y = fused(x, training=training), stock(x, training=training)
            dy = values(tuple(y.shape), "float32", 2)
            loss, expected_loss = tf.reduce_sum(y * dy), tf.reduce_sum(expected_y * dy)
        assert_close_in_norm(y, expected_y, bound, "y")
        gradients = tape.gradient(loss, fused.trainable_variables)
        expected = tape.gradient(expected_loss, stock.trainable_variables)
        names = [variable.name for variable in fused.trainable_variables]
        for what, one, other in zip(names, gradients, expected, strict=True):
            if batch_norm and training and what == "bias":
                # Normalisation removes a constant: the gradient is 0 but for roundings.
                assert np.linalg.norm(one) <= bound * np.linalg.norm(gradients[0])
            else:
                assert_close_in_norm(one, other, bound, what)
        for one, other in zip(fused.get_weights(), stock.get_weights(), strict=True):
            assert_close_in_norm(one, other, bound, "moving averages")


def test_weights_are_those_of_the_stock_layers():
    x = values(SHAPE, "float32", 1)
    convolution, normalisation = layers.Conv2D(12, 3), layers.BatchNormalization()
    normalisation(convolution(x))
    layer = FusedConv2D(12, 3, batch_norm=True)
    layer(x)
    stock = convolution.weights + normalisation.weights
    assert [w.name for w in layer.weights] == [w.name for w in stock]
    assert [w.shape for w in layer.weights] == [w.shape for w in stock]
    assert [w.trainable for w in layer.weights] == [w.trainable for w in stock]
    layer.set_weights(convolution.get_weights() + normalisation.get_weights())
    count = len(convolution.weights)
    convolution.set_weights(layer.get_weights()[:count])
    normalisation.set_weights(layer.get_weights()[count:])


@pytest.mark.parametrize("scale", [False, True])
@pytest.mark.parametrize("center", [False, True])
def test_without_scale_or_center(scale, center):
    fused, stock = pair("relu_pool", True, scale=scale, center=center, momentum=0.5, epsilon=0.01)
    assert [w.name for w in fused.weights] == [w.name for w in stock.weights]
    x = values(SHAPE, "float32", 1)
    bound = chain_bound(tf.float32, 4 * 9 * 10)
    for training in (True, False):
        assert_close_in_norm(fused(x, training=training), stock(x, training=training), bound, "y")


@pytest.mark.parametrize("jit", [False, True])
def test_several_steps_of_training(jit):
    fused, stock = pair("relu_pool", True)
    x = values(SHAPE, "float32", 1)
    targets = values((4, *stock.output_shape[1:]), "float32", 2)
    losses = {}
    for model in (fused, stock):
        model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse", jit_compile=jit)
        losses[model] = [model.train_on_batch(x, targets) for _ in range(6)]
    steps = 6
    bound = steps * chain_bound(tf.float32, 4 * 9 * 10)
    assert_close_in_norm(losses[fused], losses[stock], bound, "losses")
    assert losses[stock][-1] < losses[stock][0]
    for variable, one, other in zip(
        fused.weights, fused.get_weights(), stock.get_weights(), strict=True
    ):
        assert_close_in_norm(one, other, bound, variable.name)


def test_not_trainable_means_inference():
    fused, stock = pair("relu", True)
    x = values(SHAPE, "float32", 1)
    for model in (fused, stock):
        model.trainable = False
        assert not model.trainable_variables
    before = fused.get_weights()
    bound = chain_bound(tf.float32, 54)
    assert_close_in_norm(fused(x, training=True), stock(x, training=True), bound, "y")
    assert_close_in_norm(fused(x, training=True), fused(x, training=False), bound, "y")
    for one, other in zip(fused.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "float16", "float64"])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_types(policy, batch_norm):
    keras.config.set_dtype_policy(policy)
    # The op holds epsilon as float32: one that is exact in all types.
    fused, stock = pair("relu_pool", batch_norm, **({"epsilon": 2.0**-10} if batch_norm else {}))
    assert [w.dtype for w in fused.weights] == [w.dtype for w in stock.weights]
    x = values(SHAPE, "float32", 1)
    dtype = tf.as_dtype(fused.layers[0].compute_dtype)
    for training in (True, False):
        y = fused(x, training=training)
        assert y.dtype == dtype
        bound = stock_layers_bound(dtype) + chain_bound(tf.float64, 4 * 9 * 10)
        assert_close_in_norm(y, stock(x, training=training), bound, "y")


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_trains_in_mixed_precision(policy):
    keras.config.set_dtype_policy(policy)
    fused, _ = pair("relu_pool", True)
    fused.compile("sgd", "mse")
    before = [w.copy() for w in fused.get_weights()]
    loss = fused.train_on_batch(values(SHAPE, "float32", 1), np.zeros((4, 3, 4, 12)))
    assert np.isfinite(loss)
    assert all(np.abs(a - b).max() > 0 for a, b in zip(fused.get_weights(), before, strict=True))


@pytest.mark.parametrize("name", BLOCKS)
def test_config_round_trip(name):
    arguments, _ = BLOCKS[name]
    layer = FusedConv2D(12, **{"kernel_size": 3, **arguments}, batch_norm=True, name="fused")
    config = keras.saving.serialize_keras_object(layer)
    assert config["registered_name"] == "fastconv>FusedConv2D"
    copy = keras.saving.deserialize_keras_object(config)
    assert copy.get_config() == layer.get_config()
    copy.build((None, *SHAPE[1:]))
    assert len(copy.weights) == 6 - (not layer.use_bias)


def test_every_argument_is_kept():
    arguments = {
        "strides": (1, 1),
        "padding": "same",
        "dilation_rate": (2, 2),
        "groups": 2,
        "use_bias": False,
        "kernel_initializer": "he_normal",
        "bias_initializer": "ones",
        "kernel_regularizer": keras.regularizers.L2(0.1),
        "bias_regularizer": keras.regularizers.L1(0.1),
        "activity_regularizer": keras.regularizers.L2(0.2),
        "kernel_constraint": keras.constraints.MaxNorm(1.5),
        "bias_constraint": keras.constraints.NonNeg(),
        "batch_norm": True,
        "negative_slope": 0.25,
        "pool_size": (2, 3),
        "pool_strides": (1, 2),
        "pool_padding": "same",
        "momentum": 0.8,
        "epsilon": 0.01,
        "center": False,
        "scale": False,
        "beta_initializer": "ones",
        "gamma_initializer": "zeros",
        "moving_mean_initializer": "ones",
        "moving_variance_initializer": "zeros",
        "beta_regularizer": keras.regularizers.L2(0.3),
        "gamma_regularizer": keras.regularizers.L2(0.4),
        "beta_constraint": keras.constraints.NonNeg(),
        "gamma_constraint": keras.constraints.NonNeg(),
        "synchronized": True,
        "spatial_dropout": 0.2,
        "seed": 3,
    }
    defaults = FusedConv2D(4, 3).get_config()
    config = FusedConv2D(4, 3, **arguments).get_config()
    unchanged = {key for key in arguments if config[key] == defaults[key]}
    assert unchanged == {"strides"}
    assert FusedConv2D.from_config(config).get_config() == config


def test_regularisers_and_constraints_of_batch_norm():
    layer = FusedConv2D(
        4,
        3,
        batch_norm=True,
        gamma_regularizer=keras.regularizers.L2(0.5),
        gamma_constraint="non_neg",
    )
    layer(values(SHAPE, "float32", 1))
    np.testing.assert_allclose(sum(layer.losses), 0.5 * 4)
    assert isinstance(layer.gamma.constraint, keras.constraints.NonNeg)


def test_saved_and_loaded(tmp_path):
    fused, _ = pair("leaky_layer", True)
    x = values(SHAPE, "float32", 1)
    fused(x, training=True)
    fused.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(x), fused(x))
    loaded.set_weights([np.zeros_like(w) for w in loaded.get_weights()])
    fused.save_weights(tmp_path / "weights.weights.h5")
    loaded.load_weights(tmp_path / "weights.weights.h5")
    np.testing.assert_array_equal(loaded(x), fused(x))


@pytest.mark.parametrize("batch_norm", [False, True])
def test_dynamic_sizes(batch_norm, jit):
    inputs = keras.Input((None, None, 3))
    layer = FusedConv2D(4, 3, padding="same", pool_size=2, batch_norm=batch_norm)
    model = keras.Model(inputs, layer(inputs))
    assert model.output_shape == (None, None, None, 4)
    run = tf.function(model, jit_compile=jit, reduce_retracing=True)
    for shape in ((1, 6, 7, 3), (3, 5, 4, 3), (2, 8, 8, 3)):
        y = run(values(shape, "float32", 1), training=True)
        assert y.shape == (shape[0], shape[1] // 2, shape[2] // 2, 4)


@pytest.mark.parametrize("jit_compile", ["auto", True, False])
def test_trains_compiled(jit_compile):
    fused, stock = pair("overlap", True)
    for model in (fused, stock):
        model.compile("sgd", "mse", jit_compile=jit_compile)
    assert fused.jit_compile == stock.jit_compile
    targets = values((4, *fused.output_shape[1:]), "float32", 2)
    history = fused.fit(values(SHAPE, "float32", 1), targets, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def both_raise(arguments, shape, dtype="float32"):
    errors = []
    for layer in (layers.Conv2D, FusedConv2D):
        with pytest.raises(Exception) as error:  # noqa: PT011, type and message are compared
            layer(**{"filters": 4, "kernel_size": 3, "name": "layer", **arguments})(
                np.ones(shape, dtype)
            )
        errors.append(error.value)
    return errors


@pytest.mark.parametrize(
    ("arguments", "shape"),
    [
        ({}, (8, 8, 3)),
        ({}, (1, 8, 8, 3, 1)),
        ({"kernel_size": 9}, (1, 8, 8, 3)),
        ({"strides": 0}, (1, 8, 8, 3)),
        ({"strides": -1}, (1, 8, 8, 3)),
        ({"kernel_size": 0}, (1, 8, 8, 3)),
        ({"kernel_size": (1, 2, 3)}, (1, 8, 8, 3)),
        ({"filters": 0}, (1, 8, 8, 3)),
        ({"groups": 3}, (1, 8, 8, 3)),
        ({"groups": 2}, (1, 8, 8, 3)),
        ({"padding": "full"}, (1, 8, 8, 3)),
        ({"strides": 2, "dilation_rate": 2}, (1, 8, 8, 3)),
        ({"activation": "no_such"}, (1, 8, 8, 3)),
    ],
    ids=str,
)
def test_errors_are_those_of_keras(arguments, shape):
    stock, ours = both_raise(arguments, shape)
    assert type(ours) is type(stock)
    # Older Keras leaves some shapes to the op, whose words are its own.
    assert str(ours) == str(stock) or isinstance(stock, tf.errors.InvalidArgumentError)


@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool", "complex64"])
def test_unsupported_types(dtype):
    stock, ours = both_raise({}, (1, 8, 8, 3), dtype)
    assert type(ours) is type(stock)


def test_channels_that_changed():
    for layer in (layers.Conv2D(4, 3), FusedConv2D(4, 3)):
        layer(np.ones((1, 8, 8, 3)))
        with pytest.raises(ValueError, match="expected axis -1 of input shape to have value 3"):
            layer(np.ones((1, 8, 8, 5)))


def test_image_that_shrank(needs_native):
    layer = FusedConv2D(4, 5)
    layer(np.ones((1, 8, 8, 3)))
    with pytest.raises(
        (ValueError, tf.errors.InvalidArgumentError), match=r"zero or negative|would be below 1"
    ):
        layer(np.ones((1, 3, 3, 3)))


@pytest.mark.parametrize(
    "arguments",
    [
        {"pool_size": 0},
        {"pool_size": 2, "pool_strides": 0},
        {"pool_strides": 2},
        {"pool_size": 2, "pool_padding": "full"},
        {"negative_slope": -0.1},
        {"negative_slope": 0.1, "activation": "relu"},
        {"data_format": "channels_first"},
    ],
    ids=str,
)
def test_bad_arguments(arguments):
    with pytest.raises(ValueError, match="Received: "):
        FusedConv2D(4, 3, **arguments)


def test_pooled_output_below_one():
    # Keras computes the shape before the call or, before 3.13, leaves it to the op.
    with pytest.raises(
        (ValueError, tf.errors.InvalidArgumentError), match=r"zero or negative|would be below 1"
    ):
        FusedConv2D(4, 3, pool_size=3)(np.ones((1, 4, 4, 3)))


def test_lora_is_refused():
    with pytest.raises(NotImplementedError, match="Received: layer=fused"):
        FusedConv2D(4, 3, lora_rank=2, name="fused")(np.ones((1, 4, 4, 3)))


def test_other_backends_are_refused(monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "torch")
    with pytest.raises(RuntimeError, match="KERAS_BACKEND=tensorflow"):
        FusedConv2D(4, 3)
