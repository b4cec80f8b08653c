"""The scores of a comparison: by model, by kind of fraud, by week, with standard errors.

In: a `Comparison`. Out: a `Tally`. Scores are means over weeks, as models are trained anew each
week and their numbers of two weeks do not rank together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tilewright.sequence.cards import precision
from tilewright.sequence.cards.alerts import Alerts, alerts
from tilewright.sequence.cards.comparison import PEERS, Comparison
from tilewright.sequence.cards.precision import Estimate, Ranking, parts_of
from tilewright.sequence.cards.purchases import Purchases

ALL = "all frauds"


@dataclass(frozen=True)
class Mean:
    """Of days, with its standard error."""

    value: float
    error: float

    @staticmethod
    def of(values: np.ndarray) -> Mean:
        return Mean(float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))))


@dataclass(frozen=True, eq=False)
class Scores:
    """Of one model. `precision_` and `recall` are by `ALL` and by kind of fraud."""

    precision_: dict[str, Estimate]  # average precision
    recall: dict[str, Estimate]
    by_week: list[Estimate]  # average precision of all frauds
    alerts: list[Alerts]  # by week

    @property
    def cards(self) -> Mean:
        """Card-precision@k over days."""
        return Mean.of(np.concatenate([week.precision for week in self.alerts]))

    @property
    def ceiling(self) -> float:
        """The most that it could have been, given what was blocked before."""
        return float(np.concatenate([week.ceiling for week in self.alerts]).mean())

    @property
    def saved(self) -> Mean:
        """Money a day."""
        return Mean.of(np.concatenate([week.saved for week in self.alerts]))

    @property
    def share_saved(self) -> float:
        """Of what all frauds would cost."""
        saved = sum(week.saved.sum() for week in self.alerts)
        return float(saved / sum(week.lost for week in self.alerts))

    @property
    def found(self) -> np.ndarray:
        """(kinds,) share of compromised cards that were alerted on their day."""
        found = np.sum([week.found.sum(axis=0) for week in self.alerts], axis=0)
        there = np.sum([week.there.sum(axis=0) for week in self.alerts], axis=0)
        return found / np.maximum(there, 1)


@dataclass(frozen=True, eq=False)
class Tally:
    """`models` in the order of `MODELS`."""

    comparison: Comparison
    models: dict[str, Scores]

    @property
    def kinds(self) -> list[str]:
        """Kinds of fraud of which there were some."""
        there = next(iter(self.models.values())).alerts
        counts = np.sum([week.there.sum(axis=0) for week in there], axis=0)
        every = self.comparison.given.kinds
        return [kind for kind, count in zip(every, counts, strict=True) if count]

    @property
    def best_peer(self) -> str:
        """Of boosting and logistic regression, by average precision of all frauds."""
        return max(PEERS, key=lambda model: self.models[model].precision_[ALL].value)

    def lead(self, model: str, kind: str = ALL, over: str | None = None) -> Estimate:
        """In average precision over the best peer, or over another model."""
        other = self.models[over or self.best_peer]
        return self.models[model].precision_[kind] - other.precision_[kind]

    @property
    def random(self) -> float:
        """Average precision of a model that knows nothing: the share of frauds."""
        given = self.comparison.given
        return float(np.mean([given.fraud[w.judged].mean() for w in self.comparison.weeks]))

    def as_json(self) -> dict[str, Any]:
        """All figures of the page."""
        return {
            "settings": self.comparison.settings.as_json(),
            "purchases": len(self.comparison.given),
            "judged": sum(len(week.judged) for week in self.comparison.weeks),
            "share of frauds": self.random,
            "best peer": self.best_peer,
            "models": {name: _json(self, name) for name in self.models},
        }


def tally(comparison: Comparison) -> Tally:
    """Raises `ArgumentError` where k is above the number of a day's cards."""
    models = {model: _scores(comparison, comparison.said[model]) for model in comparison.said}
    return Tally(comparison, models)


def _scores(comparison: Comparison, said: Sequence[np.ndarray]) -> Scores:
    given, settings = comparison.given, comparison.settings
    average: dict[str, Estimate] = {}
    recall: dict[str, Estimate] = {}
    by_week: list[Estimate] = []
    for number, kind in enumerate((ALL, *given.kinds)):
        rankings = [
            _ranking(given, week.judged, score, number)
            for week, score in zip(comparison.weeks, said, strict=True)
        ]
        # A week without frauds of a kind says nothing of it.
        rankings = [each for each in rankings if each.fraud.any()] or rankings
        precisions = [ranking.average_precision() for ranking in rankings]
        if number == 0:
            by_week = precisions
        average[kind] = precision.mean(precisions)
        alarms = settings.false_alarms
        recall[kind] = precision.mean([ranking.recall(alarms) for ranking in rankings])
    found = [
        alerts(given, week.judged, score, settings.k)
        for week, score in zip(comparison.weeks, said, strict=True)
    ]
    return Scores(average, recall, by_week, found)


def _ranking(given: Purchases, rows: np.ndarray, score: np.ndarray, kind: int) -> Ranking:
    """Of frauds of one kind among honest purchases; 0 for all kinds."""
    if kind:
        kept = (given.kind[rows] == kind) | (given.kind[rows] == 0)
        rows, score = rows[kept], score[kept]
    parts = parts_of(given.card[rows], given.terminal[rows], np.arange(len(rows)))
    return Ranking(score, given.fraud[rows], parts)


def _json(found: Tally, name: str) -> dict[str, Any]:
    scores, lead = found.models[name], found.lead(name)
    return {
        "average precision": {k: _pair(v) for k, v in scores.precision_.items()},
        "recall": {k: _pair(v) for k, v in scores.recall.items()},
        "by week": [_pair(week) for week in scores.by_week],
        "lead over the best peer": _pair(lead),
        "card precision": _pair(scores.cards),
        "ceiling": scores.ceiling,
        "saved a day": _pair(scores.saved),
        "share saved": scores.share_saved,
        "cards found by kind": scores.found.tolist(),
    }


def _pair(of: Estimate | Mean) -> list[float]:
    """Value and standard error."""
    return [of.value, of.error]
