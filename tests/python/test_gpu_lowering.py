"""What XLA makes of the ops for a GPU, which it does without one."""

import json
import os
import subprocess
import sys

import pytest
from helpers import REPOSITORY

from fastconv import native

# Prints, for each custom call of a block and its gradients: the target, the op that it names, and
# the types and sizes of its results.
PROGRAM = """
import functools, json, re
import tensorflow as tf
from fastconv import ops

def gradients(function):
    @tf.function(jit_compile=True)
    def run(x, *weights):
        with tf.GradientTape() as tape:
            tape.watch([x, *weights])
            y = function(x, *weights)
        return tape.gradient(y, [x, *weights])

    return run

def batch_norm(x, filter, mean, variance):
    return ops.fused_conv2d_batch_norm(x, filter, mean, variance, training=True)[0]

seed = tf.constant((1, 2))
pooled = {"padding": "same", "activation": "relu", "pool_size": 2}
calls = []
for block, weights in [
    (functools.partial(ops.fused_conv2d, **pooled), [(3, 3, 32, 32), (32,)]),
    (functools.partial(ops.fused_conv2d, **pooled, dropout=0.5, seed=seed), [(3, 3, 32, 32)]),
    (batch_norm, [(3, 3, 32, 32), (32,), (32,)]),
    (functools.partial(ops.fused_epilogue, activation="leaky_relu"), [(32,)]),
    (ops.max_pool2d, []),
    (functools.partial(ops.dropout, rate=0.5, seed=seed), []),
]:
    inputs = [tf.zeros(shape) for shape in [(2, 16, 16, 32), *weights]]
    ir = gradients(block).experimental_get_compiler_ir(*inputs)
    for line in ir(stage="hlo", platform_name="GPU").splitlines():
        call = re.search(r' = (.*) custom-call.*custom_call_target="(.*?)".*op = "(.*?)"', line)
        if call:
            results, target, op = call.groups()
            calls.append((target, op, re.findall(r"(\\w+)\\[(.*?)\\]", results)))
print(json.dumps(calls))
"""

# The others do without scratch memory, unless dropout, for one, comes between.
NEED_SCRATCH = {
    "fastconv_fused_conv2d_backprop_filter",
    "fastconv_conv2d_batch_statistics",
    "fastconv_fused_batch_norm_grad_reduce",
    "fastconv_fused_epilogue_grad",
}
RESULTS = {
    "fastconv_fused_conv2d": 2,
    "fastconv_fused_conv2d_backprop_filter": 2,
    "fastconv_fused_conv2d_backprop_input": 1,
    "fastconv_conv2d_batch_statistics": 3,
    "fastconv_fused_batch_norm": 2,
    "fastconv_fused_batch_norm_grad_apply": 1,
    "fastconv_fused_batch_norm_grad_reduce": 2,
    "fastconv_fused_epilogue": 2,
    "fastconv_fused_epilogue_grad": 2,
    "fastconv_max_pool": 2,
    "fastconv_max_pool_grad": 1,
    "fastconv_dropout": 1,
}


@pytest.fixture
def needs_cuda(needs_native):
    if not native.core().build_info()["cuda"]:
        pytest.skip("this fastconv was built without CUDA kernels (FASTCONV_CUDA)")


def test_calls_have_their_scratch_memory_among_the_results(needs_cuda):
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=REPOSITORY,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "FASTCONV_GPU": "on"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    calls = json.loads(result.stdout)
    assert {target for target, _, _ in calls} == set(RESULTS)
    without = set()
    for target, op, results in calls:
        assert target.replace("_", "") == f"fastconv{op.lower()}"
        if len(results) == RESULTS[target]:
            without.add(target)
        else:
            assert len(results) == RESULTS[target] + 1
            dtype, size = results[-1]
            assert dtype == "u8"
            assert int(size) > 0
    assert without == set(RESULTS) - NEED_SCRATCH
