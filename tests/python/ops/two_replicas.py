"""Run by test_replicas.py: a block on two replicas, of different batch sizes, and on one."""

import tensorflow as tf
from helpers import values
from tolerances import assert_close_in_norm, chain_bound

from fastconv import ops

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


def main():
    """Compares the two."""
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])

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
    print("equal")


if __name__ == "__main__":
    main()
