"""The documented systems in PyTorch: eager, channels_last, with the same loss and optimizer."""

from __future__ import annotations

import torch
from torch import nn

VERSION = torch.__version__


def build(name):
    """Returns a system's module; its result is logits, as PyTorch's losses take them."""
    return nn.Sequential(*_LAYERS[name]()).to(memory_format=torch.channels_last)


def training_step(system, x, labels):
    """Returns a function that trains on a batch.

    Args:
        system: a `fastconv.models.System`.
        x: array `(batch, height, width, channels)` of float32.
        labels: array of integers `(batch,)`.
    """
    model = build(system.name).train()
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    binary = system.loss == "binary_crossentropy"
    loss_function = nn.BCEWithLogitsLoss() if binary else nn.CrossEntropyLoss()
    x, y = _images(x), torch.from_numpy(labels)
    y = y[:, None].float() if binary else y
    # Keras's defaults, which differ from PyTorch's.
    if system.name == "catsdogs":
        optimizer = torch.optim.Adadelta(trainable, lr=1.0, rho=0.95, eps=1e-7)
    else:
        rate = 1e-3 if system.name == "cifar10" else 1e-4
        optimizer = torch.optim.RMSprop(trainable, lr=rate, alpha=0.9, eps=1e-7)

    def step():
        optimizer.zero_grad(set_to_none=True)
        logits = model(x)
        loss = loss_function(logits, y)
        if system.name == "fruits360":
            loss = loss + 0.01 * model[0].weight.square().sum()  # Keras's "l2"
        loss.backward()
        optimizer.step()
        loss.item()
        _accuracy(logits, y, binary).item()

    return step


def prediction_step(system, x, labels):
    """Returns a function that predicts the probabilities of a batch; `labels` are not needed."""
    del labels
    model = build(system.name).eval()
    x = _images(x)
    binary = system.loss == "binary_crossentropy"

    @torch.inference_mode()
    def step():
        logits = model(x)
        (torch.sigmoid(logits) if binary else torch.softmax(logits, 1)).numpy()

    return step


def _images(x):
    return torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)


def _accuracy(logits, y, binary):
    hits = (logits.detach() > 0) == (y > 0.5) if binary else logits.detach().argmax(1) == y
    return hits.float().mean()


def _convolution(channels, filters, kernel_size=3, padding=0, pool_size=None):
    layers = [nn.Conv2d(channels, filters, kernel_size, padding=padding), nn.ReLU()]
    return layers if pool_size is None else [*layers, nn.MaxPool2d(pool_size)]


def _cifar10():
    layers, channels = [], 3
    for filters in (32, 64, 64):
        layers += [
            *_convolution(channels, filters, padding=1),
            *_convolution(filters, filters, pool_size=2),
            nn.Dropout(0.25),
        ]
        channels = filters
    head = [nn.Flatten(), nn.Linear(256, 512), nn.ReLU(), nn.Dropout(0.5), nn.Linear(512, 10)]
    return layers + head


def _fruits360():
    return [
        nn.Conv2d(3, 64, 3, padding=1),
        nn.BatchNorm2d(64, eps=1e-3, momentum=0.01),
        nn.ReLU(),
        nn.Dropout2d(0.2),
        nn.Conv2d(64, 128, 3, padding=1),
        nn.BatchNorm2d(128, eps=1e-3, momentum=0.01),
        nn.LeakyReLU(0.3),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(17 * 17 * 128, 250),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(250, 17),
    ]


def _food101():
    layers, channels = [], 3
    for filters, kernel_size, pool_size in ((32, 3, 2), (64, 3, 2), (128, 3, 2), (512, 5, 4)):
        layers += [
            *_convolution(channels, filters, kernel_size, padding=kernel_size // 2),
            *_convolution(filters, filters, kernel_size, pool_size=pool_size),
            nn.Dropout(0.2),
        ]
        channels = filters
    head = [nn.Flatten(), nn.Linear(2048, 1024), nn.ReLU(), nn.Dropout(0.5), nn.Linear(1024, 10)]
    return layers + head


def _catsdogs():
    return [
        *_convolution(3, 32, pool_size=2),
        *_convolution(32, 64, pool_size=2),
        nn.Flatten(),
        nn.Linear(14 * 14 * 64, 128),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(128, 1),
    ]


def _vgg16():
    layers, channels = [], 3
    blocks = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
    for block, (filters, convolutions) in enumerate(blocks, start=1):
        for index in range(1, convolutions + 1):
            pool_size = 2 if index == convolutions else None
            made = _convolution(channels, filters, padding=1, pool_size=pool_size)
            made[0].requires_grad_(block == len(blocks))
            layers += made
            channels = filters
    head = [nn.Flatten(), nn.Linear(3 * 3 * 512, 519), nn.ReLU(), nn.Linear(519, 16)]
    return layers + head


_LAYERS = {
    "cifar10": _cifar10,
    "fruits360": _fruits360,
    "food101": _food101,
    "catsdogs": _catsdogs,
    "vgg16": _vgg16,
}
