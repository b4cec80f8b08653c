"""Does a function of prices look ahead? Change the future, and compare the past.

In: a function from `Prices` to an array whose first axis is the days, or to a mapping from names to
such arrays, and prices. Out: nothing, or an `AlphaError` that names the day and what it saw. A
test, not a proof: it changes every price after some days, and takes those days away. The days are
of all weekdays, one is the last of a month, and on one a price is missing that comes later, as what
sees but a day ahead may do so on Fridays only, at the end of a month, or to fill a gap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np

from tilewright.alpha.errors import AlphaError
from tilewright.alpha.tables import Prices

SHARES = (0.3, 0.5, 0.7, 0.9, 0.99)
"""Of the days, after which the future changes."""
NEAR = 4
"""Rows from there within which a weekday is looked for."""


def check_lookahead(
    fn: Callable[[Prices], Any], prices: Prices, days: Sequence[int] | None = None
) -> None:
    """Raise `AlphaError` where row t of `fn(prices)` depends on prices after day t.

    `days` are positions after which the future changes; seven of them at most where it is None.
    `fn` is given tables of its own: what it writes into them changes no other.
    """
    whole, shortest = _rows(fn, prices), 0
    if days is None:
        days, shortest = _days(prices), int(SHARES[0] * len(prices.days))
    rng = np.random.default_rng(0)
    for day in days:
        future = slice(day + 1, None)
        values = prices.values.copy()
        values[future] *= np.exp(rng.normal(size=values[future].shape))
        for what, table in (
            ("prices that changed", Prices(prices.days, prices.names, values, prices.source)),
            ("days that were taken away", _cut(prices, day + 1)),
        ):
            if day >= shortest or len(table.days) > day + 1:  # features may need many days
                _compare(whole, _rows(fn, table), day, prices, what)


def _days(prices: Prices) -> list[int]:
    """Positions after which the future changes; there is a day after each."""
    last = len(prices.days) - 2
    usual = [min(int(share * len(prices.days)), last) for share in SHARES]
    known = np.isfinite(prices.values)
    comes = np.logical_or.accumulate(known[::-1])[::-1]
    late = (~known & comes)[: last + 1].sum(axis=1)  # prices that are missing, and come later
    gap = np.flatnonzero(late)[-1:].tolist()
    if prices.days[0].isdecimal():
        return sorted({*usual, *gap})
    days = [date.fromisoformat(day) for day in prices.days]
    ends = [i for i in range(last + 1) if days[i].month != days[i + 1].month]
    found: list[int] = []
    for day in usual:
        near = [i for i in range(day - NEAR, day + NEAR + 1) if 0 <= i <= last]
        seen = {days[i].weekday() for i in found}
        fresh = [i for i in near if days[i].weekday() not in seen]
        found.append(min(fresh or [day], key=lambda i, day=day: abs(i - day)))
    return sorted({*found, *ends[-1:], *gap})


def _rows(fn: Callable[[Prices], Any], prices: Prices) -> np.ndarray:
    given = fn(_cut(prices, len(prices.days)))
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
    return Prices(prices.days[:days], prices.names, prices.values[:days].copy(), prices.source)


def _compare(before: np.ndarray, after: np.ndarray, day: int, prices: Prices, what: str) -> None:
    past, again = before[: day + 1], after[: day + 1]
    same = (past == again) | ((past != past) & (again != again))
    if not same.all():
        row = int(np.argwhere(~same)[0][0])
        raise AlphaError(
            f"The row of {prices.days[row]} depends on {what} after {prices.days[day]}: the "
            "function looks ahead."
        )
