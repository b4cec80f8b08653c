"""Forecasts of a window by nets and their rivals against what came: small, all that reports read.

In: forecasts of the test rows, and their outcomes. Out: `Scored`, one .npz file.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from tilewright.alpha.mixture import Mixture
from tilewright.alpha.walking.archive import arrays_in
from tilewright.alpha.walking.scored import (
    CRPS,
    LOG,
    QUANTILE,
    Forecast,
    columns,
    quantile_score,
)
from tilewright.files import write_bytes
from tilewright.frozen import frozen
from tilewright.sequence.forward.settings import DENSITY

SQUARE = "squared error"


@frozen
class Scored:
    """Arrays over (models, rows) unless noted, NaN where a model says nothing; nets first."""

    target: str
    series: str
    day: str
    models: tuple[str, ...]
    places: np.ndarray  # (rows, 2) day and stock
    outcome: np.ndarray  # (rows,)
    unit: np.ndarray  # (rows,) the EWMA volatility
    mean: np.ndarray
    crps: np.ndarray
    log_score: np.ndarray  # minus log density: smaller is better
    pit: np.ndarray  # distribution function at the outcome
    quantiles: np.ndarray  # (models, levels, rows)
    scale: np.ndarray  # (rows,) of the nets: how wide, by which fifths are made
    steps: np.ndarray  # (seeds,) of training, at the best score on later days
    failure: str
    retreats: int  # times that a fit went back with half the rate, all seeds together

    @property
    def main(self) -> str:
        """The score that the verdict is on."""
        return main_score(self.target)

    def scores(self) -> dict[str, np.ndarray]:
        """By name; of each, smaller is better."""
        came = self.outcome.astype(np.float64)
        return {
            LOG: self.log_score.astype(np.float64),
            CRPS: self.crps.astype(np.float64),
            QUANTILE: quantile_score(self.quantiles.astype(np.float64), came),
            SQUARE: (self.mean.astype(np.float64) - came) ** 2,
        }

    def mean_score(self) -> float:
        """Of the nets, the main score."""
        return float(self.scores()[self.main][0].mean())

    def leads(self) -> np.ndarray:
        """(models,) the nets' main score less that of each, over the rows that it speaks of; NaN
        without any."""
        scores = self.scores()[self.main]
        ahead = scores[:1] - scores
        spoken = np.isfinite(ahead).sum(axis=1)
        total = np.nansum(ahead, axis=1)
        return np.divide(total, spoken, out=np.full(len(total), np.nan), where=spoken > 0)

    def save(self, path: Path) -> None:
        """All or nothing; raises OSError."""
        plain: dict[str, Any] = {f.name: np.asarray(getattr(self, f.name)) for f in fields(self)}
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **plain)
        write_bytes(path, content.getvalue())

    @staticmethod
    def load(path: Path) -> Scored:
        """What `save` wrote; raises `AlphaError` for a file that is damaged."""
        arrays: dict[str, Any] = arrays_in(path)
        plain = {name: a.item() if a.ndim == 0 else a for name, a in arrays.items()}
        plain["models"] = tuple(plain["models"].tolist())
        return Scored(**plain)


def main_score(target: str) -> str:
    """Of a target, the score that a verdict is on."""
    return LOG if target == DENSITY else SQUARE


def scored(
    target: str,
    series: str,
    day: str,
    places: np.ndarray,
    outcome: np.ndarray,
    unit: np.ndarray,
    forecasts: Mapping[str, Forecast],
    steps: np.ndarray,
    failure: str,
    retreats: int = 0,
) -> Scored:
    """Of test rows at `places` and what came of them; the nets' forecast is the first."""
    names = tuple(forecasts)
    parts = [columns(forecasts[name], outcome) for name in names]
    crps, log_score, pit, quantiles = (
        np.stack(part).astype(np.float32) for part in zip(*parts, strict=True)
    )
    net = forecasts[names[0]]
    assert isinstance(net, Mixture)
    return Scored(
        target, series, day, names, places.astype(np.int32), outcome.astype(np.float32),
        unit.astype(np.float32),
        mean=np.stack([_mean(forecasts[name], len(outcome)) for name in names]).astype(np.float32),
        crps=crps, log_score=log_score, pit=pit, quantiles=quantiles,
        scale=np.diff(quantiles[0][[1, -2]], axis=0)[0],
        steps=np.asarray(steps), failure=failure, retreats=retreats,
    )  # fmt: skip


def _mean(forecast: Forecast, rows: int) -> np.ndarray:
    """(rows,), NaN where there is none."""
    found = np.full(rows, np.nan)
    if isinstance(forecast, np.ndarray):
        return found
    groups = [(np.arange(rows), forecast)] if isinstance(forecast, Mixture) else forecast
    for mine, mixture in groups:
        found[mine] = mixture.mean()
    return found
