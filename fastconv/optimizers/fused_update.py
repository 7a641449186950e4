"""Keras's update rules in one pass over a weight and its slots."""

import tensorflow as tf
from keras import ops

from fastconv import config, native

_TYPES = (tf.float32, tf.float64)


class FusedUpdate:
    """Mixin, to stand before a Keras optimizer: the updates of `fastconv.optimizers`."""

    def update_step(self, gradient, variable, learning_rate):
        """Updates a weight and its slots.

        Args:
            gradient: tensor of the shape of the weight, or `tf.IndexedSlices`.
            variable: `tf.Variable` or `keras.Variable`.
            learning_rate: scalar tensor, variable or number.
        """
        weight = _tf_variable(variable)
        if not _has_kernel(gradient, weight):
            super().update_step(gradient, variable, learning_rate)
            return
        rule, slots, factors = self._rule(
            ops.cast(learning_rate, weight.dtype), self._get_variable_index(variable)
        )
        with tf.control_dependencies(_users(weight)):
            native.ops().fastconv_update_weight(
                weight=weight.handle,
                slots=[_tf_variable(slot).handle for slot in slots],
                gradient=ops.cast(gradient, weight.dtype),
                factors=tf.stack([_scalar(factor, weight.dtype) for factor in factors]),
                rule=rule,
            )

    def _rule(self, rate, index):
        """Returns what the native op needs; a class has it beside its Keras optimizer.

        Args:
            rate: scalar tensor of the weight's type: the learning rate.
            index: of the weight among those that the optimizer was built with.

        Returns:
            Tuple of the rule's name, and its slots and factors as `csrc/core/weight_update.h`
            lists them: variables, and scalars that may be Python numbers.
        """
        raise NotImplementedError


def _has_kernel(gradient, weight):
    return (
        config.native_enabled()
        and not isinstance(gradient, tf.IndexedSlices)
        and weight.dtype in _TYPES
        and tf.DeviceSpec.from_string(weight.device).device_type == "CPU"
        and tf.distribute.get_strategy().num_replicas_in_sync == 1
    )


def _users(weight):
    """Returns the operations of the graph so far that take a value of the weight.

    The update waits for them: as long as one may still read the old value, the new one needs memory
    of its own.
    """
    if tf.executing_eagerly():
        return []
    handle = tf.compat.v1.get_default_graph().capture(weight.handle)
    values = [value for operation in handle.consumers() for value in operation.outputs]
    return [user for value in values for user in value.consumers()]


def _tf_variable(variable):
    return variable if isinstance(variable, tf.Variable) else variable.value


def _scalar(number, dtype):
    # Python's numbers take the type at once: tf.cast would round them to float32 on the way.
    return tf.cast(number, dtype) if tf.is_tensor(number) else tf.constant(number, dtype)
