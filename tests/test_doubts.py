"""Columns that say nothing, or too much, are told from those that are only odd."""

import warnings

import numpy as np
import pytest

from tilewright.doubts import (
    expected,
    is_constant,
    is_restated,
    notice_constants,
    notice_restated,
    say,
)
from tilewright.errors import DataWarning

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 3))


def test_constant_is_told_from_unknown():
    values = np.array([[1.0, 1, np.nan, 2], [1, 2, np.nan, np.nan], [1, 1, np.nan, np.nan]])
    np.testing.assert_array_equal(is_constant(values), [True, False, False, False])


def test_constant_is_so_beside_its_size():
    small = np.array([1e-9, 1e-9 + 1e-15])[:, None]
    np.testing.assert_array_equal(is_constant(np.hstack([small, 1e9 + small])), [False, True])


@pytest.mark.parametrize("unit", [1.0, -1e-6, 1e6])
def test_a_target_in_other_units_is_itself(unit):
    y = 7 + unit * X[:, 1]
    np.testing.assert_array_equal(is_restated(X, y), [False, True, False])
    nearly = y + 1e-4 * abs(unit) * X[:, 0]
    assert not is_restated(X, nearly).any()
    known = np.where(np.arange(50) % 3, y, np.nan)
    np.testing.assert_array_equal(is_restated(X, known), [False, True, False])


def test_few_rows_and_constants_restate_nothing():
    assert not is_restated(X[:5], X[:5, 0]).any()
    assert not is_restated(X, np.ones(50)).any()
    assert not is_restated(np.ones((50, 2)), X[:, 0]).any()


def test_columns_are_named_or_numbered():
    with pytest.warns(DataWarning, match=r"Inputs 'a', 'b' and 'c' are constant in what"):
        notice_constants(np.ones((9, 3)), ["a", "b", "c"])
    with pytest.warns(
        DataWarning, match=r"^7 inputs are constant in what is learned from: nothing"
    ):
        notice_constants(np.ones((9, 7)), None)
    with pytest.warns(DataWarning, match=r"Input 2 is the target itself: is that known when"):
        notice_restated(X, X[:, 2], None)


def test_said_at_the_line_of_who_asked():
    with pytest.warns(DataWarning) as said:
        say("Odd.")
    assert said[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with expected():
            say("Odd.")
