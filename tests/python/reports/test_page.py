"""Tests of what a page's numbers say, on their own."""

import pytest

from fastconv import models
from fastconv.reports import page
from fastconv.reports.model_summary import summarize


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.1234, "0.123 s"),
        (119.4, "119 s"),
        (120, "2 min 0 s"),
        (3599.6, "1 h 0 min"),
        (7384, "2 h 3 min"),
    ],
)
def test_durations_have_units_that_fit(seconds, text):
    assert page._duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"), [(12345, "12,345"), (12345.6, "12,346"), (0.012345, "0.0123"), (7, "7")]
)
def test_numbers_have_three_digits_or_are_whole(value, text):
    assert page._number(value) == text


def test_the_statistics_of_normalisation_do_not_train():
    summary = summarize(models.build("fruits360"))
    # Mean and variance of 64 and of 128 channels.
    assert (summary.parameters, summary.trainable_parameters) == (9_328_933, 9_328_549)
