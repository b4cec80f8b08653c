"""What a team that looks into k cards a day finds: card-precision@k, and money saved.

In: scores of a week's purchases. Out: `Alerts`, a row a day. A card's score is its highest of the
day. A compromised card that was alerted is blocked: it is out of the days that follow (the "card
precision top-k" of chapter 4 of the book named in `world.py`), and what its frauds would have cost
from that day to the end of the week is saved.
"""

from __future__ import annotations

import numpy as np

from tilewright.errors import ArgumentError
from tilewright.frozen import frozen
from tilewright.sequence.cards.purchases import Purchases


@frozen(eq=False)
class Alerts:
    """Of each day; by kind of fraud."""

    k: int
    found: np.ndarray  # (days, kinds) compromised cards that were alerted
    there: np.ndarray  # (days, kinds) compromised cards that were not yet blocked
    caught: np.ndarray  # (days,) alerted cards that are compromised
    open: np.ndarray  # (days,) compromised cards not yet blocked
    saved: np.ndarray  # (days, kinds) money
    lost: np.ndarray  # (kinds,) what frauds of the week would cost

    @property
    def precision(self) -> np.ndarray:
        """(days,) share of the k alerts that were right."""
        return self.caught / self.k

    @property
    def ceiling(self) -> np.ndarray:
        """(days,) the most that it could have been."""
        return np.minimum(self.open, self.k) / self.k


def alerts(given: Purchases, rows: np.ndarray, score: np.ndarray, k: int) -> Alerts:
    """Of purchases `rows` of one week, with their scores.

    Raises `ArgumentError` for a k below one, or above the number of cards of a day.
    """
    if type(k) is not int or k < 1:
        raise ArgumentError(f"k must be a whole number above 0, not {k!r}.")
    day, card, kind = given.day[rows], given.card[rows], given.kind[rows]
    cost = np.zeros((len(rows), len(given.kinds) + 1))
    cost[np.arange(len(rows)), kind] = given.amount[rows]
    cost = cost[:, 1:]  # an honest purchase costs nobody anything
    blocked = np.zeros(int(card.max()) + 1, bool)
    found, there, caught, saved = [], [], [], []
    for today in np.unique(day):
        now = np.flatnonzero((day == today) & ~blocked[card])
        cards, which = np.unique(card[now], return_inverse=True)
        if k > len(cards):
            raise ArgumentError(f"k is {k}, but on day {today} only {len(cards)} cards are used.")
        highest = np.full(len(cards), -np.inf)
        np.maximum.at(highest, which, score[now])
        kinds = np.zeros((len(cards), len(given.kinds) + 1), bool)
        kinds[which, kind[now]] = True
        compromised = kinds[:, 1:].any(axis=1)
        alerted = np.zeros(len(cards), bool)
        alerted[np.argsort(-highest, kind="stable")[:k]] = True
        hit = alerted & compromised
        blocked[cards[hit]] = True
        found.append(kinds[hit, 1:].sum(axis=0))
        there.append(kinds[:, 1:].sum(axis=0))
        caught.append((hit.sum(), compromised.sum()))
        saved.append(cost[(day >= today) & np.isin(card, cards[hit])].sum(axis=0))
    both = np.array(caught)
    return Alerts(
        k, np.array(found), np.array(there), both[:, 0], both[:, 1], np.array(saved),
        cost.sum(axis=0),
    )  # fmt: skip


def check_k(given: Purchases, rows: np.ndarray, k: int) -> None:
    """Raises `ArgumentError` where a day of a week, purchases `rows`, has fewer than k cards,
    whatever models say. (Where those that are left after alerts are fewer, `alerts` does.)"""
    day, card = given.day[rows], given.card[rows]
    for today in np.unique(day):
        used = len(np.unique(card[day == today]))
        if k > used:
            raise ArgumentError(f"k is {k}, but on day {today} only {used} cards are used.")
