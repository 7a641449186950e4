"""The optimizers of Keras whose updates are element-wise, with compiled updates."""

import keras

from fastconv.optimizers.fused_update import FusedUpdate

_register = keras.saving.register_keras_serializable(package="fastconv")


@_register
class SGD(FusedUpdate, keras.optimizers.SGD):
    """`keras.optimizers.SGD` with compiled updates; see `FusedUpdate`."""


@_register
class RMSprop(FusedUpdate, keras.optimizers.RMSprop):
    """`keras.optimizers.RMSprop` with compiled updates; see `FusedUpdate`."""


@_register
class Adam(FusedUpdate, keras.optimizers.Adam):
    """`keras.optimizers.Adam` with compiled updates; see `FusedUpdate`."""


@_register
class AdamW(FusedUpdate, keras.optimizers.AdamW):
    """`keras.optimizers.AdamW` with compiled updates; see `FusedUpdate`."""


@_register
class Adamax(FusedUpdate, keras.optimizers.Adamax):
    """`keras.optimizers.Adamax` with compiled updates; see `FusedUpdate`."""


@_register
class Nadam(FusedUpdate, keras.optimizers.Nadam):
    """`keras.optimizers.Nadam` with compiled updates; see `FusedUpdate`."""


@_register
class Adagrad(FusedUpdate, keras.optimizers.Adagrad):
    """`keras.optimizers.Adagrad` with compiled updates; see `FusedUpdate`."""


@_register
class Adadelta(FusedUpdate, keras.optimizers.Adadelta):
    """`keras.optimizers.Adadelta` with compiled updates; see `FusedUpdate`."""


_FUSED = {
    fused.__mro__[2]: fused
    for fused in (SGD, RMSprop, Adam, AdamW, Adamax, Nadam, Adagrad, Adadelta)
}


def fuse(optimizer):
    """Returns an optimizer that updates weights as the given one does, in less time.

    Args:
        optimizer: a Keras optimizer that has not trained yet, of one of the classes that this
            module has under the same name, or a `keras.optimizers.LossScaleOptimizer` around such
            a one. It is not changed; the result has its configuration and none of its state.

    Returns:
        A new optimizer; the given one where it is one of this module's.

    Raises:
        ValueError: the class is another, or the optimizer has what its configuration does not
            hold: slots, or weights that were excluded from weight decay.

    Example:

    >>> optimizer = fastconv.optimizers.fuse(keras.optimizers.RMSprop(1e-4))
    >>> type(optimizer)
    <class 'fastconv.optimizers.optimizers.RMSprop'>
    """
    if isinstance(optimizer, FusedUpdate):
        return optimizer
    if getattr(optimizer, "built", False):
        raise ValueError(
            "`optimizer` must not be built: its slots would be lost. Fuse it before "
            f"`model.compile`. Received: {optimizer} with {len(optimizer.variables)} variables"
        )
    if any(name.startswith("_exclude_from_weight_decay") for name in vars(optimizer)):
        raise ValueError(
            "`optimizer` must not exclude weights from weight decay yet. Call "
            f"`exclude_from_weight_decay` on the result. Received: {optimizer!r}"
        )
    if type(optimizer) is keras.optimizers.LossScaleOptimizer:
        config = optimizer.get_config()
        config["inner_optimizer"] = fuse(optimizer.inner_optimizer)
        return keras.optimizers.LossScaleOptimizer(**config)
    if type(optimizer) not in _FUSED:
        names = ", ".join(known.__name__ for known in _FUSED)
        raise ValueError(
            f"`optimizer` must be a Keras optimizer of one of the classes {names} or "
            f"LossScaleOptimizer. Received: {optimizer!r}"
        )
    return _FUSED[type(optimizer)].from_config(optimizer.get_config())
