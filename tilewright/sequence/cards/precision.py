"""Scores of a ranking: average precision, recall at a rate of false alarms, and their errors.

In: scores and labels of judged purchases. Out: `Estimate`s. Purchases of one card are not
independent of each other, nor are those at one terminal: errors are those of a jackknife that
leaves out a twentieth of the cards, then of the terminals, and takes off what both count (two-way
clustering: Cameron, Gelbach and Miller, Journal of Business & Economic Statistics 29, 2011).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tilewright.frozen import frozen

PARTS = 20
WAYS = 3
"""By card, by terminal, by purchase."""


@frozen
class Estimate:
    """A value, and what it is without each part."""

    value: float
    without: np.ndarray  # (ways, parts)

    @property
    def error(self) -> float:
        """Standard error."""
        spread = self.without - self.without.mean(axis=1, keepdims=True)
        card, terminal, purchase = (PARTS - 1) / PARTS * np.sum(spread**2, axis=1)
        return float(np.sqrt(max(card + terminal - purchase, card, terminal)))

    def __sub__(self, other: Estimate) -> Estimate:
        """A difference on the same purchases, with its own error."""
        return Estimate(self.value - other.value, self.without - other.without)


def mean(estimates: Sequence[Estimate]) -> Estimate:
    """Of weeks."""
    return Estimate(
        float(np.mean([each.value for each in estimates])),
        np.mean([each.without for each in estimates], axis=0),
    )


class Ranking:
    """Purchases in falling order of their scores; those of one score count together."""

    def __init__(self, score: np.ndarray, fraud: np.ndarray, parts: np.ndarray):
        """Each (purchases,); `parts` (ways, purchases) from 0 to `PARTS` - 1, of `parts_of`."""
        order = np.argsort(-score, kind="stable")
        self.fraud, self.parts = fraud[order], parts[:, order]
        self.ends = np.flatnonzero(np.diff(score[order], append=np.nan))

    def average_precision(self) -> Estimate:
        """Precision at each fraud, averaged over frauds."""
        return self._estimate(_average_precision)

    def recall(self, false_alarms: float) -> Estimate:
        """Share of frauds above the threshold that so large a share of honest purchases exceeds."""
        return self._estimate(lambda found, all_: _recall(found, all_, false_alarms))

    def _estimate(self, of: Callable[[np.ndarray, np.ndarray], float]) -> Estimate:
        def without(kept: np.ndarray) -> float:
            found, all_ = np.cumsum(self.fraud & kept), np.cumsum(kept)
            return of(found[self.ends], all_[self.ends])

        parts = [[without(way != part) for part in range(PARTS)] for way in self.parts]
        return Estimate(without(np.ones(len(self.fraud), bool)), np.array(parts))


def parts_of(card: np.ndarray, terminal: np.ndarray, row: np.ndarray) -> np.ndarray:
    """(ways, purchases): which part of cards, terminals and purchases each belongs to."""
    return np.stack([card % PARTS, terminal % PARTS, row % PARTS])


def _average_precision(found: np.ndarray, all_: np.ndarray) -> float:
    """found, all_ (thresholds,): frauds and purchases above each."""
    more = np.diff(found, prepend=0)
    return float(np.sum(more * found / np.maximum(all_, 1)) / max(found[-1], 1))


def _recall(found: np.ndarray, all_: np.ndarray, false_alarms: float) -> float:
    wrong = all_ - found
    last = np.searchsorted(wrong, false_alarms * wrong[-1], "right")
    return float(found[last - 1] / max(found[-1], 1)) if last else 0.0
