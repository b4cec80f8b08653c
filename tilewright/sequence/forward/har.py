"""Regressions on past volatilities, refitted every month: the baseline that decides the story.

*HAR* (Corsi 2009) has the log volatility of a day, a week and a month. *HAR 20* has all that is
known to help it: five spans of the stock (1, 5, 22, 66, 250 days), four of the market and of the
mean square of all stocks (1, 5, 22, 66), and mean signed returns of four spans of the stock and
three of the market, by which losses raise volatility more than gains do (leverage). They are
refitted by least squares every `MONTH` days on the `SPAN` days before, whose targets are known.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.alpha.scale_features import LEAST_SHARE, LEAST_SQUARE

SPANS, CONTEXT, LEVERAGE, MARKET_LEVERAGE = (1, 5, 22, 66, 250), (1, 5, 22, 66), (1, 5, 22, 66), (
    1, 5, 22,
)  # fmt: skip
NAMES = (
    *(f"own_{span}" for span in SPANS),
    *(f"market_{span}" for span in CONTEXT),
    *(f"mean_square_{span}" for span in CONTEXT),
    *(f"signed_{span}" for span in LEVERAGE),
    *(f"market_signed_{span}" for span in MARKET_LEVERAGE),
)
TEXTBOOK = tuple(NAMES.index(f"own_{span}") for span in (1, 5, 22))
MONTH, SPAN = 21, 2000
LEAST_PENALTY = 1e-9
"""Of inputs' correlations, which may be exactly 1."""
PENALTIES = np.logspace(-7, 2, 19)
"""Of the same: 1 is as much as all rows say."""


def har_inputs(returns: Any, volatility: Any, signed: np.ndarray) -> np.ndarray:
    """(days, stocks, 20): log volatilities, and mean signed returns in deviations.

    `returns` and `volatility` are frames (days, stocks), `signed` (days, stocks, 2) the day's
    return of stock and market over the volatility of the day before.
    """
    import pandas as pd

    squares = returns**2
    least = LEAST_SQUARE * volatility**2
    found = {f"own_{span}": _log(_mean(squares, span), least) for span in SPANS}
    market = returns.mean(axis=1).to_frame() ** 2
    together = squares.mean(axis=1).to_frame()
    usual = (volatility.mean(axis=1) ** 2).to_frame()
    for name, series in (("market", market), ("mean_square", together)):
        for span in CONTEXT:
            logs = _log(_mean(series, span), LEAST_SQUARE * usual)
            found[f"{name}_{span}"] = np.repeat(logs, returns.shape[1], axis=1)
    for name, column, spans in (("signed", 0, LEVERAGE), ("market_signed", 1, MARKET_LEVERAGE)):
        frame = pd.DataFrame(signed[..., column])
        for span in spans:
            found[f"{name}_{span}"] = (_mean(frame, span) * span**0.5).to_numpy(np.float64)
    return np.stack([found[name] for name in NAMES], axis=-1)


def _mean(frame: Any, span: int) -> Any:
    return frame.rolling(span, min_periods=int(np.ceil(LEAST_SHARE * span))).mean()


def _log(mean_square: Any, least: Any) -> np.ndarray:
    return 0.5 * np.log(np.maximum(mean_square.to_numpy(np.float64), least.to_numpy(np.float64)))


class Rolling:
    """Least squares over any span of days, from sums that are made once.

    In: X (days, stocks, inputs) and y (days, stocks), NaN where it is not known.
    """

    def __init__(self, X: np.ndarray, y: np.ndarray):
        known = np.isfinite(y)
        ones = np.ones((*y.shape, 1))
        rows = np.concatenate([ones, X, np.where(known, y, 0.0)[..., None]], axis=-1)
        rows *= known[..., None]
        each = np.swapaxes(rows, 1, 2) @ rows
        self.X = X
        self.sums = np.concatenate([np.zeros((1, *each.shape[1:])), np.cumsum(each, axis=0)])

    def coefficients(self, first: int, last: int, ridge: bool = False) -> np.ndarray:
        """Intercept and slopes of days first <= day < last.

        A ridge's penalty is that of the least generalised cross-validation (Golub, Heath & Wahba
        1979) over `PENALTIES`.
        """
        moments = self.sums[last] - self.sums[first]
        count, means = moments[0, 0], moments[0, 1:] / moments[0, 0]
        centred = moments[1:, 1:] - count * np.outer(means, means)
        unit = np.sqrt(np.maximum(np.diag(centred)[:-1], 1e-12 * count))
        gram, along = centred[:-1, :-1] / np.outer(unit, unit), centred[:-1, -1] / unit
        values, vectors = np.linalg.eigh(gram)
        along = vectors.T @ along
        penalty = LEAST_PENALTY
        if ridge:
            total = centred[-1, -1]
            penalty = min(PENALTIES, key=lambda p: _validation(values, along, total, count, p))
        slopes = vectors @ (along / (np.maximum(values, 0) + penalty)) / unit
        return np.concatenate([[means[-1] - means[:-1] @ slopes], slopes])

    def forecasts(
        self, test: tuple[int, int], horizon: int, ridge: bool = False, span: int = SPAN
    ) -> np.ndarray:
        """(days of the test, stocks), refitted every `MONTH` days.

        Each fit is to the `span` days before whose targets, known `horizon` days later, are known.
        """
        first, last = test
        found = np.empty((last - first, self.X.shape[1]))
        for start in range(first, last, MONTH):
            stop = start - horizon + 1  # a target is known at its last day's close
            line = self.coefficients(max(stop - span, 0), stop, ridge)
            end = min(start + MONTH, last)
            found[start - first : end - first] = line[0] + self.X[start:end] @ line[1:]
        return found


def _validation(
    values: np.ndarray, along: np.ndarray, total: float, count: float, penalty: float
) -> float:
    shrunk = along / (values + penalty)
    error = total - 2 * shrunk @ along + (shrunk * values) @ shrunk
    return float(error) / float(1 - (1 + np.sum(values / (values + penalty))) / count) ** 2
