"""Keras optimizers that pass over each weight fewer times, with equal updates.

Each derives from the Keras optimizer of its name: arguments, slots, configuration, schedules,
clipping, weight decay, moving averages of weights, loss scaling and gradient accumulation are
Keras's own. Keras's update of a weight is a chain of element-wise operations, and TensorFlow runs
each of them over the whole weight. Here one native op does the step, rounded as Keras's operations
round it, and writes weight and slots in place; within XLA too.

Keras's separate operations still run for weights that are neither float32 nor float64, for weights
on other devices than the CPU, for gradients that are `tf.IndexedSlices`, and with more than one
replica of a `tf.distribute` strategy.

Example:

>>> model = fastconv.models.build("cifar10")
>>> model.compile(fastconv.optimizers.Adam(1e-3), "categorical_crossentropy")
"""

from fastconv.optimizers.optimizers import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Nadam,
    RMSprop,
    fuse,
)

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Nadam",
    "RMSprop",
    "fuse",
]
