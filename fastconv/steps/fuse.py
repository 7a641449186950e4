"""Puts fused steps in the place of Keras's functions."""

import functools

import keras
import tensorflow as tf

from fastconv.errors import InputError
from fastconv.steps import programs

_MAKERS = ("make_train_function", "make_test_function", "make_predict_function")


def fuse_steps(model):
    """Lets a model run its `steps_per_execution` steps inside one XLA program.

    `model.compile(steps_per_execution=k, jit_compile=True)` alone makes Keras compile one step and
    call it `k` times: TensorFlow starts a program per step, whatever the size of the step, and on a
    GPU a small step can take less time than that. A model that passed through this function is
    compiled, trained, evaluated and used by the same methods with the same arguments, and computes
    the same; but the batches of a group are stacked first, and one program loops over them. It
    holds the model's own `train_step` (or `test_step`, `predict_step`) once, so that compiling it
    takes as long as compiling one step.

    It is a function of a model, not a class to derive from, so that models of every kind can have
    it: what the model is, and what it is saved as, does not change. Loaded models and clones must
    pass through it again.

    All else is as in Keras:

    - Callbacks, logs and metrics: once per group, with the indices of its first and last step.
    - Groups with fewer batches, as the last one of an epoch, and batches of fewer samples: a second
      program runs groups of any length, so that there are at most two per shape of a batch (Keras:
      one). Where the shape changes within a group, each run of equal shapes is a program call.
      `predict` leaves such groups to Keras, which runs them step by step.
    - `steps_per_execution=1`, `run_eagerly=True`, `train_on_batch` and the like: Keras's own code.

    A group's batches are in the device's memory at the same time. XLA's CPU compiler makes
    convolutions slow within loops; steps on a CPU that have TensorFlow's convolutions are written
    out `k` times instead, and take as many times as long to compile. `unrolled_steps_per_execution`
    of a Keras model has no effect.

    Args:
        model: a `keras.Model`, compiled or not.

    Returns:
        The same model.

    Raises:
        InputError: `model` is no `keras.Model`, or its class has a `make_train_function`,
            `make_test_function` or `make_predict_function` of its own. In `fit`, `evaluate` and
            `predict`: the model was compiled without XLA (`jit_compile="auto"` chooses that where
            a layer has `supports_jit=False`), or made under a `tf.distribute.Strategy`; batches
            hold sparse or ragged tensors; or a step returns tensors of unknown shape.

    Example:

    >>> import keras, numpy as np
    >>> model = fastconv.fuse_steps(keras.Sequential([keras.Input([4]), keras.layers.Dense(1)]))
    >>> model.compile("sgd", "mse", steps_per_execution=8, jit_compile=True)
    >>> history = model.fit(np.ones([64, 4]), np.ones([64]), batch_size=4, verbose=0)
    """
    if not isinstance(model, keras.Model):
        raise InputError(f"`model` must be a keras.Model. Received: {model!r}")
    for name in _MAKERS:
        if getattr(type(model), name) is not getattr(keras.Model, name):
            raise InputError(
                f"`model` must have Keras's {name}, which this function replaces. Override "
                f"`train_step`, `test_step` or `predict_step` instead. Received: {type(model)}"
            )
    # Attributes of the instance, which `fit`, `evaluate` and `predict` find before the class's.
    model.make_train_function = functools.partial(_make, model, "train", programs.on_iterator)
    model.make_test_function = functools.partial(_make, model, "test", programs.on_iterator)
    model.make_predict_function = functools.partial(_make, model, "predict", programs.on_list)
    model.train_function = model.test_function = model.predict_function = None
    return model


def _make(model, kind, fuse, force=False):
    """Sets and returns `model.<kind>_function` as Keras's `make_<kind>_function` does."""
    name = f"{kind}_function"
    if getattr(model, name) is None or force:
        getattr(type(model), f"make_{name}")(model, force=True)
        if model.steps_per_execution > 1 and not model.run_eagerly:
            _check(model)
            step = getattr(model, f"{kind}_step")
            keras_function = getattr(model, name)
            setattr(model, name, fuse(step, model.steps_per_execution, keras_function))
    return getattr(model, name)


def _check(model):
    if not model.jit_compile:
        raise InputError(
            "Steps can only be fused by XLA. Call `model.compile` with `jit_compile=True`, or "
            'with `steps_per_execution=1`; "auto" means False where a layer does not support XLA. '
            f"Received: jit_compile={model.jit_compile}"
        )
    with model.distribute_strategy.scope():
        if tf.distribute.has_strategy():
            raise InputError(
                "Fused steps run on one device, without a tf.distribute.Strategy. "
                f"Received: {model.distribute_strategy}"
            )
