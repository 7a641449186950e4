"""Loading of the native libraries, what is refused, and life in one process with TensorFlow."""

import ast
import os
import pathlib
import re
import shutil
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import kernels

import fastconv
from fastconv import native

OPS = [
    "FusedConv2D",
    "FusedConv2DBackpropInput",
    "FusedConv2DBackpropFilter",
    "Conv2DBatchStatistics",
    "FusedBatchNorm",
    "FusedBatchNormGradReduce",
    "FusedBatchNormGradApply",
    "FusedEpilogue",
    "FusedEpilogueGrad",
    "MaxPool",
    "MaxPoolGrad",
    "Dropout",
    "FusedDense",
    "FusedDenseBackpropInput",
    "FusedDenseBackpropKernel",
    "UpdateWeight",
]
# The dropout inputs of raw ops.
NO_DROPOUT = tf.zeros([0], tf.float64), tf.zeros([0], tf.int32)
LIBRARY_IS_LOADED = "'libfastconv_ops' in open('/proc/self/maps').read()"


def run_python(code, path=None, **environment):
    """Runs `code` in a new process, outside the source folder; `path` goes first on its path."""
    code = textwrap.dedent(code)
    if path is not None:
        code = f"import sys; sys.path.insert(0, {str(path)!r})\n{code}"
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=pathlib.Path(sys.executable).parent,
        env={**os.environ, "PYTHONPATH": "", "TF_CPP_MIN_LOG_LEVEL": "2", **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def import_errors(*changes, **arguments):
    """Imports fastconv after each of the changes, which are code, in one new process.

    Checks that no ops were loaded.

    Returns:
        List of the type and message of each error.
    """
    attempts = "".join(
        f"{change}\n"
        "try:\n"
        "    import fastconv\n"
        "except Exception as error:\n"
        "    print(type(error).__name__, error, sep='|')\n"
        for change in changes
    )
    result = run_python(f"{attempts}print({LIBRARY_IS_LOADED})", **arguments)
    assert result.returncode == 0, result.stderr
    *errors, is_loaded = result.stdout.splitlines()
    assert len(errors) == len(changes), result.stdout
    assert is_loaded == "False"
    return [error.split("|") for error in errors]


@pytest.fixture
def checkout(tmp_path):
    """A source folder: fastconv's Python files without native libraries."""
    package = pathlib.Path(fastconv.__file__).parent
    shutil.copytree(
        package, tmp_path / "fastconv", ignore=shutil.ignore_patterns("*.so", "__pycache__")
    )
    return tmp_path


def stub_functions():
    stub = ast.parse((native.library_directory() / "_core.pyi").read_text())
    return {node.name: node for node in stub.body if isinstance(node, ast.FunctionDef)}


class TestCore:
    def test_stub_names_every_function(self):
        functions = {name for name in dir(native.core()) if not name.startswith("_")}
        assert functions == set(stub_functions())

    @pytest.mark.parametrize("name", sorted(stub_functions()))
    def test_stub_has_the_parameters_and_defaults(self, name):
        signature = getattr(native.core(), name).__doc__.splitlines()[0]
        parsed = ast.parse(f"def {re.sub(r'<[^>]*>', 'None', signature)}: ...").body[0].args
        expected = stub_functions()[name].args
        for kind in ("args", "kwonlyargs"):
            names = [argument.arg for argument in getattr(parsed, kind)]
            assert names == [argument.arg for argument in getattr(expected, kind)]
        for kind in ("defaults", "kw_defaults"):
            for value, stubbed in zip(getattr(parsed, kind), getattr(expected, kind), strict=True):
                value, stubbed = ast.literal_eval(value), ast.literal_eval(stubbed)
                assert tuple(value) == stubbed if isinstance(value, list) else value == stubbed

    def test_build_info(self):
        build = native.core().build_info()
        stub = ast.parse((native.library_directory() / "_core.pyi").read_text())
        fields = next(node for node in stub.body if isinstance(node, ast.ClassDef)).body
        assert list(build) == [field.target.id for field in fields]
        assert build["version"] == fastconv.__version__
        assert build["tensorflow_version"].split(".")[:2] == tf.__version__.split(".")[:2]
        assert build["isas"][0] == "baseline"

    def test_needs_no_tensorflow(self):
        path = native.core().__file__
        result = run_python(
            f"""
            import importlib.util, sys
            spec = importlib.util.spec_from_file_location("_core", {path!r})
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            print(module.active_isa(), "tensorflow" in open("/proc/self/maps").read())
            """
        )
        assert result.stdout.split() == [native.core().active_isa(), "False"], result.stderr

    @pytest.mark.parametrize("padding", ["valid", "same"])
    @pytest.mark.parametrize(
        ("window", "stride", "dilation"), [(1, 1, 1), (3, 1, 1), (3, 2, 1), (3, 1, 2), (5, 3, 1)]
    )
    def test_output_size_is_tensorflows(self, window, stride, dilation, padding):
        for size in range(9, 14):
            expected = tf.nn.conv2d(
                tf.zeros([1, size, 1, 1]),
                tf.zeros([window, 1, 1, 1]),
                strides=stride,
                padding=padding.upper(),
                dilations=dilation,
            ).shape[1]
            assert native.core().output_size(size, window, stride, dilation, padding) == expected

    @pytest.mark.parametrize(
        "arguments", [(2, 3), (5, 0), (5, 3, 0), (5, 3, 1, 0), (5, 3, 1, 1, "full")]
    )
    def test_output_size_refuses(self, arguments):
        with pytest.raises(ValueError, match="Received: "):
            native.core().output_size(*arguments)

    def test_explain_conv2d(self):
        entries = native.core().explain_conv2d((8, 9, 9, 3), (3, 3, 3, 4), activation="relu")
        passes = ["forward", "backward_input", "backward_filter"]
        assert list(dict.fromkeys(entry[0] for entry in entries)) == passes
        for name in passes:
            chosen = [entry for entry in entries if entry[0] == name and not entry[2]]
            assert chosen, f"nothing runs {name}"

    @pytest.mark.parametrize(
        ("filter_shape", "chosen"),
        [
            ((3, 3, 32, 64), "conv3x3:tensor_cores"),
            ((3, 3, 3, 64), "image_conv3x3:tensor_cores"),
            ((5, 5, 32, 64), "stock"),
            ((3, 3, 64, 64), "conv3x3:tensor_cores"),
            ((3, 3, 64, 128), "stock"),
            ((3, 3, 128, 64), "stock"),
        ],
    )
    def test_explain_conv2d_on_gpu(self, filter_shape, chosen):
        x_shape = (8, 9, 9, filter_shape[2])
        entries = native.core().explain_conv2d(x_shape, filter_shape, device="gpu")
        for name in ("forward", "backward_input", "backward_filter"):
            of_pass = [entry for entry in entries if entry[0] == name]
            assert next(entry[1] for entry in of_pass if not entry[2]) == chosen

    def test_explain_conv2d_tells_why_not_by_warpgroups(self):
        def refusal(outputs, **arguments):
            shape = (3, 3, 32, outputs)
            entries = native.core().explain_conv2d((8, 9, 9, 32), shape, device="gpu", **arguments)
            assert entries[0][:2] == ("forward", "conv3x3:warpgroup")
            return entries[0][2]

        assert refusal(48) == "only for 32 or 64 channels"
        assert refusal(32, tf32=False) == "float32 only where TF32 is allowed"

    @pytest.mark.parametrize(
        "arguments",
        [
            {"x_shape": (8, 9, 9)},
            {"device": "tpu"},
            {"filter_shape": (3, 3, 2, 4)},
            {"dtype": "int32"},
            {"strides": (0, 1)},
            {"activation": "tanh"},
            {"padding": "full"},
            {"pool_size": (2,), "pool_strides": (2, 2)},
            {"pool_size": (16, 16), "pool_strides": (1, 1), "pool_padding": "SAME"},
        ],
    )
    def test_explain_conv2d_refuses(self, arguments):
        valid = {"x_shape": (8, 9, 9, 3), "filter_shape": (3, 3, 3, 4)}
        with pytest.raises(ValueError, match="Received: "):
            native.core().explain_conv2d(**{**valid, **arguments})


class TestImport:
    def test_other_tensorflow(self):
        errors = import_errors(
            "import tensorflow as tf; version, tf.__version__ = tf.__version__, '2.20.1'",
            "tf.__version__ = version; tf.sysconfig.CXX11_ABI_FLAG = 0",
        )
        for kind, message in errors:
            assert kind == "ImportError"
            assert "built for another TensorFlow" in message
            assert "pip install" in message
        versions, flags = (message.partition("Received: ")[2] for _, message in errors)
        assert versions.startswith("TensorFlow 2.20.1 (C++11 ABI: True), built for 2.21.")
        assert flags.startswith(f"TensorFlow {tf.__version__} (C++11 ABI: False), built for 2.21.")

    def test_bad_variables(self):
        legal = {
            "FASTCONV_GPU": "on, off",
            "FASTCONV_MAX_ISA": "baseline, avx2, avx512",
            "FASTCONV_NATIVE": "on, off",
            "FASTCONV_VERBOSE": "dispatch",
        }
        unset = f"import os; [os.environ.pop(name, None) for name in {list(legal)}]"
        errors = import_errors(*(f"{unset}; os.environ[{name!r}] = 'sse9'" for name in legal))
        assert errors == [
            ["InputError", f"{name} must be one of: {choices}. Received: sse9"]
            for name, choices in legal.items()
        ]

    def test_native_off_loads_no_ops(self):
        result = run_python(f"import fastconv; print({LIBRARY_IS_LOADED})", FASTCONV_NATIVE="off")
        assert result.stdout.strip() == "False", result.stderr

    def test_source_folder_takes_the_installed_libraries(self, checkout):
        result = run_python(
            "import fastconv; print(fastconv.__file__, fastconv.info()['library'], sep='|')",
            path=checkout,
        )
        assert result.returncode == 0, result.stderr
        package, library = result.stdout.strip().split("|")
        assert pathlib.Path(package).parent == checkout / "fastconv"
        assert library == str(native.library_directory())

    def test_source_folder_of_another_version(self, checkout):
        (checkout / "fastconv" / "version.py").write_text('__version__ = "0.0.1"\n')
        ((kind, message),) = import_errors("", path=checkout)
        assert kind == "ImportError"
        assert "another version" in message
        assert "pip install ." in message
        assert message.endswith(f"{fastconv.__version__} installed, 0.0.1 imported")

    def test_source_folder_without_libraries_to_take(self, checkout):
        hide = (
            "import importlib.metadata as metadata, pathlib\n"
            "found = metadata.distribution\n"
            "def missing(name): raise metadata.PackageNotFoundError(name)\n"
            "metadata.distribution = missing"
        )
        redirect = (
            "metadata.distribution = found\n"
            f"metadata.Distribution.locate_file = lambda *_: pathlib.Path({str(checkout)!r}, 'x')\n"
            "metadata.PathDistribution.locate_file = metadata.Distribution.locate_file"
        )
        errors = import_errors(hide, redirect, path=checkout)
        for (kind, message), words in zip(
            errors, ("fastconv is not installed", f"nor in the installed {checkout}"), strict=True
        ):
            assert kind == "ImportError"
            assert "no native libraries" in message
            assert words in message
            assert "pip install ." in message


@pytest.mark.usefixtures("needs_native")
class TestOps:
    @pytest.mark.parametrize("name", OPS)
    def test_runs_everywhere(self, name):
        registered = kernels.get_registered_kernels_for_op(f"Fastconv>{name}").kernel
        assert {"CPU", "XLA_CPU_JIT"} <= {kernel.device_type for kernel in registered}

    def test_no_other_ops(self):
        registered = {kernel.op for kernel in kernels.get_all_registered_kernels().kernel}
        ours = {name for name in registered if name.startswith("Fastconv>")}
        assert ours == {f"Fastconv>{name}" for name in OPS}

    @pytest.mark.parametrize("jit_compile", [False, True])
    def test_error_while_running(self, jit_compile):
        # Shapes that only the running op sees.
        unknown = tf.TensorSpec(None, tf.float32)

        @tf.function(input_signature=[unknown, unknown, unknown], jit_compile=jit_compile)
        def convolve(x, kernel, bias):
            return native.ops().fastconv_fused_conv2d(x, kernel, bias, *NO_DROPOUT)

        kernel, bias = tf.zeros([3, 3, 2, 4]), tf.zeros([0])
        assert convolve(tf.zeros([1, 5, 5, 2]), kernel, bias)[0].shape == (1, 3, 3, 4)
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"multiple.*Received: x of shape"):
            convolve(tf.zeros([1, 5, 5, 3]), kernel, bias)

    def test_unknown_sizes_stay_unknown(self):
        @tf.function(input_signature=[tf.TensorSpec([None, None, 9, 3], tf.float32)])
        def convolve(x):
            y, code = native.ops().fastconv_fused_conv2d(
                x,
                tf.zeros([3, 3, 3, 4]),
                tf.zeros([4]),
                *NO_DROPOUT,
                pool_size=[2, 2],
                pool_strides=[2, 2],
            )
            assert y.shape.as_list() == code.shape.as_list() == [None, None, 3, 4]
            return y

        assert convolve(tf.zeros([2, 8, 9, 3])).shape == (2, 3, 3, 4)

    def test_type_attribute_must_fit(self):
        x, kernel = tf.zeros([1, 5, 5, 2], tf.float64), tf.zeros([3, 3, 2, 4], tf.float64)
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"double.*Received: .*float"):
            native.ops().fastconv_conv2d_batch_statistics(
                x, kernel, tf.zeros([0], tf.float64), U=tf.float32
            )

    def test_xla_gives_row_major_memory(self):
        # XLA may compute a transposition by choosing another layout of the same memory.
        x = np.random.default_rng(0).standard_normal((2, 6, 5, 3)).astype("float32")
        kernel = np.random.default_rng(1).standard_normal((3, 3, 3, 4)).astype("float32")

        def convolve(x, kernel):
            x = tf.transpose(x, [0, 2, 1, 3])
            kernel = tf.transpose(kernel, [1, 0, 2, 3])
            y, _ = native.ops().fastconv_fused_conv2d(x, kernel, tf.zeros([0]), *NO_DROPOUT)
            return tf.transpose(y, [3, 0, 2, 1])

        compiled = tf.function(convolve, jit_compile=True)(x, kernel)
        np.testing.assert_array_equal(compiled, convolve(x, kernel))

    @pytest.mark.parametrize("threads", [1, 5])
    def test_concurrent_calls_share_the_threads(self, threads):
        """A pool whose workers are all busy, or absent, deadlocks no call."""
        result = run_python(
            f"""
            import concurrent.futures
            import numpy as np
            import tensorflow as tf
            tf.config.threading.set_intra_op_parallelism_threads({threads})
            tf.config.threading.set_inter_op_parallelism_threads(4)
            from fastconv import ops

            def convolve(x, kernel):
                return tf.stack([ops.fused_conv2d(x + i, kernel) for i in range(8)])

            x = tf.random.stateless_normal([4, 16, 16, 8], [1, 2])
            kernel = tf.random.stateless_normal([3, 3, 8, 16], [3, 4])
            expected = convolve(x, kernel).numpy()
            for function in (convolve, tf.function(convolve),
                             tf.function(convolve, jit_compile=True)):
                with concurrent.futures.ThreadPoolExecutor(8) as callers:
                    for y in callers.map(lambda _: function(x, kernel).numpy(), range(64)):
                        np.testing.assert_array_equal(y, expected)
            print("done")
            """
        )
        assert result.stdout.strip() == "done", result.stderr
