"""The optimizers of Keras whose updates are element-wise, with fused updates."""

import keras
from keras import ops

from fastconv.errors import InputError
from fastconv.optimizers.fused_update import FusedUpdate

_register = keras.saving.register_keras_serializable(package="fastconv")


@_register
class SGD(FusedUpdate, keras.optimizers.SGD):
    """`keras.optimizers.SGD`, which updates a weight in one pass."""

    def _rule(self, rate, index):
        if self.momentum == 0:
            return "sgd", [], [rate]
        name = "nesterov" if self.nesterov else "momentum"
        return name, [self.momentums[index]], [rate, ops.cast(self.momentum, rate.dtype)]


@_register
class RMSprop(FusedUpdate, keras.optimizers.RMSprop):
    """`keras.optimizers.RMSprop`, which updates a weight in one pass."""

    def _rule(self, rate, index):
        name, slots = "rmsprop", [self._velocities[index]]
        factors = [rate, self.rho, 1 - self.rho, self.epsilon]
        if self.centered:
            name = "centered_rmsprop"
            slots.append(self._average_gradients[index])
        if self.momentum > 0:
            name += "_momentum"
            slots.append(self._momentums[index])
            factors.append(self.momentum)
        return name, slots, factors


class _AdamRule(FusedUpdate):
    def _rule(self, rate, index):
        step = ops.cast(self.iterations + 1, rate.dtype)
        first, second = (
            1 - ops.power(ops.cast(beta, rate.dtype), step) for beta in (self.beta_1, self.beta_2)
        )
        slots = [self._momentums[index], self._velocities[index]]
        if self.amsgrad:
            slots.append(self._velocity_hats[index])
        alpha = rate * ops.sqrt(second) / first
        factors = [alpha, 1 - self.beta_1, 1 - self.beta_2, self.epsilon]
        return "amsgrad" if self.amsgrad else "adam", slots, factors


@_register
class Adam(_AdamRule, keras.optimizers.Adam):
    """`keras.optimizers.Adam`, which updates a weight in one pass."""


@_register
class AdamW(_AdamRule, keras.optimizers.AdamW):
    """`keras.optimizers.AdamW`, which updates a weight in one pass."""


@_register
class Adamax(FusedUpdate, keras.optimizers.Adamax):
    """`keras.optimizers.Adamax`, which updates a weight in one pass."""

    def _rule(self, rate, index):
        step = ops.cast(self.iterations + 1, rate.dtype)
        rest = 1 - ops.power(ops.cast(self.beta_1, rate.dtype), step)
        factors = [rate, 1 - self.beta_1, self.beta_2, self.epsilon, rest]
        return "adamax", [self._m[index], self._u[index]], factors


@_register
class Nadam(FusedUpdate, keras.optimizers.Nadam):
    """`keras.optimizers.Nadam`, which updates a weight in one pass."""

    def _rule(self, rate, index):
        dtype = rate.dtype
        beta_1, beta_2, decay = (ops.cast(beta, dtype) for beta in (self.beta_1, self.beta_2, 0.96))
        step = ops.cast(self.iterations + 1, dtype)
        now = beta_1 * (1.0 - 0.5 * ops.power(decay, step))
        following = beta_1 * (1.0 - 0.5 * ops.power(decay, ops.cast(self.iterations + 2, dtype)))
        product = ops.cast(self._u_product, dtype)
        factors = [rate, 1 - beta_1, 1 - beta_2, self.epsilon]
        factors += [following, 1 - product * following, 1 - now, 1 - product]
        factors += [1 - ops.power(beta_2, step)]
        return "nadam", [self._momentums[index], self._velocities[index]], factors


@_register
class Adagrad(FusedUpdate, keras.optimizers.Adagrad):
    """`keras.optimizers.Adagrad`, which updates a weight in one pass."""

    def _rule(self, rate, index):
        return "adagrad", [self._accumulators[index]], [rate, self.epsilon]


@_register
class Adadelta(FusedUpdate, keras.optimizers.Adadelta):
    """`keras.optimizers.Adadelta`, which updates a weight in one pass."""

    def _rule(self, rate, index):
        slots = [self._accumulated_grads[index], self._accumulated_delta_vars[index]]
        return "adadelta", slots, [rate, self.rho, 1 - self.rho, self.epsilon]


_FUSED = {
    getattr(keras.optimizers, fused.__name__): fused
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
        InputError: the class is another, or the optimizer has what its configuration does not
            hold: slots, or weights that were excluded from weight decay.

    Example:

    >>> optimizer = fastconv.optimizers.fuse(keras.optimizers.RMSprop(1e-4))
    >>> type(optimizer)
    <class 'fastconv.optimizers.optimizers.RMSprop'>
    """
    if isinstance(optimizer, FusedUpdate):
        return optimizer
    if getattr(optimizer, "built", False):
        raise InputError(
            "`optimizer` must not be built: its slots would be lost. Fuse it before "
            f"`model.compile`. Received: {optimizer} with {len(optimizer.variables)} variables"
        )
    if any(name.startswith("_exclude_from_weight_decay") for name in vars(optimizer)):
        raise InputError(
            "`optimizer` must not exclude weights from weight decay yet. Call "
            f"`exclude_from_weight_decay` on the result. Received: {optimizer!r}"
        )
    if type(optimizer) is keras.optimizers.LossScaleOptimizer:
        config = optimizer.get_config()
        config["inner_optimizer"] = fuse(optimizer.inner_optimizer)
        return keras.optimizers.LossScaleOptimizer(**config)
    if type(optimizer) not in _FUSED:
        names = ", ".join(known.__name__ for known in _FUSED)
        raise InputError(
            f"`optimizer` must be a Keras optimizer of one of the classes {names} or "
            f"LossScaleOptimizer. Received: {optimizer!r}"
        )
    return _FUSED[type(optimizer)].from_config(optimizer.get_config())
