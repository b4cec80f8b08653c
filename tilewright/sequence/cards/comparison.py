"""Every model on every week: what each says of purchases that it has not seen.

In: `Purchases` and `Settings`. Out: `Comparison`. Models of a week know what was known when it
began; boosting is tuned on a week before, see `tuning_week`, and inputs of nets are chosen by the
later of the labels that are known when the first week begins, see `inputs.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from tilewright.frozen import frozen
from tilewright.sequence.cards import boosting, features, inputs, nets
from tilewright.sequence.cards.alerts import check_k
from tilewright.sequence.cards.boosting import Tuned
from tilewright.sequence.cards.features import AGGREGATES
from tilewright.sequence.cards.inputs import Chosen
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
    chosen: dict[str, Chosen]  # of nets
    last: dict[str, Any]


@frozen(eq=False)
class Columns:
    """All that models are given, one row a purchase."""

    aggregates: np.ndarray  # (purchases, 15)
    lags: np.ndarray  # (purchases, 10)
    raw: np.ndarray  # (purchases, 7)
    shares: np.ndarray  # (purchases, 6)

    def of(self, model: str) -> np.ndarray:
        """Of a peer, (purchases, columns). Boosting with lags is told shares of the card's mean, as
        the net is: trees cannot divide."""
        if model in (LOGISTIC, BOOSTING):
            return self.aggregates
        return np.hstack([self.aggregates, self.lags, self.shares])

    def read(self, model: str, names: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
        """Of a net that is told those of the raw columns, and all names."""
        return inputs.read_by(self.raw, names, self.beside(model))

    def beside(self, model: str) -> tuple[np.ndarray, Sequence[str]] | None:
        """What a net is told beside raw columns."""
        return (self.aggregates, AGGREGATES) if model == NET_AND_15 else None


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
    """Tune, then fit and ask every model on every week; `tell` hears what is being done.

    Raises `ArgumentError` for days and weeks that there are not, where only one class is known, and
    for more alerts a day than there are cards.
    """
    tell("purchases")
    given = settings.purchases() if given is None else given
    judged = weeks(given, settings.first, settings.weeks, settings.train, settings.delay)
    for week in judged:
        check_k(given, week.judged, settings.k)
    early = tuning_week(given, settings)
    tell("features")
    table = columns(given, settings.delay)
    tuned, chosen = {}, {}
    for model in (BOOSTING, LAGS):
        tell(f"tuning {model}")
        tuned[model] = boosting.tuned(table.of(model), given.fraud, early)
    for model in (NET, NET_AND_15):
        tell(f"inputs of {model}")
        sets = {chosen[NET].best: chosen[NET].names} if chosen else inputs.SETS
        chosen[model] = inputs.chosen(
            given, table.raw, table.beside(model), judged[0], settings.net, settings.seed, sets
        )
    tell(", ".join(PEERS))
    answers = _of_peers(given, table, judged, tuned)
    for model, choice in chosen.items():
        tell(model)
        X, names = table.read(model, choice.names)
        answers[model] = nets.read_weeks(
            given, X, names, judged, settings.net, settings.seed, choice.epochs
        )
    said = {model: [each for each, _ in found] for model, found in answers.items()}
    blends = zip(said[LAGS], said[NET_AND_15], strict=True)
    said[BLEND] = [nets.blend(*both) for both in blends]
    last = judged[-1].judged
    asked = {model: (answers[model][-1][1], table.of(model)[last]) for model in tuned}
    for model, choice in chosen.items():
        asked[model] = answers[model][-1][1], table.read(model, choice.names)[0][last]
    return Comparison(settings, given, judged, said, tuned, chosen, asked)


def _of_peers(
    given: Purchases, table: Columns, judged: Sequence[Week], tuned: Mapping[str, Tuned]
) -> dict[str, list[tuple[np.ndarray, Any]]]:
    """By model, for each week: what it says, and the fitted model if it is asked again."""
    found = boosting.side_by_side(
        [
            partial(boosting.boosted, table.of(model), given.fraud, week, own.best)
            for model, own in tuned.items()
            for week in judged
        ]
    )
    by_model = (found[i : i + len(judged)] for i in range(0, len(found), len(judged)))
    plain = [(boosting.logistic(table.of(LOGISTIC), given.fraud, week), None) for week in judged]
    return {LOGISTIC: plain, **dict(zip(tuned, by_model, strict=True))}


def steps(settings: Settings) -> dict[str, float]:
    """What `compare` tells, in its order, and how long each takes beside the others, about: nets
    that learn from more make fewer epochs."""
    rows, weeks_ = settings.train / 28, settings.weeks
    learning = rows**0.5
    return {
        "purchases": 1, "features": 3,
        f"tuning {BOOSTING}": 3 + 7 * rows, f"tuning {LAGS}": 6 + 12 * rows,
        f"inputs of {NET}": 18 * learning, f"inputs of {NET_AND_15}": 7 * learning,
        ", ".join(PEERS): weeks_ * (1 + 4 * learning),
        NET: 8 * learning * weeks_, NET_AND_15: 8 * learning * weeks_,
    }  # fmt: skip
