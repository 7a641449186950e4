"""Every bound that the Python tests use, with where it comes from.

The reference is the same computation in float64 (or with a float64 result: exact but for its own
roundings, which count as much as those of what is tested).
"""

import numpy as np
import tensorflow as tf

# A bound must stay below this fraction of the largest expected value, or it would hide errors as
# large as the data.
LARGEST_BOUND_FRACTION = 1 / 16

# Roundings of one operand in a chain of elementwise operations: difference, square root,
# reciprocal, products and sums of batch normalisation, its reciprocal square root within 2 units.
ELEMENTWISE_ROUNDINGS = 12

# Reference and kernel may sum statistics in blocks: a constant number of roundings, however many
# samples there are.
STATISTICS_ROUNDINGS = 128

# Factor by which errors grow through a block of layers, relative to the result's norm: the
# normalisation's division by the deviation, and the difference of gradient and batch means.
CHAIN_GROWTH = 8

# Losses of equal computations drift apart: relu and max pooling turn a rounding into another choice
# now and then, RMSprop divides by the gradient's size. Measured on the documented systems, between
# two stock builds as well, a difference grows two to three times per step, so twenty steps may make
# 1e-7 (float32) 1e-2 and leave nothing to be seen in float64, where the optimizer's and the ops'
# float32 constants (epsilon) and the loss, which is float32, decide. Winograd's algorithms round up
# to 3e-6 (docs/numerics.md): 14 stock builds of cifar10 whose first weights were changed by 3e-6
# drifted from the unchanged one by up to 0.028 in twenty steps.
LOSS_CURVE = {"float32": 0.04, "float64": 1e-6}


def roundoff(dtype):
    """Returns the unit roundoff of a type: half the distance from 1 to the next number."""
    return {tf.float64: 2.0**-53, tf.float32: 2.0**-24, tf.float16: 2.0**-11, tf.bfloat16: 2.0**-8}[
        tf.as_dtype(dtype)
    ]


def accumulation_roundoff(dtype):
    """Returns the roundoff of the sums of a type, that of the reference's included."""
    return 2 * roundoff(tf.float64) if dtype == tf.float64 else roundoff(tf.float32)


def sum_bound(dtype, terms, largest_product):
    """Bounds the error of a sum of `terms` products, in any order.

    Each product passes at most terms + 1 roundings. Taken as independent with mean 0, they multiply
    to an error of at most 8 sqrt(terms + 1) u but for a probability of 2.5e-14 (Higham and Mary,
    SIAM J. Sci. Comput. 41(5), 2019, theorem 2.4); (terms + 1) u is certain.
    """
    roundings = min(8 * np.sqrt(terms + 1), terms + 1)
    return roundings * accumulation_roundoff(dtype) * terms * largest_product


# Winograd's errors depend on whole tiles: in the relative L2 norm fastconv promises this bound for
# float32; within a tile they differ by less than the second factor. As in tests/cpp/tolerances.h.
WINOGRAD_NORM = 3e-6
WINOGRAD_PEAK = 16


def winograd_bound(expected):
    """Bounds the error of each of Winograd's results by their root mean square."""
    expected = _as_float64(expected)
    return WINOGRAD_PEAK * WINOGRAD_NORM * float(np.sqrt(np.mean(np.square(expected))))


def chain_bound(dtype, terms):
    """Bounds the relative L2 error of a block whose longest sum has `terms` terms.

    Intermediate tensors are rounded to `dtype`; sums are as in `sum_bound`, and errors relative to
    the norm of their result.
    """
    return CHAIN_GROWTH * (
        2 * roundoff(dtype) + 8 * np.sqrt(terms + 1) * accumulation_roundoff(dtype)
    )


def stock_layers_bound(dtype):
    """Bounds the relative L2 difference that the roundings of stock layers to `dtype` make.

    Inference folds batch normalisation into the filter and rounds it, and the result, once; stock
    layers round the convolution, the bias, the normalisation and their parameters.
    """
    return 4 * roundoff(dtype)


