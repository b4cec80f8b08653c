"""The scores of a comparison: by model, by kind of fraud, by week, with standard errors.

In: a `Comparison`. Out: a `Tally`, and its JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from tilewright.frozen import frozen
from tilewright.sequence.cards.comparison import PEERS, Comparison
from tilewright.sequence.cards.figures import Figures, Judged, Mean, figures
from tilewright.sequence.cards.precision import Estimate

ALL = "all frauds"


@frozen(eq=False)
class Scores:
    """Of one model."""

    kinds: Mapping[str, Figures]  # over all weeks, of `ALL` and of each kind of fraud
    weeks: Sequence[Figures]  # of all frauds, week by week

    @property
    def all(self) -> Figures:
        return self.kinds[ALL]


@frozen(eq=False)
class Tally:
    """`models` in the order of `MODELS`."""

    comparison: Comparison
    models: dict[str, Scores]

    @property
    def kinds(self) -> list[str]:
        """Kinds of fraud of which there were some."""
        given = self.comparison.given
        there = np.unique(np.concatenate([given.kind[w.judged] for w in self.comparison.weeks]))
        return [kind for number, kind in enumerate(given.kinds, 1) if number in there]

    @property
    def best_peer(self) -> str:
        """Of boosting and logistic regression, by average precision of all frauds."""
        return max(PEERS, key=lambda model: self.models[model].all.precision.value)

    def lead(self, model: str, kind: str = ALL, over: str | None = None) -> Estimate:
        """In average precision over the best peer, or over another model."""
        other = self.models[over or self.best_peer]
        return self.models[model].kinds[kind].precision - other.kinds[kind].precision

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
            "boosting": {
                model: {"best": asdict(tuned.best), "tried": len(tuned.tried)}
                for model, tuned in self.comparison.tuned.items()
            },
            "nets": {model: asdict(choice) for model, choice in self.comparison.chosen.items()},
            "models": {name: _json(self, name) for name in self.models},
        }


def tally(comparison: Comparison) -> Tally:
    """Raises `ArgumentError` where k is above the number of a day's cards."""
    models = {model: _scores(comparison, comparison.said[model]) for model in comparison.said}
    return Tally(comparison, models)


def _scores(comparison: Comparison, said: Sequence[np.ndarray]) -> Scores:
    given, settings = comparison.given, comparison.settings
    weeks = [
        Judged.of(given, week.judged, score, settings.k, settings.false_alarms)
        for week, score in zip(comparison.weeks, said, strict=True)
    ]
    return Scores(
        {kind: figures(weeks, number) for number, kind in enumerate((ALL, *given.kinds))},
        [figures([week], 0) for week in weeks],
    )


def _json(found: Tally, name: str) -> dict[str, Any]:
    scores = found.models[name]
    leads = {kind: _pair(found.lead(name, kind)) for kind in scores.kinds}
    days = [week.day for week in found.comparison.weeks]
    return {
        "lead over the best peer": leads,
        "by kind": {kind: _figures(of) for kind, of in scores.kinds.items()},
        "by week": [
            {"day": day, **_figures(of)} for day, of in zip(days, scores.weeks, strict=True)
        ],
    }


def _figures(of: Figures) -> dict[str, Any]:
    return {
        "average precision": _pair(of.precision),
        "recall": _pair(of.recall),
        "card precision": _pair(of.cards),
        "ceiling": of.ceiling,
        "cards found": _pair(of.found),
        "saved a day": _pair(of.saved),
        "share saved": of.share_saved,
    }


def _pair(of: Estimate | Mean) -> list[float]:
    """Value and standard error."""
    return [of.value, of.error]
