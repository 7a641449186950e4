"""Run by test_replicas.py: a block on two replicas, of different batch sizes, and on one.

Then a model with fastconv's optimizer on two replicas, and with Keras's own.
"""

import keras
import numpy as np
import tensorflow as tf
from helpers import values
from tolerances import assert_close_in_norm, chain_bound

from fastconv import ops, optimizers

CPU = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(CPU, 2 * [tf.config.LogicalDeviceConfiguration()])

BATCH = 5
X = 1 + values((BATCH, 8, 7, 3), tf.float32, 1)
FILTER = values((3, 3, 3, 6), tf.float32, 2)
GAMMA = 1.5 + values((6,), tf.float32, 3)
BETA = values((6,), tf.float32, 4)
DY = values((BATCH, 3, 2, 6), tf.float32, 5)


def block(x, dy, synchronized):
    """Returns y, mean, variance and the gradients on x, filter, gamma and beta."""
    zeros = tf.zeros([6])
    with tf.GradientTape() as tape:
        inputs = x, FILTER, GAMMA, BETA
        tape.watch(inputs)
        y, mean, variance = ops.fused_conv2d_batch_norm(
            x,
            FILTER,
            zeros,
            zeros,
            gamma=GAMMA,
            beta=BETA,
            training=True,
            synchronized=synchronized,
            activation="leaky_relu",
            pool_size=2,
        )
    return y, mean, variance, *tape.gradient(y, inputs, dy)


def trained_weights(adam, strategy):
    """Returns a model's weights after three steps."""
    with strategy.scope():
        keras.utils.set_random_seed(6)
        model = keras.Sequential([keras.Input((7,)), keras.layers.Dense(3)])
        model.compile(adam(0.1), "mse", jit_compile=False)
    for seed in range(3):
        x, y = (values((4, size), tf.float32, seed).numpy() for size in (7, 3))
        model.train_on_batch(x, y)
    return model.get_weights()


def compare_optimizers(strategy):
    """Compares Adam's updates, for which replicas add up their gradients."""
    fused, stock = (
        trained_weights(adam, strategy) for adam in (optimizers.Adam, keras.optimizers.Adam)
    )
    for one, other in zip(fused, stock, strict=True):
        np.testing.assert_array_equal(one, other)


def compare_blocks(strategy):
    """Compares the block on two replicas with that on one."""

    @tf.function
    def on_two():
        def replica():
            # 2 images on the first replica, 3 on the second.
            first = tf.distribute.get_replica_context().replica_id_in_sync_group == 0
            part = tf.cond(
                tf.equal(first, True), lambda: tf.range(0, 2), lambda: tf.range(2, BATCH)
            )
            return block(tf.gather(X, part), tf.gather(DY, part), synchronized=True)

        return strategy.run(replica)

    two = [strategy.experimental_local_results(value) for value in on_two()]
    one = block(X, DY, synchronized=False)
    bound = chain_bound(tf.float32, BATCH * 6 * 5)
    for what, index in (("y", 0), ("dx", 3)):
        assert_close_in_norm(tf.concat(two[index], axis=0), one[index], bound, what)
    for what, index in (("mean", 1), ("variance", 2)):
        for replica in two[index]:
            assert_close_in_norm(replica, one[index], bound, what)
    for what, index in (("dfilter", 4), ("dgamma", 5), ("dbeta", 6)):
        assert_close_in_norm(sum(two[index]), one[index], bound, what)


def main():
    """Makes all comparisons."""
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    compare_blocks(strategy)
    compare_optimizers(strategy)
    print("equal")


if __name__ == "__main__":
    main()
