"""fastconv.explain: against the log of what really ran, and what it refuses."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import fastconv
from fastconv import config, placement
from fastconv.errors import InputError
from fastconv.layers import FusedConv2D

pytestmark = pytest.mark.usefixtures("needs_native")

PASSES = ["forward", "backward_input", "backward_filter"]


def small_model():
    return keras.Sequential(
        [
            keras.Input((18, 18, 16)),
            FusedConv2D(32, 3, padding="same", batch_norm=True, dropout=0.5, name="first"),
            FusedConv2D(8, 3, strides=2, activation="relu", pool_size=2, name="second"),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )


def test_tells_what_the_training_step_logs(monkeypatch, capfd):
    model = small_model()
    explanation = fastconv.explain(model, batch_size=5)
    assert [each.layer for each in explanation.convolutions] == ["first", "second"]
    told = {
        (one.name, each.input_shape[3], each.filter_shape[3], one.implementation)
        for each in explanation.convolutions
        for one in each.passes
    }
    monkeypatch.setenv(config.VERBOSE, "dispatch")
    with tf.GradientTape() as tape:
        x = tf.ones((5, 18, 18, 16))
        tape.watch(x)
        y = model(x, training=True)
    tape.gradient(y, [x, *model.trainable_variables])
    chosen = re.findall(
        r"fastconv: (\w+) float32 n5 c(\d+) k(\d+) .*?: (\S+): chosen", capfd.readouterr().err
    )
    assert {(name, int(c), int(k), one) for name, c, k, one in chosen} == told


def test_reads_and_prints():
    explanation = fastconv.explain(small_model(), batch_size=5)
    first, second = explanation.convolutions
    assert (first.input_shape, first.filter_shape) == ((5, 18, 18, 16), (3, 3, 16, 32))
    assert (second.input_shape, second.dtype) == ((5, 18, 18, 32), "float32")
    assert [one.name for one in second.passes] == PASSES
    text = str(explanation)
    for each in (first, second):
        assert each.layer in text
        for one in each.passes:
            assert one.implementation in text
            assert one.implementation not in one.refusals
            for implementation, reason in one.refusals.items():
                assert f"{each.layer}: not {implementation}: {reason} (" in text
    assert second.passes[0].refusals


def test_follows_the_instruction_set(isa):
    for each in fastconv.explain(small_model()).convolutions:
        for one in each.passes:
            assert one.implementation.endswith(f":{isa}")


def test_inference_has_one_pass():
    for each in fastconv.explain(small_model(), training=False).convolutions:
        assert [one.name for one in each.passes] == ["forward"]


@pytest.mark.parametrize("shape", [(9, 10, 16), (32, 9, 10, 16), (None, 9, 10, 16)])
def test_single_layers(shape):
    layer = FusedConv2D(8, 3, name="alone", dtype="mixed_bfloat16")
    (only,) = fastconv.explain(layer, shape).convolutions
    assert (only.layer, only.input_shape, only.dtype) == ("alone", (32, 9, 10, 16), "bfloat16")


def test_nested_and_subclassed_models():
    class Twice(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = small_model()
            self.shared = FusedConv2D(16, 3, padding="same", name="shared")

        def call(self, x, training=None):
            return self.inner(self.shared(self.shared(x)), training=training)

    names = [each.layer for each in fastconv.explain(Twice(), (18, 18, 16)).convolutions]
    assert names == ["shared", "shared", "first", "second"]


def test_on_a_gpu(monkeypatch):
    monkeypatch.setattr(placement, "on_gpu", lambda: True)
    monkeypatch.setattr(placement, "has_kernel", lambda dtype, gpu=True: gpu)
    model = keras.Sequential(
        [
            keras.Input((18, 18, 32)),
            FusedConv2D(64, 3, name="ours"),
            FusedConv2D(128, 3, batch_norm=True, pool_size=2, name="wide"),
            FusedConv2D(16, 5, strides=2, padding="same", dropout=0.5, name="large"),
            keras.layers.Conv2D(4, 3, name="none_of_ours"),
        ]
    )
    explanation = fastconv.explain(model, batch_size=5)
    ours, wide, large = explanation.convolutions
    assert (ours.layer, wide.layer, large.layer) == ("ours", "wide", "large")
    assert {one.implementation for one in ours.passes} <= {
        "conv3x3:warpgroup",
        "conv3x3:tensor_cores",
    }
    for each in (wide, large):
        assert [one.name for one in each.passes] == PASSES
        assert {one.implementation for one in each.passes} == {"stock"}
    assert (wide.input_shape, wide.filter_shape) == ((5, 16, 16, 64), (3, 3, 64, 128))
    assert large.passes[0].refusals["conv3x3:tensor_cores"] == "only for 3x3 filters"


def test_kernels_not_asked_for_on_a_gpu(monkeypatch):
    monkeypatch.setattr(placement, "on_gpu", lambda: True)
    monkeypatch.delenv(config.GPU, raising=False)
    with pytest.raises(RuntimeError, match="Received: FASTCONV_GPU=off"):
        fastconv.explain(small_model())


def test_leaves_the_model_as_it_is():
    model = small_model()
    before = [np.copy(weight) for weight in model.get_weights()]
    fastconv.explain(model)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_models_without_convolutions():
    model = keras.Sequential([keras.Input((4, 4, 2)), keras.layers.Flatten()])
    assert fastconv.explain(model).convolutions == ()


def test_bad_arguments(monkeypatch):
    layer = FusedConv2D(8, 3)
    with pytest.raises(InputError, match=r"is needed.*Received: "):
        fastconv.explain(layer)
    with pytest.raises(InputError, match=r"known sizes.*Received: "):
        fastconv.explain(layer, (None, None, 3))
    monkeypatch.setenv(config.NATIVE, "off")
    with pytest.raises(RuntimeError, match="Received: FASTCONV_NATIVE=off"):
        fastconv.explain(layer, (8, 8, 3))
