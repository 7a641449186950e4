"""The dense layer."""

import keras
import tensorflow as tf

from fastconv import ops
from fastconv.layers import requirements


@keras.saving.register_keras_serializable(package="fastconv")
class Dense(keras.layers.Dense):
    """`keras.layers.Dense` whose gradients take less time for big weights and small batches.

    Arguments, weights and results are those of `keras.layers.Dense`; inputs of more than two
    dimensions are left to it. See `fastconv.ops.dense`.

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
        if len(inputs.shape) != 2 or isinstance(inputs, tf.SparseTensor):
            return super().call(inputs, training=training)
        outputs = ops.dense(tf.convert_to_tensor(inputs), tf.convert_to_tensor(self.kernel))
        if self.bias is not None:
            outputs = tf.nn.bias_add(outputs, tf.convert_to_tensor(self.bias))
        return outputs if self.activation is None else self.activation(outputs)
