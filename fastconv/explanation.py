"""Which implementation each convolution of a model takes, and why no other one."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import tensorflow as tf

from fastconv import config, native, placement
from fastconv.errors import InputError
from fastconv.layers import FusedConv2D
from fastconv.tables import dimensions, table

_OPS = ("Fastconv>FusedConv2D", "Fastconv>Conv2DBatchStatistics")
_STOCK_OP = "Conv2D"
_STRING_ATTRIBUTES = ("padding", "activation", "dropout", "pool_padding")
_LIST_ATTRIBUTES = (
    "strides",
    "dilations",
    "explicit_paddings",
    "pool_size",
    "pool_strides",
)


@dataclass(frozen=True)
class PassExplanation:
    """The choice for one pass of one convolution.

    Attributes:
        name: string, `"forward"`, `"backward_input"` or `"backward_filter"`.
        implementation: string, the one that runs, such as `"winograd:avx512"`.
        refusals: dict from the names of those before it in the list to the reasons why they do not
            take the problem.
    """

    name: str
    implementation: str
    refusals: dict[str, str]


@dataclass(frozen=True)
class ConvolutionExplanation:
    """The choices for one convolution.

    Attributes:
        layer: string, the name of its layer or, where a function was called without one, of its op.
        input_shape: tuple `(batch, height, width, channels)`.
        filter_shape: tuple `(rows, columns, channels / groups, filters)`.
        dtype: string, the type of the tensors.
        passes: tuple of `PassExplanation`: three, or the forward pass alone for inference.
    """

    layer: str
    input_shape: tuple[int, int, int, int]
    filter_shape: tuple[int, int, int, int]
    dtype: str
    passes: tuple[PassExplanation, ...]


@dataclass(frozen=True)
class Explanation:
    """The choices for all convolutions of a model; `str` makes a table of it.

    Attributes:
        convolutions: tuple of `ConvolutionExplanation`, in the order in which they run.
    """

    convolutions: tuple[ConvolutionExplanation, ...]

    def __str__(self):
        rows, refusals = [], {}
        for each in self.convolutions:
            shapes = dimensions(each.input_shape), dimensions(each.filter_shape)
            first = (each.layer, *shapes, each.dtype)
            for one in each.passes:
                rows.append((*first, one.name, one.implementation))
                first = ("",) * len(first)
                for implementation, reason in one.refusals.items():
                    key = f"{each.layer}: not {implementation}: {reason}"
                    refusals.setdefault(key, []).append(one.name)
        header = ("layer", "input", "filter", "type", "pass", "implementation")
        notes = "".join(f"\n{key} ({', '.join(passes)})" for key, passes in refusals.items())
        return table(header, rows, left=len(header)) + (f"\n{notes}" if notes else "")


def explain(model_or_layer, input_shape=None, batch_size=32, training=True):
    """Tells which implementation each pass of each fused convolution takes, and why no other one.

    The choice depends on shapes, types and the machine (docs/dispatch.md), so nothing is computed:
    the model is traced, and the dispatch list is asked about every convolution in the trace. On a
    GPU `"stock"` is TensorFlow's convolution.

    Args:
        model_or_layer: a Keras model or layer with one input, built, or to be built by this for
            `input_shape`.
        input_shape: tuple, the shape of its input with or without the batch size; None means the
            one it was built for. Defaults to `None`.
        batch_size: int, where the shape has none. Defaults to `32`, as of `model.fit`.
        training: bool, whether to explain a training step or inference, which folds batch
            normalisation into the filter. Defaults to `True`.

    Returns:
        An `Explanation`, to be printed or read.

    Raises:
        RuntimeError: native kernels are switched off, or not switched on for the GPU that would run
            the model, so none is chosen.
        InputError: the shape is missing or unfit.

    Example:

    >>> print(fastconv.explain(fastconv.models.build("cifar10"), batch_size=256))
    | layer           | input       | filter   | type    | pass            | implementation  |
    | ---...
    | fused_conv2d... | 256x32x32x3 | 3x3x3x32 | float32 | forward         | direct:...      |
    |                 |             |          |         | backward_input  | few_outputs:... |
    |                 |             |          |         | backward_filter | direct:...      |
    ...
    """
    if not config.native_enabled():
        raise RuntimeError(
            "There is nothing to explain where native kernels are switched off. "
            f"Received: {config.NATIVE}=off"
        )
    if not placement.has_kernel(tf.float32):
        raise RuntimeError(
            f"On a GPU TensorFlow computes unless {config.GPU}=on is set when a fastconv with CUDA "
            "kernels is imported, so there is nothing to explain. "
            f"Received: {config.GPU}={'on' if config.gpu_enabled() else 'off'}, "
            f"CUDA kernels: {native.core().build_info()['cuda']}"
        )
    shape = _input_shape(model_or_layer, input_shape, batch_size)
    if not model_or_layer.built:
        model_or_layer(keras.Input(batch_shape=shape))
    spec = tf.TensorSpec(shape, model_or_layer.compute_dtype)
    trace = tf.function(lambda x: model_or_layer(x, training=training)).get_concrete_function(spec)
    layers = _layers_by_kernel(model_or_layer, trace.graph)
    return Explanation(
        tuple(
            _explain_op(op, layers, training)
            for op in trace.graph.get_operations()
            if op.type in _OPS or (op.type == _STOCK_OP and _layer_of(op.inputs[1], layers))
        )
    )


def _input_shape(model_or_layer, input_shape, batch_size):
    if input_shape is None:
        is_model = isinstance(model_or_layer, keras.Model)
        try:
            input_shape = model_or_layer.input_shape if is_model else model_or_layer.input.shape
        except (AttributeError, ValueError) as error:
            raise InputError(
                "`input_shape` is needed for a layer, or a model, that has not been built from a "
                f"symbolic input. Received: {model_or_layer.name}, input_shape=None"
            ) from error
    shape = tuple(input_shape)
    if len(shape) == 3:
        shape = (None, *shape)
    if len(shape) == 4 and shape[0] is None:
        shape = (batch_size, *shape[1:])
    if len(shape) != 4 or not all(isinstance(size, int) and size >= 0 for size in shape):
        raise InputError(
            "`input_shape` must be (height, width, channels) or (batch, height, width, channels) "
            f"of known sizes. Received: input_shape={input_shape}, batch_size={batch_size}"
        )
    return shape


def _layers_by_kernel(model_or_layer, graph):
    """Returns the names of fused layers by the name of the graph's input that is their kernel."""
    by_handle = {
        id(layer.kernel.value.handle): layer.name
        for layer in model_or_layer._flatten_layers()
        if isinstance(layer, FusedConv2D)
    }
    return {
        internal.op.name: by_handle[id(external)]
        for external, internal in graph.captures
        if id(external) in by_handle
    }


