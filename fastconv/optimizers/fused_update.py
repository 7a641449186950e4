"""Keras's own update rules, compiled by XLA so that weights are read and written fewer times."""

import tensorflow as tf

# Starting compiled code costs more than Keras's separate operations on weights that fit the cache:
# with RMSprop on two cores of an AMD EPYC (Zen 4) the two are even at about this many elements.
MIN_ELEMENTS = 1 << 15


class FusedUpdate:
    """Mixin, to stand before a Keras optimizer: the same updates in fewer passes over memory.

    Keras's update of a weight is a chain of element-wise operations, and TensorFlow runs each of
    them over the whole weight. Here XLA compiles the optimizer's own `update_step`, so that weight
    and slots are updated in place. All else is Keras's own: slots, configuration, schedules,
    clipping, weight decay, moving averages of weights, loss scaling and gradient accumulation.

    Keras's separate operations still run for weights of fewer than `MIN_ELEMENTS` elements, for
    gradients that are `tf.IndexedSlices`, and with more than one replica of a `tf.distribute`
    strategy.
    """

    def update_step(self, gradient, variable, learning_rate):
        """Updates a weight and its slots.

        Args:
            gradient: tensor of the shape of the weight, or `tf.IndexedSlices`.
            variable: `tf.Variable` or `keras.Variable`.
            learning_rate: scalar tensor, variable or number.
        """
        keras_update_step = super().update_step
        if not _is_worth_compiling(gradient, variable):
            keras_update_step(gradient, variable, learning_rate)
            return

        @tf.function(jit_compile=True)
        def compiled_update_step(gradient, learning_rate):
            keras_update_step(gradient, variable, learning_rate)

        compiled_update_step(gradient, tf.convert_to_tensor(learning_rate))


def _is_worth_compiling(gradient, variable):
    return (
        not isinstance(gradient, tf.IndexedSlices)
        and tf.distribute.get_strategy().num_replicas_in_sync == 1
        and variable.shape.num_elements() >= MIN_ELEMENTS
    )
