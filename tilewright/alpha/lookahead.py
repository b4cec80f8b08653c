"""Does a function of prices look ahead? Change the future, and compare the past.

In: a function from `Prices` to an array whose first axis is the days, or to a mapping from names to
such arrays, and prices. Out: nothing, or an `AlphaError` that names the day and what it saw. A
test, not a proof: it changes every price after some days, and takes those days away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tilewright.alpha.errors import AlphaError
from tilewright.alpha.tables import Prices

SHARES = (0.3, 0.5, 0.7, 0.9, 0.99)
"""Of the days, after which the future changes."""


def check_lookahead(
    fn: Callable[[Prices], Any], prices: Prices, days: Sequence[int] | None = None
) -> None:
    """Raise `AlphaError` where row t of `fn(prices)` depends on prices after day t.

    `days` are positions after which the future changes; five of them where it is None.
    """
    whole = _rows(fn, prices)
    last = len(prices.days)
    if days is None:
        days = sorted({min(int(share * last), last - 2) for share in SHARES})
    rng = np.random.default_rng(0)
    for day in days:
        future = slice(day + 1, None)
        values = prices.values.copy()
        values[future] *= np.exp(rng.normal(size=values[future].shape))
        for what, table in (
            ("prices that changed", Prices(prices.days, prices.names, values, prices.source)),
            ("days that were taken away", _cut(prices, day + 1)),
        ):
            _compare(whole, _rows(fn, table), day, prices, what)


def _rows(fn: Callable[[Prices], Any], prices: Prices) -> np.ndarray:
    given = fn(prices)
    if isinstance(given, Mapping):
        given = np.stack([np.asarray(value) for value in given.values()], axis=-1)
    found = np.asarray(given)
    if found.ndim == 0 or len(found) != len(prices.days):
        raise AlphaError(
            f"The function must give a row for each of {len(prices.days)} days, not an array of "
            f"shape {found.shape}."
        )
    return found


def _cut(prices: Prices, days: int) -> Prices:
    return Prices(prices.days[:days], prices.names, prices.values[:days], prices.source)


def _compare(before: np.ndarray, after: np.ndarray, day: int, prices: Prices, what: str) -> None:
    past, again = before[: day + 1], after[: day + 1]
    same = (past == again) | ((past != past) & (again != again))
    if not same.all():
        row = int(np.argwhere(~same)[0][0])
        raise AlphaError(
            f"The row of {prices.days[row]} depends on {what} after {prices.days[day]}: the "
            "function looks ahead."
        )
