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
def fetch(iterator):
    """Returns an iterator's next batch as an `Optional`, and whether it has one."""
    batch = iterator.get_next_as_optional()
    return batch, batch.has_value()


@_on_host
def stack(iterator, first, size, limit):
    """Stacks batches from an iterator as long as they have the first one's shapes.

    Args:
        iterator: of tf.data.
        first: `tf.experimental.Optional`, a batch that was fetched before.
        size: int, the size of the stack; what lies beyond the last batch is zero.
        limit: scalar tensor, the most batches to take.

    Returns:
        Tuple of a structure of tensors `(size, *shape)`, the number of batches in them, an
        `Optional`, and whether that is a batch fetched in vain, as it has other shapes.
    """
    structure = without_optionals(iterator.element_spec)
    specs = tensors(structure)
    shapes = [tf.shape(tensor) for tensor in tensors(first.get_value())]

    def fits(batch):
        pairs = zip(shapes, tensors(batch.get_value()), strict=True)
        return tf.reduce_all([tf.reduce_all(shape == tf.shape(new)) for shape, new in pairs])

    @_on_host
    def fetch_more():
        batch, any_left = fetch(iterator)
        return batch, any_left, tf.cond(any_left, _on_host(lambda: fits(batch)), lambda: False)

    @_on_host
    def take(count, batch, fetched, fitting, arrays):
        values = tensors(batch.get_value())
        arrays = [array.write(count, value) for array, value in zip(arrays, values, strict=True)]
        count += 1
        batch, fetched, fitting = tf.cond(count < limit, fetch_more, lambda: (batch, False, False))
        return count, batch, fetched, fitting, arrays

    arrays = [tf.TensorArray(spec.dtype, size, element_shape=spec.shape) for spec in specs]
    count, batch, fetched, _, arrays = tf.while_loop(
        lambda count, batch, fetched, fitting, arrays: fitting,
        take,
        (0, first, True, True, arrays),
    )
    stacked = [array.stack() for array in arrays]
    for tensor, spec in zip(stacked, specs, strict=True):
        tensor.set_shape([size, *spec.shape])
    stacked = iter(stacked)
    stacked = tree.map_structure(lambda spec: spec if spec is None else next(stacked), structure)
    return stacked, count, batch, fetched
