"""Stacks of batches: structures whose leaves are tensors, or None."""

import functools

import tensorflow as tf
from keras import tree

from fastconv.errors import InputError


def without_optionals(structure):
    """Puts None where Keras's data adapters have a `tf.experimental.Optional`, or its spec."""
    optional = (tf.experimental.Optional, tf.OptionalSpec)
    return tree.map_structure(lambda leaf: None if isinstance(leaf, optional) else leaf, structure)


def tensors(batch):
    """Returns the leaves of a batch that are not None, in a list."""
    return [leaf for leaf in tree.flatten(without_optionals(batch)) if leaf is not None]


def member(stacked, index):
    """Returns a batch of a structure of stacked tensors."""
    return tree.map_structure(lambda leaf: None if leaf is None else leaf[index], stacked)


def check_dense(specs):
    """Refuses batches that cannot be stacked.

    Args:
        specs: list of `tf.TypeSpec`.

    Raises:
        InputError: one of them describes no dense tensor.
    """
    for spec in specs:
        if not isinstance(spec, tf.TensorSpec):
            raise InputError(
                "Batches must hold dense tensors for their steps to be fused. Call "
                f"`model.compile` with `steps_per_execution=1`. Received: {spec}"
            )


def _on_host(function):
    """Keeps a function's operations where iterators are.

    Each of them could move the batches to a GPU. So only their stack is moved, once.
    """

    @functools.wraps(function)
    def placed(*args):
        with tf.device("CPU:0"):
            return function(*args)

    return placed


@_on_host
def stack(iterator, pending, size, limit):
    """Stacks batches from an iterator as long as they have the first one's shapes.

    Args:
        iterator: of tf.data.
        pending: `tf.experimental.Optional`, the first batch.
        size: int, the size of the stack; what lies beyond the last batch is zero.
        limit: scalar tensor, the most batches to take.

    Returns:
        Tuple of a structure of tensors `(size, *shape)`, the number of batches in them, and the
        `Optional` that the iterator gave next: a batch of other shapes, or none. It has no meaning
        where the number is the limit.
    """
    structure = without_optionals(iterator.element_spec)
    specs = tensors(structure)
    first = tensors(pending.get_value())

    @_on_host
    def fetch():
        pending = iterator.get_next_as_optional()
        more = tf.cond(
            pending.has_value(),
            _on_host(lambda: _same_shapes(first, tensors(pending.get_value()))),
            lambda: False,
        )
        return pending, more

    @_on_host
    def take(count, pending, _, arrays):
        values = tensors(pending.get_value())
        arrays = [array.write(count, value) for array, value in zip(arrays, values, strict=True)]
        count += 1
        pending, more = tf.cond(count < limit, fetch, lambda: (pending, False))
        return count, pending, more, arrays

    arrays = [tf.TensorArray(spec.dtype, size, element_shape=spec.shape) for spec in specs]
    count, pending, _, arrays = tf.while_loop(
        lambda count, pending, more, arrays: more, take, (0, pending, True, arrays)
    )
    stacked = [array.stack() for array in arrays]
    for tensor, spec in zip(stacked, specs, strict=True):
        tensor.set_shape([size, *spec.shape])
    stacked = iter(stacked)
    return (
        tree.map_structure(lambda s: s if s is None else next(stacked), structure),
        count,
        pending,
    )


def _same_shapes(first, second):
    pairs = zip(first, second, strict=True)
    return tf.reduce_all([tf.reduce_all(tf.shape(a) == tf.shape(b)) for a, b in pairs])
