"""Walk-forward windows: where each one trains and where it is tested.

Windows tile the days. With the anchor "newest" they do so from the newest back: window 0 is tested
on the last `TEST` days that have a target, window 1 on those before, and they are known by these
numbers. With "dates" they tile the days from the first on, and are known by their first test day: a
day more, or days cut off at the end, leave every window as it is, and the newest days wait until
they fill a block. Between training and test rows `GAP` days are left out (purged):
the target of the last training day is known one close before the first forecast is made, so a model
can be fitted overnight, and no return is in both parts.

              250 days                1 day      21 days
    |--------- training ---------|--- purged ---|-- test --|
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tilewright.alpha.errors import AlphaError
from tilewright.alpha.features import HISTORY
from tilewright.alpha.settings import NEWEST
from tilewright.frozen import frozen

TRAIN, TEST, GAP = 250, 21, 1
CLIP = 4.0
"""Standardised features end here, in standard deviations."""
NONE, ROUNDING = 1e-6, 1e-12
"""A deviation that is none: of features made here; of others, as a share of their mean."""
LEAST = 1e-300
"""A deviation that is none whatever the mean."""


@frozen
class Window:
    """Positions of days: training in [start, start + TRAIN), test in [test, test + TEST).

    `number` is what it is known by, also in its random keys.
    """

    index: int  # 0 is the newest
    start: int
    number: int

    @property
    def test(self) -> int:
        return self.start + TRAIN + GAP

    @property
    def days(self) -> int:
        """Of prices that it depends on: all up to the last target."""
        return self.test + TEST + 1


def walk_forward(days: Sequence[str], count: int, anchor: str = NEWEST) -> list[Window]:
    """At most `count` windows over days of prices (ISO dates or row numbers), the newest first."""
    last = len(days) - 1 - TRAIN - GAP - TEST  # the newest day has no target
    if last < HISTORY:
        need = HISTORY + TRAIN + GAP + TEST + 1
        raise AlphaError(f"One window needs {need} days of prices, and the table has {len(days)}.")
    if anchor == NEWEST:
        starts = range(last, HISTORY - 1, -TEST)[:count]
        return [Window(index, start, index) for index, start in enumerate(starts)]
    starts = range(HISTORY, last + 1, TEST)[::-1][:count]
    numbers = [int(days[start + TRAIN + GAP].replace("-", "")) for start in starts]
    return [Window(index, *place) for index, place in enumerate(zip(starts, numbers, strict=True))]


def standardise(train: Any, test: Any) -> tuple[Any, Any]:
    """Both by mean and deviation of the training rows (rows, features) alone, then clipped.

    For NumPy and JAX arrays. A constant feature becomes 0.
    """
    centre, spread = train.mean(axis=0), train.std(axis=0)
    return _clipped(train, centre, spread, NONE), _clipped(test, centre, spread, NONE)


def inside(X: np.ndarray, centre: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Features (rows, features) by a given mean and deviation, clipped; in whatever units."""
    return _clipped(X, centre, spread, np.maximum(ROUNDING * np.abs(centre), LEAST))


def own_inside(X: np.ndarray, centre: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """The same of features that are made here: of the order of 1, so that what is far below is
    rounding (that of a stock's volatility beside the mean of others that are all like it)."""
    return _clipped(X, centre, spread, NONE)


def _clipped(X: Any, centre: Any, spread: Any, none: Any) -> Any:
    """A deviation below `none` is none: such a feature stays as it is, less its mean."""
    return ((X - centre) / (spread + (spread < none))).clip(-CLIP, CLIP)


def moments(rows: np.ndarray, weight: np.ndarray | None = None) -> tuple[Any, Any]:
    """Mean and deviation over rows (rows, ...), which count `weight` (rows,) times."""
    if weight is None:
        return rows.mean(axis=0), rows.std(axis=0)
    centre = np.average(rows, axis=0, weights=weight)
    return centre, np.sqrt(np.average((rows - centre) ** 2, axis=0, weights=weight))


Days = Callable[[Any, int], Any]
"""`(first, count)` to that many days of an array from that day on: (count, stocks, ...)."""


def cut(start: Any, features: Days, target: Days) -> tuple[Any, Any, Any, Any]:
    """X, y, X_test, y_test of the window that starts on a day, stocks pooled.

    (rows, features), (rows,), (test rows, features), (test rows,). The one place where a window is
    cut: for NumPy arrays by `rows_of`, and inside of the compiled program.
    """
    X, X_test = standardise(*(pooled(part) for part in _parts(start, features)))
    y, y_test = (part.ravel() for part in _parts(start, target))
    return X, y, X_test, y_test


def _parts(start: Any, days: Days) -> tuple[Any, Any]:
    """Training and test days."""
    return days(start, TRAIN), days(start + TRAIN + GAP, TEST)


def pooled(days: Any) -> Any:
    """(days, stocks, features) to (rows, features)."""
    return days.reshape(-1, days.shape[-1])


def training_targets(window: Window, target: np.ndarray) -> np.ndarray:
    """The `y` of `rows_of` alone, (rows,)."""
    return _parts(window.start, _days(target))[0].ravel()


def rows_of(
    window: Window, features: np.ndarray, target: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What `cut` gives; `features` is (days, stocks, features), `target` (days, stocks)."""
    return cut(window.start, _days(features), _days(target))


def _days(array: np.ndarray) -> Days:
    return lambda first, count: array[first : first + count]