def _explain_op(op, layers, training):
    x, weights = op.inputs[:2]
    entries = native.core().explain_conv2d(
        tuple(x.shape),
        tuple(weights.shape),
        dtype=x.dtype.name,
        device="gpu" if placement.on_gpu() else "cpu",
        tf32=tf.config.experimental.tensor_float_32_execution_enabled(),
        **(_stock_attributes(op) if op.type == _STOCK_OP else _attributes(op)),
    )
    passes = []
    for name in dict.fromkeys(entry[0] for entry in entries) if training else ("forward",):
        refusals = {}
        for implementation, refusal in (entry[1:] for entry in entries if entry[0] == name):
            if not refusal:
                passes.append(PassExplanation(name, implementation, refusals))
                break
            refusals[implementation] = refusal
    return ConvolutionExplanation(
        _layer_of(weights, layers) or op.name,
        tuple(x.shape),
        tuple(weights.shape),
        x.dtype.name,
        tuple(passes),
    )


def _attributes(op):
    attributes = {name: op.get_attr(name).decode() for name in _STRING_ATTRIBUTES if _has(op, name)}
    attributes |= {name: op.get_attr(name) for name in _LIST_ATTRIBUTES if _has(op, name)}
    if _has(op, "code_type"):
        attributes["code_type"] = op.get_attr("code_type").name
        attributes["negative_slope"] = op.get_attr("negative_slope")
    attributes["bias"] = op.inputs[2].shape.num_elements() != 0
    attributes["batch_statistics"] = op.type == "Fastconv>Conv2DBatchStatistics"
    return attributes


def _stock_attributes(op):
    """Returns those of TensorFlow's op, whose lists have entries for batch and channels, too."""
    return {
        "padding": op.get_attr("padding").decode(),
        "strides": op.get_attr("strides")[1:3],
        "dilations": op.get_attr("dilations")[1:3],
        "explicit_paddings": op.get_attr("explicit_paddings")[2:6],
    }


def _has(op, attribute):
    return attribute in op.node_def.attr


def _layer_of(tensor, layers):
    """Returns the name of the layer whose kernel the tensor is computed from, or None."""
    ahead, seen = [tensor.op], set()
    while ahead:
        op = ahead.pop()
        if op.name in layers:
            return layers[op.name]
        if op.name not in seen:
            seen.add(op.name)
            ahead.extend(source.op for source in op.inputs)
    return None
