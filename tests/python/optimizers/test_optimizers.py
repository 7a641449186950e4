"""Fused optimizers against Keras's own over twenty steps."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tolerances import optimizer_bound

from fastconv import config, native, optimizers
from fastconv.errors import InputError

STEPS = 20
# One weight that threads share, of an odd size, a vector and a scalar.
SHAPES = ((4099, 9), (7,), ())
STOCK = {
    "SGD": lambda **options: keras.optimizers.SGD(0.1, **options),
    "momentum": lambda **options: keras.optimizers.SGD(0.1, momentum=0.9, **options),
    "nesterov": lambda **options: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True, **options),
    "RMSprop": lambda **options: keras.optimizers.RMSprop(0.01, **options),
    "RMSprop_momentum": lambda **options: keras.optimizers.RMSprop(0.01, momentum=0.5, **options),
    "centered": lambda **options: keras.optimizers.RMSprop(0.01, centered=True, **options),
    "centered_momentum": lambda **options: keras.optimizers.RMSprop(
        0.01, momentum=0.5, centered=True, **options
    ),
    "Adam": lambda **options: keras.optimizers.Adam(0.01, **options),
    "amsgrad": lambda **options: keras.optimizers.Adam(0.01, amsgrad=True, **options),
    "AdamW": lambda **options: keras.optimizers.AdamW(0.01, **options),
    "Adamax": lambda **options: keras.optimizers.Adamax(0.01, **options),
    "Nadam": lambda **options: keras.optimizers.Nadam(0.01, **options),
    "Adagrad": lambda **options: keras.optimizers.Adagrad(0.1, **options),
    "Adadelta": lambda **options: keras.optimizers.Adadelta(1.0, **options),
}
OPTIONS = {
    "weight_decay": {"weight_decay": 0.01},
    "clipnorm": {"clipnorm": 0.5},
    "global_clipnorm": {"global_clipnorm": 0.5},
    "clipvalue": {"clipvalue": 0.3},
    "moving_average": {"use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 7},
    "accumulation": {"gradient_accumulation_steps": 3},
    "loss_scale": {"loss_scale_factor": 8.0},
}


def gradients(dtype, step):
    generator = np.random.default_rng(step)
    return [tf.constant(generator.uniform(-1, 1, shape), dtype) for shape in SHAPES]


def train(optimizer, mode, dtype="float32"):
    """Returns the weights, and the slots, after updates with given gradients."""
    generator = np.random.default_rng(99)
    weights = [
        keras.Variable(generator.uniform(-1, 1, shape), dtype=dtype, name=f"w{index}")
        for index, shape in enumerate(SHAPES)
    ]
    optimizer.build(weights)
    step = optimizer.apply
    if mode != "eager":
        step = tf.function(step, jit_compile=mode == "xla")
    for index in range(STEPS):
        step(gradients(dtype, index))
    return [variable.numpy() for variable in (*weights, *optimizer.variables)]


def assert_trains_as(fused, stock, mode, dtype="float32"):
    actual, expected = train(fused, mode, dtype), train(stock, "eager", dtype)
    for one, other in zip(actual, expected, strict=True):
        bound = optimizer_bound(dtype, STEPS) * max(np.abs(other).max(), 1.0)
        np.testing.assert_allclose(one, other, rtol=0, atol=bound)


@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
@pytest.mark.parametrize("name", STOCK)
def test_trains_as_keras_does(name, mode):
    assert_trains_as(optimizers.fuse(STOCK[name]()), STOCK[name](), mode)


@pytest.mark.parametrize("mode", ["graph", "xla"])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", ["RMSprop", "Adadelta", "AdamW"])
def test_options_are_those_of_keras(name, options, mode):
    options = OPTIONS[options]
    assert_trains_as(optimizers.fuse(STOCK[name](**options)), STOCK[name](**options), mode)


@pytest.mark.parametrize("name", STOCK)
def test_float64(name):
    assert_trains_as(optimizers.fuse(STOCK[name]()), STOCK[name](), "graph", "float64")


@pytest.mark.parametrize("name", ["RMSprop", "Adadelta"])
def test_bfloat16_weights(name):
    assert_trains_as(optimizers.fuse(STOCK[name]()), STOCK[name](), "graph", "bfloat16")


@pytest.mark.parametrize("name", STOCK)
def test_instruction_sets(name, isa):
    assert_trains_as(optimizers.fuse(STOCK[name]()), STOCK[name](), "eager")


def test_schedule_and_changes_of_the_rate():
    def stock():
        return keras.optimizers.RMSprop(
            keras.optimizers.schedules.InverseTimeDecay(0.01, decay_steps=1, decay_rate=0.1)
        )

    assert_trains_as(optimizers.fuse(stock()), stock(), "graph")
    optimizer = optimizers.SGD(0.5)
    weight = keras.Variable(np.zeros(5, "float32"))
    optimizer.build([weight])
    step = tf.function(lambda: optimizer.apply([tf.ones(5)]))
    step()
    optimizer.learning_rate = 0.25
    step()
    np.testing.assert_array_equal(weight.numpy(), -0.75)


def operations(optimizer):
    """Returns the types of the operations of a step."""
    weight = keras.Variable(np.zeros(9, "float32"))
    optimizer.build([weight])
    step = tf.function(lambda: optimizer.apply([tf.ones(9)]))
    return [op.type for op in step.get_concrete_function().graph.get_operations()]


@pytest.mark.parametrize("name", STOCK)
def test_one_operation_updates_a_weight(name, needs_native):
    fused, stock = operations(optimizers.fuse(STOCK[name]())), operations(STOCK[name]())
    assert fused.count("Fastconv>UpdateWeight") == 1
    assert len(fused) < len(stock) or "SGD" in name
    # Of scalars there may be square roots.
    assert "Square" not in fused


def address(variable):
    """Returns where in memory the value of a variable lies."""
    return variable.value.read_value()._numpy().__array_interface__["data"][0]


def test_updates_wait_for_readers_and_are_in_place(needs_native):
    weight = keras.Variable(np.ones((700, 700), "float32"))
    optimizer = optimizers.RMSprop(0.01)
    optimizer.build([weight])

    @tf.function
    def step(x):
        value = weight.value.value()
        y = x @ value
        gradient = tf.matmul(x, y, transpose_a=True)
        dx = tf.matmul(y, value, transpose_b=True)
        optimizer.apply([gradient])
        return dx

    # A first value that happens to be aligned may lie in NumPy's memory; the first step leaves it.
    step(tf.ones((300, 700)))
    before = address(weight)
    for _ in range(STEPS):
        step(tf.ones((300, 700)))
        assert address(weight) == before


def test_kernels_can_be_switched_off(monkeypatch):
    monkeypatch.setenv(config.NATIVE, "off")
    assert "Fastconv>UpdateWeight" not in operations(optimizers.RMSprop())
    assert_trains_as(optimizers.RMSprop(0.01), STOCK["RMSprop"](), "graph")


def test_a_reader_keeps_what_it_read(needs_native):
    weight = keras.Variable(np.ones(40000, "float32"))
    optimizer = optimizers.SGD(0.5, momentum=0.5)
    optimizer.build([weight])

    @tf.function
    def step():
        before = weight.value.read_value()
        optimizer.apply([tf.ones(40000)])
        return before + 0.0, weight.value.read_value()

    before, after = step()
    np.testing.assert_array_equal(before, 1.0)
    np.testing.assert_array_equal(after, 0.5)
    held = weight.value.read_value()
    optimizer.apply([tf.ones(40000)])
    np.testing.assert_array_equal(held, 0.5)
    np.testing.assert_array_equal(weight.numpy(), -0.25)


def test_copy_on_read_variables(needs_native):
    weight = keras.Variable(np.zeros((6, 2), "float32"))
    optimizer = optimizers.SGD(0.5)
    optimizer.build([weight])
    weight.value.scatter_add(tf.IndexedSlices(tf.ones((1, 2)), tf.constant([3])))
    optimizer.apply([tf.ones((6, 2))])
    expected = np.full((6, 2), -0.5)
    expected[3] += 1
    np.testing.assert_array_equal(weight.numpy(), expected)


@pytest.mark.parametrize("mode", ["graph", "xla"])
def test_a_nan_stays_in_its_element(mode):
    weight = keras.Variable(np.zeros(1000, "float32"))
    optimizer = optimizers.Adadelta(1.0)
    optimizer.build([weight])
    gradient = np.ones(1000, "float32")
    gradient[[17, 998]] = np.nan, np.inf
    tf.function(optimizer.apply, jit_compile=mode == "xla")([tf.constant(gradient)])
    finite = np.isfinite(weight.numpy())
    assert list(np.flatnonzero(~finite)) == [17, 998]
    assert len(np.unique(weight.numpy()[finite])) == 1


@pytest.mark.parametrize(
    "make_strategy",
    [
        lambda: tf.distribute.OneDeviceStrategy("/cpu:0"),
        lambda: tf.distribute.MirroredStrategy(["/cpu:0"]),
    ],
    ids=["one_device", "mirrored"],
)
def test_strategies_of_one_replica(make_strategy):
    x, y = np.ones((4, 256), "float32"), np.ones((4, 3), "float32")
    trained = []
    for optimizer in (optimizers.RMSprop, keras.optimizers.RMSprop):
        strategy = make_strategy()
        with strategy.scope():
            model = mixed_model()
            model.compile(optimizer(0.01), "mse", jit_compile=False)
        for _ in range(STEPS):
            model.train_on_batch(x, y)
        trained.append(model.get_weights())
    for fused, stock in zip(*trained, strict=True):
        bound = optimizer_bound("float32", STEPS) * max(np.abs(stock).max(), 1.0)
        np.testing.assert_allclose(fused, stock, rtol=0, atol=bound)


def update_weight(**changes):
    """Calls the native op with arguments that fit, but for the changes."""
    variables = [tf.Variable(np.zeros((3, 2), "float32")) for _ in range(2)]
    arguments = {
        "weight": variables[0].handle,
        "slots": [variables[1].handle],
        "gradient": tf.ones((3, 2)),
        "factors": tf.ones(2),
        "rule": "momentum",
        **changes,
    }
    native.ops().fastconv_update_weight(**arguments)


def test_the_op_refuses_what_does_not_fit(needs_native):
    update_weight()
    other = tf.Variable(np.zeros((2, 3), "float32"))
    for changes, message in (
        ({"slots": []}, "`slots` of rule momentum must be 1. Received: 0"),
        ({"slots": [other.handle]}, r"a slot must have shape \[3, 2\]. Received: shape \[2, 3\]"),
        ({"gradient": tf.ones(6)}, r"gradient must have shape \[3, 2\]. Received: shape \[6\]"),
        ({"factors": tf.ones(3)}, r"factors must have shape \[2\]. Received: shape \[3\]"),
        (
            {"gradient": tf.ones((3, 2), "float64"), "factors": tf.ones(2, "float64")},
            "gradient must be of type float32. Received: float64",
        ),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            update_weight(**changes)


def test_sparse_gradients():
    def weights(optimizer):
        table = keras.Variable(np.ones((9, 2), "float32"))
        optimizer.build([table])
        optimizer.apply([tf.IndexedSlices(tf.ones((2, 2)), tf.constant([3, 5]), (9, 2))])
        return table.numpy()

    expected = weights(keras.optimizers.SGD(0.5))
    np.testing.assert_array_equal(weights(optimizers.SGD(0.5)), expected)
    assert expected.min() < expected.max()


def mixed_model():
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input((256,)),
            keras.layers.Dense(256, activation="tanh"),
            keras.layers.Dense(3, dtype="float32"),
        ]
    )


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    keras.config.set_dtype_policy(policy)
    # Whole numbers of few bits: the 16-bit gradients of both are equal.
    x = np.random.default_rng(1).integers(-1, 2, (STEPS, 8, 256)).astype("float32")
    trained = []
    for optimizer in (optimizers.SGD(2.0**-6), keras.optimizers.SGD(2.0**-6)):
        model = mixed_model()
        model.compile(optimizer, "mse", jit_compile=False)
        for batch in x:
            model.train_on_batch(batch, np.ones((8, 3), "float32"))
        scaled = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
        assert scaled == (policy == "mixed_float16")
        trained.append(model.get_weights())
    for fused, stock in zip(*trained, strict=True):
        assert fused.dtype == np.float32
        bound = optimizer_bound("float32", STEPS) * max(np.abs(stock).max(), 1.0)
        np.testing.assert_allclose(fused, stock, rtol=0, atol=bound)


def test_saved_models_reload_and_train_on(tmp_path):
    x, y = np.ones((4, 256), "float32"), np.ones((4, 3), "float32")
    model = mixed_model()
    model.compile(optimizers.RMSprop(0.01), "mse")
    model.train_on_batch(x, y)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer) is optimizers.RMSprop
    for each in (model, loaded):
        each.train_on_batch(x, y)
    for one, other in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(model.optimizer.variables, loaded.optimizer.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_fuse_keeps_configuration():
    stock = keras.optimizers.AdamW(0.02, weight_decay=0.3, beta_1=0.8, clipvalue=2.0, name="mine")
    fused = optimizers.fuse(stock)
    assert type(fused) is optimizers.AdamW
    assert fused.get_config() == stock.get_config()
    assert optimizers.fuse(fused) is fused


def test_fuse_inside_loss_scaling():
    stock = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.02), initial_scale=64.0)
    fused = optimizers.fuse(stock)
    assert type(fused.inner_optimizer) is optimizers.Adam
    assert fused.initial_scale == 64.0


def test_fuse_refuses_what_it_would_lose():
    with pytest.raises(InputError, match=r"one of the classes.*Received: .*Ftrl"):
        optimizers.fuse(keras.optimizers.Ftrl())
    built = keras.optimizers.SGD()
    built.build([keras.Variable(np.zeros(3, "float32"))])
    with pytest.raises(InputError, match=r"must not be built.*Received: "):
        optimizers.fuse(built)
    excluding = keras.optimizers.AdamW()
    excluding.exclude_from_weight_decay(var_names=["bias"])
    with pytest.raises(InputError, match=r"exclude_from_weight_decay.*Received: "):
        optimizers.fuse(excluding)
