"""What is measured of one model, of all frauds or of one kind, over weeks or in one of them.

In: purchases, weeks, what a model said of each week's. Out: `Figures`, each number with its
standard error. Frauds of one kind are ranked among honest purchases; alerts are those of all
purchases, whatever the kind, as a team gives them. Scores are means over weeks, as models are
trained anew each week and what two of them say does not rank together.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tilewright.frozen import frozen
from tilewright.sequence.cards import precision
from tilewright.sequence.cards.alerts import Alerts, alerts
from tilewright.sequence.cards.precision import Estimate, Ranking, parts_of
from tilewright.sequence.cards.purchases import Purchases


@frozen
class Mean:
    """Of days, with its standard error."""

    value: float
    error: float

    @staticmethod
    def of(values: np.ndarray) -> Mean:
        return Mean(float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))))

    @staticmethod
    def share(part: np.ndarray, whole: np.ndarray) -> Mean:
        """Of sums over days, (days,) each; 0 of nothing. (Cochran, Sampling Techniques, 1977,
        chapter 6: a ratio's error is that of what it leaves.)"""
        if not whole.sum():
            return Mean(0.0, 0.0)
        value, days = part.sum() / whole.sum(), len(part)
        scatter = np.sum((part - value * whole) ** 2) * days / (days - 1)
        return Mean(float(value), float(np.sqrt(scatter) / whole.sum()))


@frozen
class Figures:
    """Of one kind of fraud, or of all."""

    precision: Estimate  # average precision
    recall: Estimate  # at a rate of false alarms
    cards: Mean  # share of the k alerts a day that were right: card-precision@k
    ceiling: float  # the most that it could have been, given what was blocked before
    found: Mean  # share of compromised cards that were alerted on their day
    saved: Mean  # money a day
    share_saved: float  # of what these frauds would cost


@frozen(eq=False)
class Judged:
    """A week as one model answered it. Lists are of all frauds, then of each kind."""

    precision: Sequence[Estimate]
    recall: Sequence[Estimate]
    there: Sequence[bool]  # whether there were such frauds
    alerts: Alerts

    @staticmethod
    def of(
        given: Purchases, rows: np.ndarray, said: np.ndarray, k: int, false_alarms: float
    ) -> Judged:
        """Purchases `rows` (judged,) and scores of them (judged,).

        Raises `ArgumentError` where k is above the number of a day's cards.
        """
        found = alerts(given, rows, said, k)
        each = [_ranking(given, rows, said, kind) for kind in range(len(given.kinds) + 1)]
        return Judged(
            [ranking.average_precision() for ranking in each],
            [ranking.recall(false_alarms) for ranking in each],
            [bool(ranking.fraud.any()) for ranking in each],
            found,
        )


def figures(weeks: Sequence[Judged], kind: int) -> Figures:
    """Means over these weeks; kind 0 is all of them. A week without frauds of a kind says nothing
    of how they rank."""
    heard = [week for week in weeks if week.there[kind]] or weeks
    found, there, saved, lost = (
        np.concatenate([_of_kind(week.alerts, name, kind) for week in weeks])
        for name in ("found", "there", "saved", "lost")
    )
    k = weeks[0].alerts.k
    return Figures(
        precision.mean([week.precision[kind] for week in heard]),
        precision.mean([week.recall[kind] for week in heard]),
        Mean.of(found / k),
        float(np.minimum(there, k).mean() / k),
        Mean.share(found, there),
        Mean.of(saved),
        float(saved.sum() / lost.sum()) if lost.sum() else 0.0,
    )


def _of_kind(of: Alerts, name: str, kind: int) -> np.ndarray:
    """Cards or money of each day (days,); of what is lost the week's (1,)."""
    if kind == 0 and name in ("found", "there"):  # a card may have frauds of several kinds
        return of.caught if name == "found" else of.open
    values = np.atleast_2d(getattr(of, name))
    return values[:, kind - 1] if kind else values.sum(axis=1)


def _ranking(given: Purchases, rows: np.ndarray, score: np.ndarray, kind: int) -> Ranking:
    """Of frauds of one kind among honest purchases; 0 for all kinds."""
    if kind:
        kept = (given.kind[rows] == kind) | (given.kind[rows] == 0)
        rows, score = rows[kept], score[kept]
    parts = parts_of(given.card[rows], given.terminal[rows], np.arange(len(rows)))
    return Ranking(score, given.fraud[rows], parts)
