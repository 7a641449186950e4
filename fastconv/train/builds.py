"""Builds of a system that begin equal, whatever layers they are made of."""

import keras

from fastconv import models
from fastconv.conversion.state import copy_state


def build(system, backend, seed, precision="float32", **arguments):
    """Builds a system's model with the weights and dropout seeds that a seed stands for.

    They are those of the stock build: layers of both backends draw as many random numbers, but not
    in the same order.

    Args:
        system: string, a key of `fastconv.models.SYSTEMS`.
        backend: `"fastconv"` or `"stock"`.
        seed: int; Python, NumPy, Keras and TensorFlow are seeded with it, too.
        precision: string, Keras's dtype policy of the layers. Defaults to `"float32"`.
        **arguments: more of `fastconv.models.build`.

    Returns:
        A `keras.Sequential`, built, not compiled.

    Example:

    >>> from fastconv.train import builds
    >>> stock = builds.build("cifar10", "stock", seed=1)
    >>> fast = builds.build("cifar10", "fastconv", seed=1)
    >>> np.array_equal(stock.get_weights()[0], fast.get_weights()[0])
    True
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        keras.utils.set_random_seed(seed)
        stock = models.build(system, backend="stock", **arguments)
        if backend == "stock":
            return stock
        model = models.build(system, backend=backend, **arguments)
    finally:
        keras.config.set_dtype_policy(before)
    copy_state(stock.layers, model.layers)
    return model
