"""XLA programs of several steps, behind the interfaces of Keras's train and predict functions."""

import functools
import itertools
import re

import tensorflow as tf
from keras import tree

from fastconv.errors import InputError
from fastconv.steps import batches

_CONVOLUTION = re.compile(r"(Depthwise)?Conv\d")


def _function(function=None, **options):
    """Makes a `tf.function` as Keras makes those around steps."""
    if function is None:
        return functools.partial(_function, **options)
    function = tf.autograph.experimental.do_not_convert(function)
    return tf.function(function, reduce_retracing=True, **options)


def on_iterator(step, steps, keras_function):
    """Returns a train or test function: takes an iterator, returns the last step's logs.

    Args:
        step: function that runs a step on a batch and returns logs.
        steps: int, the most steps to run in a call.
        keras_function: Keras's function, for iterators other than those of tf.data.
    """

    @_function
    def execute(iterator, first, limit):
        """Runs up to `limit` steps on batches of equal shapes; see `batches.stack`."""
        one_step, symbols, unrolled = _trace(step, iterator.element_spec)
        zeros = tf.nest.map_structure(_zeros, symbols)

        def loop(function, count):
            return tf.while_loop(
                lambda index, _: index < count,
                lambda index, _: (index + 1, function(index)),
                (0, zeros),
            )[1]

        @_function(jit_compile=True)
        def program(stacked, count):
            def run_step(index):
                return one_step(batches.member(stacked, index))

            return [run_step(i) for i in range(count)][-1] if unrolled else loop(run_step, count)

        stacked, count, following, any_left = batches.stack(iterator, first, steps, limit)

        def run_few():
            if not unrolled:
                return program(stacked, count)
            return loop(lambda i: program(batches.member(stacked, (i, tf.newaxis)), 1), count)

        # Most groups are full. Told so, XLA counts iterations without asking the device.
        logs = tf.cond(tf.equal(count, steps), lambda: program(stacked, steps), run_few)
        return logs, count, following, any_left

    def function(iterator):
        if not isinstance(iterator, tf.data.Iterator):
            return keras_function(iterator)
        batch, any_left = batches.fetch(iterator)
        if not any_left:
            raise StopIteration
        left = steps
        while any_left:
            logs, count, batch, any_left = execute(iterator, batch, tf.constant(left))
            left -= int(count)
        return logs

    return function


def on_list(step, steps, keras_function):
    """Returns a predict function: takes a list of batches, returns their concatenated results.

    Args:
        step: function that predicts a batch.
        steps: int, the number of batches to fuse.
        keras_function: Keras's function, for other numbers of batches and unequal batches.
    """

    @_function(jit_compile=True)
    def program(group):
        specs = tree.map_structure(
            lambda leaf: None if leaf is None else tf.type_spec_from_value(leaf), group[0]
        )
        one_step, symbols, unrolled = _trace(step, specs)
        if unrolled:
            outputs = [one_step(batch) for batch in group]
            return tf.nest.map_structure(lambda *parts: tf.concat(parts, axis=0), *outputs)
        stacked = tree.map_structure(
            lambda *leaves: None if leaves[0] is None else tf.stack(leaves), *group
        )
        outputs = tf.map_fn(
            lambda index: one_step(batches.member(stacked, index)),
            tf.range(steps),
            fn_output_signature=tf.nest.map_structure(tf.type_spec_from_value, symbols),
        )
        return tf.nest.map_structure(
            lambda output: tf.reshape(output, tf.concat([[-1], tf.shape(output)[2:]], axis=0)),
            outputs,
        )

    def function(group):
        shapes = [[leaf.shape for leaf in batches.tensors(batch)] for batch in group]
        if len(group) < steps or any(shape != shapes[0] for shape in shapes):
            return keras_function(group)
        return program(batches.without_optionals(group))

    return function


def _trace(step, element_spec):
    """Traces a step; the model builds what it has not built yet.

    Returns:
        Tuple of the step as a `tf.function`, symbols of its results, and whether loops of it must
        be written out.

    Raises:
        InputError: the batches are not dense tensors.
    """
    specs = batches.without_optionals(element_spec)
    batches.check_dense(batches.tensors(specs))
    one_step = _function(step)
    traced = one_step.get_concrete_function(specs)
    return one_step, traced.structured_outputs, _slow_in_loops(traced.graph)


def _slow_in_loops(graph):
    """Tells whether XLA computes a step much more slowly within a loop.

    Its CPU compiler brings convolutions into a form for which it has fast code, but not those in
    the body of a loop.
    """
    if any(tf.DeviceSpec.from_string(v.device).device_type != "CPU" for v in graph.variables):
        return False
    definition = graph.as_graph_def()
    nodes = itertools.chain(
        definition.node, *(function.node_def for function in definition.library.function)
    )
    return any(_CONVOLUTION.match(node.op) for node in nodes)


def _zeros(symbol):
    if not symbol.shape.is_fully_defined():
        raise InputError(
            "Logs must have shapes that do not depend on the batch for their steps to be fused. "
            f"Call `model.compile` with `steps_per_execution=1`. Received: {symbol}"
        )
    return tf.zeros(symbol.shape, symbol.dtype)