def dropout_bound(dtype, terms):
    """Bounds the relative L2 error of a block with dropout whose longest sum has `terms` terms.

    The block's result, 1 / (1 - rate), their product and the reference's mask are rounded to
    `dtype`; sums are as in `chain_bound`.
    """
    return 4 * roundoff(dtype) + CHAIN_GROWTH * 8 * np.sqrt(terms + 1) * accumulation_roundoff(
        dtype
    )


def optimizer_bound(dtype, steps):
    """Bounds the error of weights and slots after updates with given gradients, by their largest.

    Each step adds the roundings of an element-wise chain, those of Keras's own included; slots
    average, so an error does not grow from step to step.
    """
    return 2 * steps * ELEMENTWISE_ROUNDINGS * roundoff(dtype)


def assert_statistics(mean, variance, dtype, z, z_bound):
    """Asserts that the statistics are those of `z`, each of whose values is off by little.

    A value is off by delta = `z_bound` + u |z|, u its type's roundoff: it may be rounded after the
    statistics were taken. So the mean is off by mean(delta), the variance by at most
    2 sqrt(variance * m) + m with m = mean(delta^2) (Cauchy-Schwarz); and both by the roundings of
    sums in blocks.
    """
    z = _as_float64(z)
    axes = (0, 1, 2)
    roundings = STATISTICS_ROUNDINGS * accumulation_roundoff(dtype)
    delta = z_bound + roundoff(dtype) * np.abs(z)
    expected = z.var(axes)
    square = np.square(delta).mean(axes)
    bounds = {
        "mean": delta.mean(axes) + roundings * np.sqrt(expected),
        "variance": 2 * np.sqrt(expected * square) + square + roundings * expected,
    }
    assert (bounds["mean"] < LARGEST_BOUND_FRACTION * np.abs(z).max(axes)).all()
    # A single sample has no variance: compared with its square.
    scale = expected.max() or np.square(z).max()
    assert (bounds["variance"] < LARGEST_BOUND_FRACTION * scale).all()
    for what, actual, exact in (("mean", mean, z.mean(axes)), ("variance", variance, expected)):
        error = np.abs(_as_float64(actual) - exact)
        assert (error <= bounds[what]).all(), f"{what}: error {error}, bound {bounds[what]}"


def _as_float64(value):
    return tf.cast(tf.convert_to_tensor(value), tf.float64).numpy()


def assert_close(actual, expected, bound, what):
    """Asserts |actual - expected| <= bound, plus the rounding of `actual` to its type.

    NaN and infinity must be where they are expected.
    """
    stored = roundoff(actual.dtype) if actual.dtype != tf.float64 else 0.0
    actual, expected = _as_float64(actual), _as_float64(expected)
    assert actual.shape == expected.shape, what
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(actual[~finite], expected[~finite], err_msg=what)
    actual, expected = actual[finite], expected[finite]
    if not expected.size:
        return
    largest = np.abs(expected).max()
    assert bound + stored * largest <= LARGEST_BOUND_FRACTION * largest, f"{what}: bound too wide"
    error = np.abs(actual - expected) - stored * (np.abs(expected) + bound)
    assert (error <= bound).all(), f"{what}: error {error.max():.3g}, bound {bound:.3g}"


def assert_close_in_norm(actual, expected, bound, what):
    """Asserts that the L2 norm of the difference is at most `bound` times that of `expected`."""
    actual, expected = _as_float64(actual), _as_float64(expected)
    assert actual.shape == expected.shape, what
    assert bound < LARGEST_BOUND_FRACTION, f"{what}: bound too wide"
    norm = np.linalg.norm(expected)
    assert not expected.size or norm > 0, f"{what}: nothing to compare"
    error = np.linalg.norm(actual - expected)
    assert error <= bound * norm, f"{what}: error {error:.3g}, bound {bound * norm:.3g}"


def largest(*tensors):
    """Returns the product of the tensors' largest magnitudes; that of an empty one counts as 0."""
    return float(np.prod([np.abs(_as_float64(t)).max(initial=0.0) for t in tensors]))


# Central differences of step h in float64: truncation h^2 for the smooth parts of these functions
# (quadratic or smoother, of magnitude 10), rounding u * 10 / h; with h = 1e-5 at most 1e-9 each,
# times the hundred terms of a sum.
NUMERIC_STEP = 1e-5
NUMERIC_GRADIENT = 1e-6
