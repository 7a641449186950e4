"""Tests of printed tables and sizes."""

import pytest

from fastconv.tables import dimensions, table


def test_columns_are_aligned():
    assert table(["class", "images"], [["cat", "7"], ["guinea pig", "12"]]) == (
        "| class      | images |\n"
        "| ---------- | -----: |\n"
        "| cat        |      7 |\n"
        "| guinea pig |     12 |"
    )


def test_a_bar_in_a_cell_is_escaped():
    assert table(["a|b", "c"], []).splitlines()[0] == r"| a\|b | c |"


def test_rows_must_fit_the_header():
    with pytest.raises(ValueError, match="zip"):
        table(["a", "b"], [["1"]])


def test_dimensions():
    assert dimensions((3, 4, 5)) == "3x4x5"
    assert dimensions([7]) == "7"
