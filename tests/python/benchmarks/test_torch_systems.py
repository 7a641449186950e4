"""PyTorch's systems have the parameters of Keras's."""

import numpy as np
import pytest

from fastconv import models

torch = pytest.importorskip("torch", reason="PyTorch is not installed")


@pytest.fixture
def torch_systems():
    from benchmarks import torch_systems

    return torch_systems


def _shapes(weights):
    """Returns sorted sizes, which do not depend on the order of a tensor's axes."""
    return sorted(int(np.prod(weight.shape)) for weight in weights)


@pytest.mark.parametrize("name", models.SYSTEMS)
def test_weights_are_those_of_keras(name, torch_systems):
    stock = models.build(name, backend="stock")
    model = torch_systems.build(name)
    trainable = [weight for weight in model.parameters() if weight.requires_grad]
    assert _shapes(trainable) == _shapes(stock.trainable_weights)
    frozen = [weight for weight in model.parameters() if not weight.requires_grad]
    # Moving statistics; PyTorch also counts batches.
    statistics = [value for value in model.buffers() if value.dim()]
    assert _shapes(frozen + statistics) == _shapes(stock.non_trainable_weights)


@pytest.mark.parametrize("name", ["cifar10", "catsdogs"])
def test_steps_train_and_predict(name, torch_systems):
    system = models.SYSTEMS[name]
    x = np.random.default_rng(0).random((2, *system.input_shape), dtype="float32")
    labels = np.array([0, 1])
    torch_systems.training_step(system, x, labels)()
    torch_systems.prediction_step(system, x, labels)()
