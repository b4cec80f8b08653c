"""Every model on every week: what each says of purchases that it has not seen.

In: `Purchases` and `Settings`. Out: `Comparison`. Models of a week know what was known when it
began; boosting is tuned on a week before, see `tuning_week`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tilewright.frozen import frozen
from tilewright.sequence.cards import boosting, features, nets
from tilewright.sequence.cards.boosting import Tuned
from tilewright.sequence.cards.features import AGGREGATES, RAW
from tilewright.sequence.cards.purchases import DAY, Purchases
from tilewright.sequence.cards.settings import Settings
from tilewright.sequence.cards.split import LENGTH, Week, weeks

LOGISTIC, BOOSTING, LAGS = "logistic, 15", "boosting, 15", "boosting, 15 + 5 lags"
NET, NET_AND_15, BLEND = "LSTM, raw", "LSTM, raw + 15", "blend"
MODELS = (LOGISTIC, BOOSTING, LAGS, NET, NET_AND_15, BLEND)
PEERS = (LOGISTIC, BOOSTING, LAGS)


@frozen(eq=False)
class Comparison:
    """`said`: by model, for each week, probabilities (judged,). `last`: fitted models of the last
    week, and rows that they are asked about, for `live.py`."""

    settings: Settings
    given: Purchases
    weeks: list[Week]
    said: dict[str, list[np.ndarray]]
    tuned: dict[str, Tuned]
    steps: dict[str, list[int]]  # of the nets' fits, by week: median over seeds
    last: dict[str, Any]


@frozen(eq=False)
class Columns:
    """All that models are given, one row a purchase."""

    aggregates: np.ndarray  # (purchases, 15)
    lags: np.ndarray  # (purchases, 10)
    raw: np.ndarray  # (purchases, 7)
    shares: np.ndarray  # (purchases, 6)

    def of(self, model: str) -> np.ndarray:
        """(purchases, columns). Boosting with lags is told shares of the card's mean, too, as
        the net is: trees cannot divide."""
        if model in (LOGISTIC, BOOSTING):
            return self.aggregates
        if model == LAGS:
            return np.hstack([self.aggregates, self.lags, self.shares])
        return self.raw if model == NET else np.hstack([self.raw, self.aggregates])


def columns(given: Purchases, delay: float) -> Columns:
    return Columns(
        features.aggregates(given, delay),
        features.lags(given),
        features.raw(given),
        features.shares(given),
    )


def tuning_week(given: Purchases, settings: Settings) -> Week:
    """The last whose labels have all arrived when the first judged week begins, if none is later
    than the delay."""
    early = settings.first - LENGTH - int(np.ceil(settings.delay))
    (week,) = weeks(given, early, 1, settings.train, settings.delay)
    known = given.known[week.judged] <= settings.first * DAY
    return Week(week.day, week.learned, week.judged[known])


def compare(
    settings: Settings,
    given: Purchases | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> Comparison:
    """Tune, then fit and ask every model, week by week; `tell` hears what is being done.

    Raises `ArgumentError` for days and weeks that there are not, and where only one class is known.
    """
    name = settings.recipe
    tell(f"{name}: purchases")
    given = settings.purchases() if given is None else given
    judged = weeks(given, settings.first, settings.weeks, settings.train, settings.delay)
    early = tuning_week(given, settings)
    tell(f"{name}: features of {len(given):,} purchases")
    table = columns(given, settings.delay)
    tuned = {}
    for model in (BOOSTING, LAGS):
        tell(f"{name}: tuning {model}")
        tuned[model] = boosting.tuned(table.of(model), given.fraud, early)
    said: dict[str, list[np.ndarray]] = {model: [] for model in MODELS}
    steps: dict[str, list[int]] = {NET: [], NET_AND_15: []}
    last: dict[str, Any] = {}
    for number, week in enumerate(judged, 1):

        def heard(model: str, number: int = number) -> None:
            tell(f"{name}: week {number} of {len(judged)}, {model}")

        heard(LOGISTIC)
        said[LOGISTIC].append(boosting.logistic(table.of(LOGISTIC), given.fraud, week))
        for model, found in tuned.items():
            heard(model)
            answers, last[model] = boosting.boosted(table.of(model), given.fraud, week, found.best)
            said[model].append(answers)
        for model, names in ((NET, RAW), (NET_AND_15, (*RAW, *AGGREGATES))):
            heard(model)
            answers, last[model] = nets.read(
                given, table.of(model), names, week, settings.net, settings.seed
            )
            said[model].append(answers)
            steps[model].append(int(np.median(last[model].best_step_)))
        said[BLEND].append(nets.blend(said[LAGS][-1], said[NET_AND_15][-1]))
    last |= {model: (last[model], table.of(model)[judged[-1].judged]) for model in last}
    return Comparison(settings, given, judged, said, tuned, steps, last)
