"""The documented systems as steps to time: a batch in memory, training and prediction."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import tensorflow as tf

import fastconv
from fastconv import models

BACKENDS = ("stock", "fastconv")
MODES = {"plain": False, "XLA": True}


def settings(options):
    """Yields what to measure whole systems with: name, images per step, dtype policy."""
    for policy, name in itertools.product(options.dtype_policy, options.systems):
        for size in options.batch or [models.SYSTEMS[name].batch_size]:
            yield name, size, policy


def batch(system, size):
    """Returns random images and labels, always the same.

    Args:
        system: a `fastconv.models.System`.
        size: number of images.

    Returns:
        Arrays `(size, height, width, channels)` of float32 and integers `(size,)`.
    """
    rng = np.random.default_rng(0)
    x = rng.random((size, *system.input_shape), dtype="float32")
    return x, rng.integers(0, system.classes, size)


def targets(system, labels):
    """Returns labels in the form that the system's loss takes."""
    if system.loss == "binary_crossentropy":
        return labels[:, np.newaxis].astype("float32")
    return keras.utils.to_categorical(labels, system.classes)


def default_mode(model):
    """Returns the mode that Keras chooses for a model; leaves the model compiled that way."""
    model.compile(jit_compile="auto")
    return "XLA" if model.jit_compile else "plain"


def variants(system, size, make_step):
    """Makes the steps of both backends in all modes, from equal weights.

    Args:
        system: a `fastconv.models.System`.
        size: images per step.
        make_step: `training_step` or `prediction_step`.

    Returns:
        Dict of steps by `"<backend> <mode>"`, and dict from each `"<backend> default"` to the name
        of the variant that Keras chooses.
    """
    x, labels = batch(system, size)
    y = targets(system, labels)
    weights = models.build(system.name, backend="stock").get_weights()
    steps, defaults = {}, {}
    for backend in BACKENDS:
        for mode, jit_compile in MODES.items():
            model = build(system, backend, weights)
            chosen = default_mode(model)
            defaults[f"{backend} default"] = f"{backend} {chosen}"
            steps[f"{backend} {mode}"] = make_step(system, backend, model, jit_compile, x, y)
    return steps, defaults


def grouped_variants(system, size, steps):
    """Makes functions that run several training steps in a call, from equal weights.

    Args:
        system: a `fastconv.models.System`.
        size: images per step.
        steps: int, the steps of a call.

    Returns:
        Dict of functions: `"stock XLA, grouped"` as Keras alone runs them, a program per step, and
        `"<backend>, one program"` with `fastconv.fuse_steps`.
    """
    x, labels = batch(system, size)
    y = targets(system, labels)
    weights = models.build(system.name, backend="stock").get_weights()
    grouped = training_step(
        system, "stock", build(system, "stock", weights), MODES["XLA"], x, y, steps
    )
    functions = {"stock XLA, grouped": grouped}
    for backend in BACKENDS:
        model = fastconv.fuse_steps(build(system, backend, weights))
        functions[f"{backend}, one program"] = training_step(
            system, backend, model, MODES["XLA"], x, y, steps
        )
    return functions


def build(system, backend, weights):
    """Returns a model with the given weights."""
    model = models.build(system.name, backend=backend)
    model.set_weights(weights)
    return model


def training_step(system, backend, model, jit_compile, x, y, steps_per_execution=1):
    """Returns a function that does what `fit` does with a group of batches, until it is done."""
    model.compile(
        system.new_optimizer(backend),
        system.loss,
        metrics=["accuracy"],
        jit_compile=jit_compile,
        steps_per_execution=steps_per_execution,
    )
    model.make_train_function()
    batches = _repeated((x, y))

    def step():
        model.train_function(batches)["loss"].numpy()  # as progress bars do
        tf.test.experimental.sync_devices()  # the optimizer may run on after the loss

    return step


def prediction_step(system, backend, model, jit_compile, x, y):
    """Returns a function that does what `predict` does with a batch."""
    del system, backend, y
    model.compile(jit_compile=jit_compile)
    model.make_predict_function()
    batches = _repeated((x,))
    # Unlike the train function, it takes a list of batches.
    return lambda: model.predict_function([next(batches)]).numpy()


def _repeated(arrays):
    return iter(tf.data.Dataset.from_tensors(tuple(map(tf.constant, arrays))).repeat())
