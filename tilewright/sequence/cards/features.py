"""What is known of a purchase the moment it is made: aggregates, lags, and what a net reads.

In: `Purchases`. Out: columns, one row a purchase. Nothing that comes later moves one: purchases
after it, or labels not yet known. Sums are of whole numbers, so that it is none to the last bit.

The fifteen aggregates are those of chapter 3, "Baseline feature transformation", of the book named
in `world.py`: recency, frequency and monetary value of a card, and a terminal's share of frauds,
late by as long as labels take.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tilewright.errors import ArgumentError
from tilewright.sequence.cards.purchases import DAY, EXACT, Purchases, exact
from tilewright.sequence.cards.world import DELAY

SPANS = (1, 7, 30)
"""Days of the past that are counted."""
NIGHT = 6 * 3600.0
"""Seconds after midnight that are night."""
LAGS = 5
AGGREGATES = (
    "amount", "weekend", "night",
    *(f"{what} of the card, {span} d" for what in ("count", "mean") for span in SPANS),
    *(f"{what} of the terminal, {span} d" for what in ("count", "fraud share") for span in SPANS),
)  # fmt: skip
LAGGED = tuple(f"{what} {lag} before" for what in ("amount", "gap") for lag in range(1, LAGS + 1))
RELATIVE, LOG_RELATIVE = "amount over the card's mean", "log of it"
RAW = (
    "log amount", "log gap", "gap in days", "sine of the hour", "cosine of the hour",
    RELATIVE, LOG_RELATIVE,
)  # fmt: skip
LONGEST_GAP, LEAST_SHARE, MOST_SHARE = 2.0, 0.02, 4.0
"""Days, and shares of the card's mean, that what a net reads is held within."""


def aggregates(given: Purchases, delay: float = DELAY) -> np.ndarray:
    """(purchases, 15), the columns of `AGGREGATES`.

    A card's counts and means are of its last days up to this purchase; a terminal's are of as many
    days, but `delay` days before: frauds whose label is not known by now do not count.

    Raises `ArgumentError` for a delay below 0 days.
    """
    if not delay >= 0:
        raise ArgumentError(f"delay must be from 0 days on, not {delay!r}.")
    by_card = _Groups(given.card, given.time)
    cost = np.concatenate([[0], np.cumsum(exact(given.amount)[by_card.order])])
    counts, means = [], []
    for span in SPANS:
        first, last = by_card.window(span * DAY, 0.0)
        counts.append(by_card.back(last - first))
        means.append(by_card.back((cost[last] - cost[first]) * EXACT / np.maximum(last - first, 1)))
    columns = [given.amount, weekend(given), given.time % DAY < NIGHT, *counts, *means]
    return np.stack([*columns, *_terminals(given, delay * DAY)], axis=1).astype(np.float64)


def lags(given: Purchases) -> np.ndarray:
    """(purchases, 10), the columns of `LAGGED`: amounts of the card's last five purchases, and the
    seconds between each and the next; NaN where there were none."""
    place = _Groups(given.card, given.time)
    amount, time, card = (column[place.order] for column in (given.amount, given.time, given.card))
    amounts, gaps, rows = [], [], np.arange(len(card))
    for lag in range(1, LAGS + 1):
        there = np.roll(card, lag) == card
        there[:lag] = False
        before = np.where(there, rows - lag, 0)
        amounts.append(place.back(np.where(there, amount[before], np.nan)))
        gaps.append(place.back(np.where(there, time[before + 1] - time[before], np.nan)))
    return np.stack([*amounts, *gaps], axis=1)


def raw(given: Purchases) -> np.ndarray:
    """(purchases, 7), the columns of `RAW`: this purchase, the gap before it, and how large it is
    beside all of the card's up to now.

    The gap is there twice, as is the share: its log tells minutes from hours, and days add up to
    the time since an earlier purchase, which a state can keep. The gap before a card's first
    purchase counts as 30 days.
    """
    gap = lags(given)[:, LAGS]
    hour = 2 * np.pi * given.time / DAY
    gap = np.where(np.isnan(gap), SPANS[-1] * DAY, gap)
    share = given.amount / card_mean(given)
    return np.stack(
        [
            np.log(given.amount + 1), np.log(gap + 1), np.minimum(gap / DAY, LONGEST_GAP),
            np.sin(hour), np.cos(hour),
            np.minimum(share, MOST_SHARE), np.log(np.maximum(share, LEAST_SHARE)),
        ],
        axis=1,
    )  # fmt: skip


