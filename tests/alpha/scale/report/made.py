"""Scored windows whose figures are chosen."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.stats

from tilewright.alpha.scale.fit import State
from tilewright.alpha.scale.scored import MODELS, Scored
from tilewright.alpha.walking.scored import LEVELS

DAYS = tuple(str(d) for d in np.datetime64("2015-06-01") + np.arange(400))


def window(
    number: int = 0,
    days: int = 50,
    stocks: int = 4,
    gain: Callable[[str], float] = lambda model: 0.0,
    wrong: float = 1.0,
) -> Scored:
    """Outcomes are normal of scale 1 to 2; each model knows it but for a factor `wrong`.

    `gain(model)` is what the net's log score is less than the model's on average.
    """  # fmt: skip
    rng = np.random.default_rng(number)
    first = 100 + number * days
    places = np.array([(first + d, s) for d in range(days) for s in range(stocks)], np.int32)
    rows, models = len(places), len(MODELS)
    scale = rng.uniform(1, 2, rows)
    outcome = scale * rng.normal(size=rows)
    quantiles = scipy.stats.norm.ppf(LEVELS)[:, None] * scale * wrong
    log_score = 1.5 + 0.02 * rng.normal(size=(models, rows))
    log_score += np.array([[gain(model)] for model in MODELS])
    log_score[-1] = np.nan  # boosting has no density
    two = np.array([0.9, 0.9])
    return Scored(
        "real", DAYS[first], places, outcome.astype(np.float32), np.full(rows, 0.01, np.float32),
        crps=log_score / 2, log_score=log_score, pit=np.tile(rng.uniform(size=rows), (models, 1)),
        quantiles=np.tile(quantiles, (models, 1, 1)), scale=scale.astype(np.float32),
        shortfall=-scale, r_hat=np.full(18, 1.01), ess=np.full(18, 300.0), lock_in=1.5,
        acceptance=two, divergences=0 * two, gradients=1000 * two, cold=np.array([True, False]),
        failure="", state=State((), two, two),
    )  # fmt: skip
