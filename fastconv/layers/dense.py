"""The dense layer."""

import keras
import tensorflow as tf

from fastconv import ops, placement
from fastconv.layers import requirements
from fastconv.layers.activation import fused_activation

# From this many weights on the fused op was the faster one: docs/training_step.md.
_MIN_WEIGHTS = 1 << 19


@keras.saving.register_keras_serializable(package="fastconv")
class Dense(keras.layers.Dense):
    """`keras.layers.Dense` that takes less time where its weights are big.

    Arguments, weights and results are those of `keras.layers.Dense`. With float32 and 2^19 weights
    or more, product, bias and relu or leaky relu are one op, `fastconv.ops.fused_dense`. The rest
    is left to Keras.

    Raises:
        RuntimeError: Keras's backend is not TensorFlow.

    Example:

    >>> layer = fastconv.layers.Dense(256, activation="relu")
    >>> layer(np.ones((32, 4096))).shape
    TensorShape([32, 256])
    """

    def __init__(self, *args, **kwargs):
        """Creates the layer; see the class."""
        requirements.check_backend(type(self))
        super().__init__(*args, **kwargs)

    def call(self, inputs, training=None):
        """Computes `activation(inputs @ kernel + bias)`."""
        if not self._is_fused(inputs):
            return super().call(inputs, training=training)
        fused = fused_activation(self.activation or keras.activations.linear, None)
        outputs = ops.fused_dense(
            inputs,
            tf.convert_to_tensor(self.kernel),
            None if self.bias is None else tf.convert_to_tensor(self.bias),
            **(fused._asdict() if fused else {}),
        )
        return outputs if fused else self.activation(outputs)

    def _is_fused(self, inputs):
        return (
            placement.has_kernel(tf.float32, gpu=False)
            and isinstance(inputs, tf.Tensor)
            and inputs.shape.rank == 2
            and inputs.dtype == self.compute_dtype == "float32"
            and tf.convert_to_tensor(self.kernel).shape.num_elements() >= _MIN_WEIGHTS
        )
