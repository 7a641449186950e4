"""Tests of metrics, against confusion matrices worked out by hand."""

import numpy as np
import pytest

from fastconv.evaluation import ClassMetrics, measure


def test_metrics_of_four_classes():
    # One is never right, and of the last there are neither images nor predictions.
    measured = measure([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 1, 0], ["a", "b", "c", "d"])
    np.testing.assert_array_equal(
        measured.confusion, [[2, 1, 0, 0], [0, 2, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    )
    assert measured.class_names == ("a", "b", "c", "d")
    assert measured.accuracy == pytest.approx(4 / 6)
    best, second, *worst = measured.per_class
    assert best == ClassMetrics("b", pytest.approx(2 / 3), 1.0, pytest.approx(0.8), 2)
    third = pytest.approx(2 / 3)
    assert second == ClassMetrics("a", third, third, third, 3)
    assert worst == [ClassMetrics("c", 0.0, 0.0, 0.0, 1), ClassMetrics("d", 0.0, 0.0, 0.0, 0)]


def test_metrics_of_two_classes():
    # 3 cats, of which 1 is found; 1 dog, found.
    measured = measure([0, 0, 0, 1], [0, 1, 1, 1], ["cat", "dog"])
    assert measured.accuracy == 0.5
    dog, cat = pytest.approx(1 / 3), pytest.approx(1 / 3)
    assert measured.per_class == (
        ClassMetrics("cat", 1.0, cat, pytest.approx(0.5), 3),
        ClassMetrics("dog", dog, 1.0, pytest.approx(0.5), 1),
    )


def test_numbers_are_those_of_python():
    measured = measure([0, 1], [0, 1], ["cat", "dog"])
    assert type(measured.accuracy) is float
    assert [type(value) for value in vars(measured.per_class[0]).values()] == [
        str,
        float,
        float,
        float,
        int,
    ]
