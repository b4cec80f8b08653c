"""What may not have been meant, in data that can be used: found, and said in a sentence.

In: columns that are learned from, their names where they have some. Out: a `DataWarning` at the
user's own line, or nothing.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from tilewright.errors import DataWarning

NAMED = 5
"""Columns that are named; of more their number is said."""
CONSTANT = 1e-12
"""Of its largest value, a deviation that is none."""
SAME, FEWEST = 1e-12, 10
"""Share of a target's variance that a column leaves if it is the target in other units; rows below
which that means nothing."""


def notice_constants(X: np.ndarray, names: Sequence[str] | None) -> None:
    """Say which columns of X (rows, inputs), NaN where there is nothing, do not vary."""
    constant = np.flatnonzero(is_constant(X))
    if len(constant):
        which = _named(constant, names)
        say(f"{which} constant in what is learned from: nothing is learned of other values.")


def notice_restated(X: np.ndarray, y: np.ndarray, names: Sequence[str] | None) -> None:
    """Say which columns of X (rows, inputs) are the target y (rows,), if in other units."""
    found = np.flatnonzero(is_restated(X, y))
    if len(found):
        say(f"{_named(found, names)} the target itself: is that known when forecasts are made?")


def is_constant(values: np.ndarray) -> np.ndarray:
    """(columns,) bool, of (rows, columns); NaN is left out, and a column needs two numbers."""
    return np.array([_is_constant(column) for column in values.T], bool)


def _is_constant(column: np.ndarray) -> bool:
    there = column[~np.isnan(column)]
    return len(there) > 1 and np.ptp(there) <= CONSTANT * max(there.max(), -there.min())


def is_restated(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(columns,) bool, of X (rows, columns): y (rows,) is a linear function of the column alone."""
    known = np.isfinite(y)
    y, found = y[known], np.zeros(X.shape[1], bool)
    if len(y) < FEWEST or _is_constant(y):
        return found
    y = (y - y.mean()) / y.std()
    for i, column in enumerate(X.T):  # data may be large: one column at a time
        x = column[known]
        if not _is_constant(x) and np.isfinite(spread := x.std()):
            x = (x - x.mean()) / spread
            found[i] = np.mean((y - np.sign(y @ x) * x) ** 2) <= SAME
    return found & bool(y.any())


def say(sentence: str) -> None:
    """As a `DataWarning` at the first line that is not of this package."""
    frame, depth = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals["__name__"].startswith("tilewright."):
        frame, depth = frame.f_back, depth + 1
    warnings.warn(sentence, DataWarning, stacklevel=depth)


@contextmanager
def expected() -> Iterator[None]:
    """For jobs in which such data are usual: listings of yesterday, cards used once."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        yield


def _named(columns: np.ndarray, names: Sequence[str] | None) -> str:
    """Their names, or their numbers where they have none, and the verb."""
    if len(columns) > NAMED:
        return f"{len(columns)} inputs are"
    each = [str(i) if names is None else repr(names[i]) for i in columns]
    if len(each) == 1:
        return f"Input {each[0]} is"
    return f"Inputs {', '.join(each[:-1])} and {each[-1]} are"
