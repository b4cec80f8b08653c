"""What looks wrong with a table of prices, before anything is computed from it.

In: `Prices`, which may have gaps. Out: suspicions, each about one column or the table, in words.
They are no proof: a market can do all of this. But a volume, a typing error or a split that nobody
adjusted for is far more often the reason, and a net that learns from it learns the error.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import numpy as np

from tilewright.alpha.dates import always_rises
from tilewright.alpha.tables import Prices
from tilewright.frozen import frozen

WILD = 0.10
"""Log return of a usual day beyond which a column is no price: volumes have about 0.25."""
SPIKE, BACK_WITHIN, BACK = np.log(3), 5, 0.3
"""A jump by this factor that is undone within some days, but for a share of it."""
SPLITS = (1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 30, 40, 50, 100, 1000)
USUAL, AT_LEAST = 8.0, np.log(1.45)
"""A jump this many usual days large, and this large, may be a split."""
EXACTLY, NEARLY, CALM = 0.005, 3.0, 2.5
"""It is one if it meets the factor exactly; or nearly, in usual days, and the week after is calm,
which it is not after a crash. (Planted among 20 stocks over 32 years 84 % are found, and none of
the real jumps but one is taken for one: that one is a third to four digits.)"""
FROZEN, QUIET = 10, 0.005
"""Days that a price does not change; share of days on which none does."""
SAME = 0.9999
"""Correlation of returns."""
FEWEST = 5
"""Returns of which nothing is usual."""
LONGEST_GAP, DAILY = 15, 4
"""Calendar days between two rows: at most, and in the median."""
FIELDS = {"open", "high", "low", "close", "adj close", "volume"}


@frozen
class Suspicion:
    """A column ("" for the table), the day it is seen first ("" for all), and what is seen."""

    column: str
    day: str
    what: str

    def sentence(self) -> str:
        where = f"Column {self.column}" if self.column else "The table"
        text = f"{where}{f', {self.day}' if self.day else ''}: {self.what}"
        return text if text.endswith("?") else text + "."


def suspicions(prices: Prices) -> list[Suspicion]:
    """All that is found, columns in order, then the table; of a few days, nothing."""
    if len(prices.days) <= FEWEST:
        return []
    returns = np.diff(np.log(prices.values), axis=0)
    found: list[Suspicion] = []
    for number, name in enumerate(prices.names):
        known = np.flatnonzero(np.isfinite(prices.values[:, number]))
        values = prices.values[known, number]
        for row, what in _of_column(values, np.diff(np.log(values))):
            found.append(Suspicion(name, "" if row is None else prices.days[known[row]], what))
    found += [Suspicion(prices.names[b], "", f"has the returns of column {prices.names[a]}")
              for a, b in _same(returns)]  # fmt: skip
    return found + [Suspicion("", day, what) for day, what in _of_table(prices, returns)]


def _of_column(values: np.ndarray, returns: np.ndarray) -> Iterator[tuple[int | None, str]]:
    """Rows of the prices that there are, and what is seen there."""
    if len(returns) < FEWEST:
        return
    usual = float(np.median(np.abs(returns)))
    if always_rises(values):
        yield None, "rises at every row: dates or row numbers?"
    elif usual > WILD:
        yield None, f"changes by {usual:.0%} on a usual day: volumes, not prices?"
    else:
        yield from _jumps(values, returns, usual)
    frozen = _longest_run(returns == 0)
    if frozen[1] >= FROZEN:
        yield frozen[0], f"the price stands still for {frozen[1]} days: is it carried forward?"


def _jumps(values: np.ndarray, returns: np.ndarray, usual: float) -> Iterator[tuple[int, str]]:
    """Typing errors and splits."""
    row = 0
    for at in map(int, np.flatnonzero(np.abs(returns) > max(USUAL * usual, AT_LEAST))):
        if at < row:
            continue  # the way back from a spike
        jump = returns[at]
        way = np.cumsum(returns[at : at + 1 + BACK_WITHIN])
        back = np.flatnonzero(np.abs(way) < BACK * abs(jump))
        factor = f"{np.exp(abs(jump)):.3g}"
        change = f"{values[at]:.6g} becomes {values[at + 1]:.6g}"
        if abs(jump) > SPIKE and len(back):
            row = at + int(back[0]) + 1
            yield at + 1, f"{change} and then comes back, {factor} times: a typing error?"
        elif _is_split(abs(jump), usual, np.abs(returns[at + 1 : at + 6])):
            yield at + 1, f"{change}, {factor} times: a split that was not adjusted for?"


def _is_split(jump: float, usual: float, after: np.ndarray) -> bool:
    off = np.abs(np.log(SPLITS) - jump).min()
    calm = not len(after) or after.mean() < CALM * usual
    return bool(off < EXACTLY or (off < NEARLY * usual and calm))


def _longest_run(flags: np.ndarray) -> tuple[int, int]:
    """Start and length of the longest run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    if not len(edges):
        return 0, 0
    starts, ends = edges[::2], edges[1::2]
    longest = int(np.argmax(ends - starts))
    return int(starts[longest]), int(ends[longest] - starts[longest])


def _same(returns: np.ndarray) -> list[tuple[int, int]]:
    """Columns whose returns are another's on all days of either, with the first such."""
    known = np.isfinite(returns)
    count = known.sum(axis=0)
    mean = np.where(known, returns, 0.0).sum(axis=0) / np.maximum(count, 1)
    centred = np.where(known, returns - mean, 0.0)
    size = np.sqrt((centred**2).sum(axis=0))
    unit = centred / np.where((size > 0) & (count >= FEWEST), size, np.inf)
    alike = np.triu(unit.T @ unit > SAME, 1)
    return [(int(alike[:, b].argmax()), int(b)) for b in np.flatnonzero(alike.any(axis=0))]


def _of_table(prices: Prices, returns: np.ndarray) -> Iterator[tuple[str, str]]:
    """Days, and what is seen of all columns."""
    fields = sorted(FIELDS & {name.strip().casefold() for name in prices.names})
    if len(fields) > 1:
        yield "", f"columns are called {', '.join(fields)}: one stock, not several?"
    known = np.isfinite(returns)
    quiet = ((returns == 0) | ~known).all(axis=1) & known.any(axis=1)
    if quiet.mean() > QUIET:
        first = prices.days[int(quiet.argmax()) + 1]
        yield first, f"no price changes on {quiet.sum()} days: holidays that were filled?"
    if prices.days[0].isdecimal():
        return
    days = np.array([date.fromisoformat(day).toordinal() for day in prices.days])
    gaps = np.diff(days)
    if np.median(gaps) > DAILY:
        yield "", f"rows are {np.median(gaps):g} days apart: they are taken for trading days"
    elif gaps.max() > LONGEST_GAP:
        at = int(gaps.argmax())
        yield prices.days[at], f"the next row is {gaps[at]} days later"
