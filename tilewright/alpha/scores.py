"""Scores of each model by date, and differences to the null with their standard errors.

In: results of windows of one series. Out: `Scores`, one row a model.

Stocks of one day move together, so a day is the unit: rows are averaged over stocks first. Days are
related too, and one fit serves a whole test block: standard errors are Newey & West's (1987), with
lags up to the length of a block.

On few days such an error is too small, and more so than a Student-t allows for: it is compared with
the critical values of Kiefer & Vogelsang (2005) for a Bartlett kernel whose width is not negligible
beside the sample. A difference counts as an effect when it is beyond the 97.5 % point: in series
without any, 2.5 % are taken for one on each side, at 21 days as at 4,200 (with 2 standard errors
17 % are at 21 days, 4.4 % at 168). Where a tenth of the variance is common to a whole block it is
10 % at one block, 5.5 % at four: below `LEAST_DAYS` nothing counts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tilewright.alpha.baselines import NULL
from tilewright.alpha.results import MODELS, Result
from tilewright.alpha.windows import TEST
from tilewright.frozen import frozen

CRPS, LOG, COVER_50, COVER_90, RANK_IC = "CRPS", "log score", "cover 50 %", "cover 90 %", "rank IC"
MEASURES = (CRPS, LOG, COVER_50, COVER_90, RANK_IC)
SMALLER_IS_BETTER = (CRPS, LOG)
LEAST_DAYS = 4 * TEST
"""Test days below which nothing is said of a difference."""


@frozen
class Cell:
    """Mean over days; difference to the null, its standard error, and how many days there are."""

    value: float
    difference: float
    error: float
    days: int

    @property
    def least(self) -> float:
        """The smallest difference that would count, had it come about with this error."""
        return critical(self.days) * self.error

    @property
    def effect(self) -> int:
        """-1 or 1 for a difference that counts, 0 for one that these days cannot tell from none."""
        if self.days < LEAST_DAYS or not self.error > 0 or abs(self.difference) <= self.least:
            return 0
        return 1 if self.difference > 0 else -1


@frozen
class Scores:
    """`cells[model][measure]`; `by_day[measure]` is (models, days), oldest day first."""

    cells: dict[str, dict[str, Cell]]
    by_day: dict[str, np.ndarray]
    days: np.ndarray  # (days,) positions


def score(results: Sequence[Result]) -> Scores:
    """Scores over all windows given."""
    ordered = sorted(results, key=lambda result: result.test)
    parts = [_by_day(result) for result in ordered]
    by_day = {m: np.concatenate([part[m] for part in parts], axis=1) for m in MEASURES}
    days = np.concatenate([np.arange(r.test, r.test + TEST) for r in ordered])
    null = MODELS.index(NULL)
    cells = {
        model: {m: _cell(by_day[m][i], by_day[m][null]) for m in MEASURES}
        for i, model in enumerate(MODELS)
    }
    return Scores(cells, by_day, days)


def _by_day(result: Result) -> dict[str, np.ndarray]:
    """Each measure of one window, (models, days)."""

    def daily(values: np.ndarray) -> np.ndarray:
        return values.astype(np.float64).reshape(len(MODELS), TEST, -1)

    centre = np.abs(daily(result.pit) - 0.5)
    return {
        CRPS: daily(result.crps).mean(axis=2),
        LOG: daily(result.log_score).mean(axis=2),
        COVER_50: (centre < 0.25).mean(axis=2),
        COVER_90: (centre < 0.45).mean(axis=2),
        RANK_IC: rank_correlation(daily(result.mean), result.outcome.reshape(TEST, -1)),
    }


def rank_correlation(forecast: np.ndarray, outcome: np.ndarray) -> np.ndarray:
    """Spearman's over the last axis; 0 where a forecast is the same for all stocks.

    Both are NaN for stocks that are left out.
    """
    a, b = centred_ranks(forecast), centred_ranks(outcome)
    size = np.sqrt((a * a).sum(axis=-1) * (b * b).sum(axis=-1))
    return (a * b).sum(axis=-1) / np.where(size > 0, size, np.inf)


def centred_ranks(values: np.ndarray) -> np.ndarray:
    """Over the last axis, less their mean; 0 for what is NaN."""
    from scipy.stats import rankdata

    ranks = rankdata(values, axis=-1, nan_policy="omit")
    known = np.isfinite(ranks)
    total = np.where(known, ranks, 0.0).sum(axis=-1, keepdims=True)
    mean = total / np.maximum(known.sum(axis=-1, keepdims=True), 1)
    return np.where(known, ranks - mean, 0.0)


def _cell(values: np.ndarray, null: np.ndarray) -> Cell:
    difference = values - null
    error = newey_west(difference)
    return Cell(float(values.mean()), float(difference.mean()), error, len(values))


def newey_west(values: np.ndarray, lags: int = TEST) -> float:
    """Standard error of the mean of a series, with Bartlett weights."""
    count = len(values)
    centred = values - values.mean()
    total = centred @ centred
    for lag in range(1, min(lags, count - 1) + 1):
        total += 2 * (1 - lag / (lags + 1)) * (centred[lag:] @ centred[:-lag])
    return float(np.sqrt(max(total, 0.0)) / count)


def critical(days: int, lags: int = TEST) -> float:
    """Standard errors of `newey_west` beyond which 2.5 % lie by chance, on each side.

    Kiefer & Vogelsang 2005, table 1: the Bartlett kernel, the 97.5 % point.
    """
    width = min((lags + 1) / days, 1.0)
    return 1.96 + 2.9694 * width + 0.4160 * width**2 - 0.5324 * width**3


def compared(scores: Scores, model: str, other: str, measure: str) -> Cell:
    """One model's score, with its difference to another than the null."""
    values = scores.by_day[measure]
    return _cell(values[MODELS.index(model)], values[MODELS.index(other)])
