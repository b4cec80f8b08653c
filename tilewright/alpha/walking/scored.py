"""Forecasts of a window by several models against what came: what tallies and reports read.

In: a `Forecast` of each model for the test rows, and their outcomes. Out: scores a row.

A model without a density has no log score, and its CRPS is not comparable: what all models have is
the *quantile score*, the mean over `LEVELS` of the pinball loss, which for more and more levels
would be half of the CRPS.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from tilewright.alpha.mixture import Mixture

LEVELS = np.array([0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99])
CRPS, LOG, QUANTILE = "CRPS", "log score", "quantile score"

Grouped = list[tuple[np.ndarray, Mixture]]
"""Which rows, and their forecasts: of models with degrees of freedom of their own."""
Forecast = Mixture | np.ndarray | Grouped
"""An array is of quantiles, (levels, rows)."""


class Forecasts(Protocol):
    """Of one window, (models, rows) unless noted, NaN where a model says nothing; the first model
    is the one that all others are held against.
    """

    @property
    def models(self) -> tuple[str, ...]: ...
    @property
    def places(self) -> np.ndarray: ...  # (rows, 2) day and stock
    @property
    def outcome(self) -> np.ndarray: ...  # (rows,) in units of `unit`
    @property
    def unit(self) -> np.ndarray: ...  # (rows,) that day's volatility, of which regimes are made
    @property
    def pit(self) -> np.ndarray: ...  # distribution function at the outcome
    @property
    def quantiles(self) -> np.ndarray: ...  # (models, levels, rows)
    @property
    def scale(self) -> np.ndarray: ...  # (rows,) of the first model, by which fifths are made

    def scores(self) -> dict[str, np.ndarray]:
        """By name; of each, smaller is better."""
        ...


def columns(forecast: Forecast | None, outcome: np.ndarray) -> tuple[np.ndarray, ...]:
    """CRPS, log score, PIT (rows,) and quantiles (levels, rows); NaN where there are none."""
    rows = len(outcome)
    nothing = np.full(rows, np.nan)
    crps, log_score, pit = nothing.copy(), nothing.copy(), nothing.copy()
    quantiles = np.full((len(LEVELS), rows), np.nan)
    if isinstance(forecast, np.ndarray):
        return crps, log_score, pit, forecast
    groups = [(np.arange(rows), forecast)] if isinstance(forecast, Mixture) else forecast or []
    for mine, mixture in groups:
        came = outcome[mine]
        crps[mine], log_score[mine] = mixture.crps(came), mixture.log_score(came)
        pit[mine], quantiles[:, mine] = mixture.cdf(came), mixture.quantile(LEVELS)
    return crps, log_score, pit, quantiles


def quantile_score(quantiles: np.ndarray, outcome: np.ndarray) -> np.ndarray:
    """Mean pinball loss over `LEVELS`: (..., levels, rows) and (rows,) to (..., rows)."""
    error = outcome - quantiles
    levels = LEVELS[:, None]
    return np.maximum(levels * error, (levels - 1) * error).mean(axis=-2)