def shares(given: Purchases) -> np.ndarray:
    """(purchases, 6): this purchase, then the card's last five, over the card's mean up to now."""
    amounts = np.column_stack([given.amount, lags(given)[:, :LAGS]])
    return amounts / card_mean(given)[:, None]


def card_mean(given: Purchases) -> np.ndarray:
    """(purchases,) of the amounts of the card's purchases up to this one; at least a cent."""
    groups = _Groups(given.card, given.time)
    cost = np.concatenate([[0], np.cumsum(exact(given.amount)[groups.order])])
    first = np.searchsorted(groups.group, groups.group)
    last = np.arange(1, len(given) + 1)
    return np.maximum(groups.back((cost[last] - cost[first]) * EXACT / (last - first)), 0.01)


def weekend(given: Purchases) -> np.ndarray:
    """(purchases,) bool: Saturday or Sunday. (1970-01-01, day 0, was a Thursday.)"""
    first = int(given.start.astype("datetime64[D]").astype(np.int64))
    return (first + 3 + given.day) % 7 >= 5


def _terminals(given: Purchases, delay: float) -> Sequence[np.ndarray]:
    """Counts over the spans, then shares of fraud, each (purchases,)."""
    groups = _Groups(given.terminal, given.time)
    counts, shares = [], []
    for span in SPANS:
        first, last = groups.window(delay + span * DAY, delay)
        count = last - first
        frauds = _frauds(given, groups, delay, span * DAY)
        counts.append(groups.back(count))
        shares.append(groups.back(frauds / np.maximum(count, 1)))
    return (*counts, *shares)


def _frauds(given: Purchases, groups: _Groups, delay: float, span: float) -> np.ndarray:
    """Frauds in each window that are known by then, in the groups' order.

    A fraud counts from when it is old enough, and known, until it is too old: +1, then -1 along
    its terminal's purchases.
    """
    fraud = np.flatnonzero(given.fraud)
    terminal, time = given.terminal[fraud], given.time[fraud]
    begin = groups.first_from(terminal, np.maximum(time + delay, given.known[fraud]))
    end = groups.first_from(terminal, time + delay + span)
    counts = begin < end
    change = np.zeros(len(given) + 1, np.int64)
    np.add.at(change, begin[counts], 1)
    np.add.at(change, end[counts], -1)
    return np.cumsum(change)[:-1]


class _Groups:
    """Purchases of each card or terminal one after the other, each in order of time.

    Group and time are one whole number, the time in milliseconds: they compare without rounding.
    """

    def __init__(self, group: np.ndarray, time: np.ndarray):
        self.order = np.argsort(_key(group, time), kind="stable")
        self.group, self.time = group[self.order], time[self.order]
        self.key = _key(self.group, self.time)

    def window(self, back: float, until: float) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the purchase's group with now - back < time <= now - until: first, and last + 1.

        Of purchases of one moment only those in rows before count.
        """
        first = np.searchsorted(self.key, self._moved(back), "right")
        last = np.searchsorted(self.key, self._moved(until), "right")
        rows = np.arange(len(self.key))
        return first, np.minimum(last, rows + 1)

    def first_from(self, group: np.ndarray, time: np.ndarray) -> np.ndarray:
        """The first row of a group at that time or later; the next group's if there is none."""
        late = np.minimum(_milliseconds(time), SPAN - 1)
        return np.searchsorted(self.key, group * SPAN + late)

    def back(self, values: np.ndarray) -> np.ndarray:
        """In the order of the purchases."""
        found = np.empty(len(values), values.dtype)
        found[self.order] = values
        return found

    def _moved(self, seconds: float) -> np.ndarray:
        """Keys of that long ago, or of the group's beginning."""
        ago = _milliseconds(self.time) - round(1000 * seconds)
        return self.group * SPAN + np.maximum(ago, -1)


SPAN = 1 << 40
"""Milliseconds that a group has room for, 34 years; leaves room for eight million groups."""


def _milliseconds(time: np.ndarray) -> np.ndarray:
    return np.rint(1000 * np.minimum(time, SPAN / 1000)).astype(np.int64)


def _key(group: np.ndarray, time: np.ndarray) -> np.ndarray:
    return group * SPAN + _milliseconds(time)
