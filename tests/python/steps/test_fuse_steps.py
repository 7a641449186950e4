"""Fused steps against Keras's own: equal results, callbacks and state, in fewer XLA programs."""

import collections
import json
import pickle

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

import fastconv
from fastconv.errors import InputError

STEPS = 4
BATCH = 6
# A full group, then two batches and a smaller one.
SAMPLES = 6 * BATCH + 5


def build(kind="linear"):
    """Returns a model; all but the linear one draw random numbers and have moving averages."""
    keras.utils.set_random_seed(1)
    head = [keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")]
    state = [keras.layers.BatchNormalization(), keras.layers.Dropout(0.25)]
    body = {
        "linear": [],
        "stock": [
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            *state,
        ],
        "fastconv": [fastconv.FusedConv2D(4, 3, activation="relu", pool_size=2), *state],
    }[kind]
    return keras.Sequential([keras.Input([6, 6, 3]), *body, *head])


def optimizer(kind):
    module = fastconv.optimizers if kind == "fastconv" else keras.optimizers
    return module.SGD(0.05, momentum=0.9)


def data(samples=SAMPLES, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal([samples, 6, 6, 3]).astype("float32")
    return x, keras.utils.to_categorical(rng.integers(0, 3, samples), 3)


def compiled(model, fused, **arguments):
    arguments = {
        "optimizer": "sgd",
        "loss": "categorical_crossentropy",
        "metrics": ["accuracy"],
        "steps_per_execution": STEPS,
        "jit_compile": True,
        **arguments,
    }
    if fused:
        assert fastconv.fuse_steps(model) is model
    model.compile(**arguments)
    return model


class Recorder(keras.callbacks.Callback):
    """Keeps every call that has to do with batches, with the logs."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def _record(self, name, batch, logs):
        logs = {key: np.array(value) for key, value in (logs or {}).items() if key != "outputs"}
        self.calls.append((name, batch, logs))

    def on_train_batch_begin(self, batch, logs=None):
        self._record("train begin", batch, logs)

    def on_train_batch_end(self, batch, logs=None):
        self._record("train end", batch, logs)

    def on_test_batch_end(self, batch, logs=None):
        self._record("test end", batch, logs)

    def on_predict_batch_end(self, batch, logs=None):
        self._record("predict end", batch, logs)


def assert_equal(actual, expected):
    """Compares nested results of two programs of the same operations."""
    keras.tree.assert_same_structure(actual, expected)
    pairs = zip(keras.tree.flatten(actual), keras.tree.flatten(expected), strict=True)
    for a, b in pairs:
        if isinstance(b, (str, int)):
            assert a == b
        else:
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


def state(model):
    """Returns all that training changes: weights, states of generators, slots, steps."""
    return [v.numpy() for v in (*model.variables, *model.optimizer.variables)]


@pytest.fixture
def count_programs(tmp_path):
    """A function that calls another and returns how many XLA programs were compiled and ran."""

    def count(function):
        events = collections.Counter()
        with tf.profiler.experimental.Profile(str(tmp_path)):
            function()
        (file,) = tmp_path.rglob("*.xplane.pb")
        space = xplane_pb2.XSpace.FromString(file.read_bytes())
        file.unlink()
        for plane in space.planes:
            for line in plane.lines:
                for event in line.events:
                    events[plane.event_metadata[event.metadata_id].name] += 1
        return events["JitCompiler::Compile"], events["CpuExecutable::ExecuteAsyncOnStream"]

    return count


@pytest.mark.parametrize("kind", ["stock", "fastconv"])
def test_equals_keras_in_fewer_programs(kind, count_programs):
    x, y = data()
    validation = data(2 * BATCH + 1, seed=1)  # two batches and a smaller one
    found, programs = [], []
    for fused in (False, True):
        model = compiled(build(kind), fused, optimizer=optimizer(kind))
        recorder = Recorder()
        arguments = {"batch_size": BATCH, "verbose": 0, "callbacks": [recorder]}
        results = []
        calls = (
            lambda: model.fit(x, y, epochs=2, validation_data=validation, **arguments).history,  # noqa: B023
            lambda: model.evaluate(x, y, return_dict=True, **arguments),  # noqa: B023
            lambda: model.predict(x, **arguments),  # noqa: B023
        )
        programs.append([count_programs(lambda c=call: results.append(c())) for call in calls])  # noqa: B023
        found.append((results, recorder.calls, state(model)))
    assert_equal(found[1], found[0])
    (_, _, predictions), callbacks, _ = found[1]
    assert predictions.shape == (SAMPLES, 3)
    train = [call[:2] for call in callbacks if call[0].startswith("train")]
    groups = [("train begin", 0), ("train end", 3), ("train begin", 4), ("train end", 7)]
    assert train == 2 * groups

    # Compiled and run by fit, evaluate and predict. Keras: a program per shape, run for each batch.
    assert programs[0] == [(2 + 2, 2 * (7 + 3)), (1, 7), (2, 7)]
    # A full group is a program, two batches are one, the smaller batch is one. Of a model that
    # loops make slow, two batches are two; in predict, groups that are not full are Keras's.
    two = 2 if kind == "stock" else 1
    assert programs[1] == [(3 + 2, 2 * (1 + two + 1 + two + 1)), (2, 1 + two + 1), (3, 1 + 3)]


def test_lengths_of_groups_need_no_more_programs(count_programs):
    model = compiled(build(), fused=True)
    x, y = data(STEPS * BATCH)

    def fit(batches):
        model.fit(x[: batches * BATCH], y[: batches * BATCH], batch_size=BATCH, verbose=0)

    assert count_programs(lambda: fit(STEPS)) == (1, 1)
    assert count_programs(lambda: fit(1)) == (1, 1)
    for batches in range(1, STEPS + 1):
        assert count_programs(lambda n=batches: fit(n)) == (0, 1)


def test_the_step_is_traced_as_often_as_in_keras():
    traces = []

    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(1)

        def call(self, x):
            return self.dense(x)

        def train_step(self, data):
            traces[-1] += 1
            return super().train_step(data)

    x = np.ones([SAMPLES, 2], "float32")
    for fused in (False, True):
        model = compiled(Model(), fused, loss="mse", metrics=None)
        traces.append(0)
        model.fit(x, x[:, :1], batch_size=BATCH, epochs=3, verbose=0)
        model.fit(x[:-1], x[:-1, :1], batch_size=BATCH - 1, verbose=0)
    assert traces[0] == traces[1]


class Penalised(keras.Model):
    """Has a train step, metrics, named inputs and outputs, and state of its own."""

    def __init__(self):
        super().__init__()
        self.hidden = keras.layers.Dense(4, activation="tanh")
        self.heads = {"a": keras.layers.Dense(1), "b": keras.layers.Dense(2)}
        self.steps = self.add_weight(shape=(), initializer="zeros", trainable=False, name="steps")
        self.penalty = keras.metrics.Mean(name="penalty")

    def call(self, inputs, training=False):
        hidden = self.hidden(inputs["first"]) + inputs["second"][0]
        return {name: head(hidden) for name, head in self.heads.items()}

    def train_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        self.steps.assign_add(1)
        with tf.GradientTape() as tape:
            outputs = self(x, training=True)
            loss = self.compute_loss(x, y, outputs, sample_weight)
            penalty = 0.01 * sum(tf.reduce_sum(w**2) for w in self.trainable_weights)
            loss += penalty
        gradients = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply(gradients, self.trainable_weights)
        self.penalty.update_state(penalty)
        return {"loss": loss, "penalty": self.penalty.result(), "steps": self.steps, "half": 0.5}


def test_custom_step_with_nested_inputs_and_weights():
    rng = np.random.default_rng(0)
    first, second, a, weight = (rng.random([SAMPLES, n]).astype("float32") for n in (5, 4, 1, 1))
    x, y = {"first": first, "second": (second,)}, {"a": a, "b": np.concatenate([a, a], axis=1)}
    found = []
    for fused in (False, True):
        keras.utils.set_random_seed(2)
        model = compiled(Penalised(), fused, loss={"a": "mse", "b": "mae"}, metrics=None)
        arguments = {"batch_size": BATCH, "verbose": 0, "sample_weight": weight[:, 0]}
        history = model.fit(x, y, epochs=2, **arguments).history
        assert history["steps"] == [7, 14]
        assert history["half"] == [0.5, 0.5]
        evaluation = model.evaluate(x, y, return_dict=True, **arguments)
        predictions = model.predict(x, batch_size=BATCH, verbose=0)
        found.append((history, evaluation, predictions, state(model)))
    assert_equal(found[1], found[0])


def test_class_weights():
    x, y = data()
    found = []
    for fused in (False, True):
        model = compiled(build(), fused)
        model.fit(x, y, batch_size=BATCH, verbose=0, class_weight={0: 0.2, 1: 1, 2: 3})
        found.append(state(model))
    assert_equal(found[1], found[0])


def test_batches_with_none():
    """Keras's adapters put a `tf.experimental.Optional` for None."""
    x, y = data()

    def batches():
        for i in range(0, SAMPLES, BATCH):
            yield {"images": x[i : i + BATCH], "mask": None}, y[i : i + BATCH]

    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = build()

        def call(self, inputs, training=False):
            assert inputs["mask"] is None
            return self.inner(inputs["images"], training=training)

    found = []
    for fused in (False, True):
        model = compiled(Model(), fused)
        history = model.fit(batches(), verbose=0).history
        found.append((history, model.predict(batches(), verbose=0), state(model)))
    assert_equal(found[1], found[0])


def test_shapes_that_change_within_a_group():
    """Runs of equal shapes, in the order of the batches."""
    sizes = [(6, 3), (6, 3), (4, 3), (6, 3), (6, 5), (6, 5), (6, 5), (6, 5), (6, 5), (2, 3)]
    rng = np.random.default_rng(0)
    batches = [rng.random(size).astype("float32") for size in sizes]
    dataset = tf.data.Dataset.from_generator(
        lambda: iter(batches), output_signature=tf.TensorSpec([None, None])
    )

    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.scale = self.add_weight(shape=(), initializer="ones", name="scale")

        def call(self, x):
            return self.scale * x

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return tf.reduce_mean((y_pred - 0.5) ** 2)

    found = []
    for fused in (False, True):
        model = compiled(Model(), fused, optimizer="sgd", loss=None, metrics=None)
        recorder = Recorder()
        model.fit(dataset, epochs=2, verbose=0, callbacks=[recorder])
        found.append((recorder.calls, state(model)))
    assert_equal(found[1], found[0])


@pytest.mark.parametrize("steps_per_epoch", [6, 100])
def test_steps_per_epoch(steps_per_epoch):
    x, y = data()
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(BATCH)
    if steps_per_epoch < 100:
        dataset = dataset.repeat()
    found = []
    for fused in (False, True):
        model = compiled(build(), fused)
        recorder = Recorder()
        arguments = {"steps_per_epoch": steps_per_epoch, "epochs": 2, "verbose": 0}
        if steps_per_epoch == 100:
            with pytest.warns(UserWarning, match="ran out of data"):
                model.fit(dataset, callbacks=[recorder], **arguments)
        else:
            model.fit(dataset, callbacks=[recorder], **arguments)
        found.append((recorder.calls, state(model)))
    assert_equal(found[1], found[0])


def test_loss_scaling():
    x, y = data()
    x[BATCH] = np.inf  # halves the scale in the second step and leaves its update out
    found = []
    for fused in (False, True):
        scaled = keras.optimizers.LossScaleOptimizer(
            keras.optimizers.SGD(0.01), initial_scale=64.0, dynamic_growth_steps=100
        )
        model = compiled(build(), fused, optimizer=scaled)
        model.fit(x, y, batch_size=BATCH, verbose=0, shuffle=False)
        assert float(scaled.dynamic_scale) == 32
        assert int(scaled.inner_optimizer.iterations) == 6
        found.append([v.numpy() for v in (*model.weights, *scaled.variables)])
    assert_equal(found[1], found[0])


def test_callbacks_may_stop_training():
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = True

    model = compiled(build(), fused=True)
    model.fit(*data(), batch_size=BATCH, epochs=5, verbose=0, callbacks=[Stop()])
    assert int(model.optimizer.iterations) == STEPS


def test_calls_on_single_batches():
    x, y = data(BATCH)
    found = []
    for fused in (False, True):
        model = compiled(build(), fused)
        logs = [model.train_on_batch(x, y), model.test_on_batch(x, y)]
        found.append((logs, model.predict_on_batch(x), state(model)))
    assert_equal(found[1], found[0])


@pytest.mark.parametrize(
    ("arguments", "programs"),
    [
        ({"steps_per_execution": 1}, 2),
        ({"run_eagerly": True, "jit_compile": "auto"}, 0),
    ],
)
def test_keras_runs_what_is_not_to_be_fused(arguments, programs, count_programs):
    x, y = data(2 * BATCH)
    model = compiled(build(), True, **arguments)
    assert count_programs(lambda: model.fit(x, y, batch_size=BATCH, verbose=0))[1] == programs
    assert int(model.optimizer.iterations) == 2


def test_compiling_again_changes_the_number_of_steps(count_programs):
    x, y = data(2 * STEPS * BATCH)
    model = compiled(build(), True)
    fit = lambda: model.fit(x, y, batch_size=BATCH, verbose=0)  # noqa: E731
    assert count_programs(fit)[1] == 2
    model.compile("sgd", "mse", steps_per_execution=2, jit_compile=True)
    assert count_programs(fit)[1] == STEPS
    fastconv.fuse_steps(model)
    assert count_programs(fit)[1] == STEPS


def test_what_is_saved_is_the_model(tmp_path, count_programs):
    x, y = data(STEPS * BATCH)
    model = compiled(build("fastconv"), True, optimizer=optimizer("fastconv"))
    model.fit(x, y, batch_size=BATCH, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is type(model) is keras.Sequential
    assert json.dumps(loaded.get_config()) == json.dumps(model.get_config())
    assert loaded.steps_per_execution == STEPS
    for copy in (loaded, pickle.loads(pickle.dumps(model))):
        assert_equal(copy.predict(x, verbose=0), model.predict(x, verbose=0))
    fastconv.fuse_steps(loaded)
    assert count_programs(lambda: loaded.fit(x, y, batch_size=BATCH, verbose=0))[1] == 1


def test_keras_itself_stays_as_it_is():
    names = ("make_train_function", "make_test_function", "make_predict_function", "fit")
    before = [getattr(keras.Model, name) for name in names]
    model, other = build(), build()
    fastconv.fuse_steps(model)
    assert [getattr(keras.Model, name) for name in names] == before
    assert not any(name in vars(other) for name in names)


def test_refuses_what_is_no_model():
    with pytest.raises(InputError, match=r"keras.Model.*Received: 'model'"):
        fastconv.fuse_steps("model")


def test_refuses_functions_of_the_users():
    class Model(keras.Model):
        def make_test_function(self, force=False):
            raise NotImplementedError

    with pytest.raises(InputError, match=r"(?s)make_test_function.*`test_step`.*Received: .*Model"):
        fastconv.fuse_steps(Model())


@pytest.mark.parametrize("jit_compile", [False, "auto"])
def test_refuses_to_do_without_xla(jit_compile):
    model = build()
    model.layers[0].supports_jit = False
    compiled(model, True, jit_compile=jit_compile)
    for function in (model.fit, model.evaluate):
        with pytest.raises(InputError, match=r"jit_compile=True.*Received: jit_compile=False"):
            function(*data(), verbose=0)
    with pytest.raises(InputError, match=r"jit_compile=True.*Received: jit_compile=False"):
        model.predict(data()[0], verbose=0)


def test_refuses_strategies():
    with tf.distribute.OneDeviceStrategy("CPU:0").scope():
        model = compiled(build(), True)
    with pytest.raises(InputError, match=r"(?s)one device.*Received: .*OneDeviceStrategy"):
        model.fit(*data(), verbose=0)


def test_refuses_ragged_batches():
    ragged = tf.ragged.constant([[1.0], [1.0, 2.0], [3.0], [4.0]])
    dataset = tf.data.Dataset.from_tensor_slices(ragged).batch(2)
    model = compiled(keras.Sequential([keras.layers.Dense(1)]), True, loss="mse", metrics=None)
    with pytest.raises(InputError, match=r"(?s)dense tensors.*Received: RaggedTensorSpec"):
        model.fit(dataset, verbose=0)


def test_refuses_logs_of_unknown_shape():
    class Model(keras.Sequential):
        def test_step(self, data):
            return {"predictions": self(data[0])}

    model = compiled(Model([keras.layers.Dense(1)]), True, loss="mse", metrics=None)
    x = np.ones([3, 2], "float32")  # two shapes of a batch
    with pytest.raises(InputError, match=r"(?s)Logs must have shapes.*Received: .*\(None, 1\)"):
        model.evaluate(x, x, batch_size=2, verbose=0)
