"""Forecasts of a window against what came: small, and all that reports read.

In: forecasts of the test rows, and their outcomes. Out: `Scored`, one .npz file.
"""

from __future__ import annotations

import io
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from tilewright.alpha.diagnostics import diagnose
from tilewright.alpha.mixture import Mixture
from tilewright.alpha.scale.fit import Fit, State, example, state_arrays, state_of
from tilewright.alpha.scale.rivals import RIVALS
from tilewright.alpha.scale.settings import ScaleSettings
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

NET = "net"
MODELS = (NET, *RIVALS)
MOST_DRAWS = 200
"""Of the mixture that is scored: more change no score's third digit, and take long."""


@frozen
class Scored:
    """Arrays over (models, rows) unless noted, NaN where a model says nothing."""

    series: str
    day: str
    places: np.ndarray  # (rows, 2) day and stock
    outcome: np.ndarray  # (rows,) in units of the volatility
    unit: np.ndarray  # (rows,) what it is multiplied by to be a log return
    crps: np.ndarray
    log_score: np.ndarray  # minus log density: smaller is better
    pit: np.ndarray  # distribution function at the outcome
    quantiles: np.ndarray  # (models, levels, rows)
    scale: np.ndarray  # (rows,) of the net: mean over draws
    shortfall: np.ndarray  # (rows,) of the net: mean of the worst 5 %
    r_hat: np.ndarray  # (quantities,)
    ess: np.ndarray
    lock_in: float  # how far warm chains are from the cold ones, in Monte-Carlo errors; NaN: none
    acceptance: np.ndarray  # (chains,)
    divergences: np.ndarray
    gradients: np.ndarray
    cold: np.ndarray  # (chains,) bool
    failure: str
    state: State

    @property
    def models(self) -> tuple[str, ...]:
        return MODELS

    def scores(self) -> dict[str, np.ndarray]:
        return {
            CRPS: self.crps.astype(np.float64),
            LOG: self.log_score.astype(np.float64),
            QUANTILE: quantile_score(self.quantiles.astype(np.float64), self.outcome),
        }

    def save(self, path: Path) -> None:
        """All or nothing; raises OSError."""
        plain: dict[str, Any] = {
            f.name: getattr(self, f.name) for f in fields(self) if f.name != "state"
        }
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **plain, **state_arrays(self.state))
        write_bytes(path, content.getvalue())

    @staticmethod
    def load(path: Path, settings: ScaleSettings) -> Scored:
        """What `save` wrote; raises `AlphaError` for a file that is damaged."""
        arrays: dict[str, Any] = arrays_in(path)
        names = [f.name for f in fields(Scored) if f.name != "state"]
        plain = {n: arrays[n].item() if arrays[n].ndim == 0 else arrays[n] for n in names}
        return Scored(**plain, state=state_of(arrays, example(settings)))


def scored(
    series: str,
    day: str,
    fit: Fit,
    X: np.ndarray,
    places: np.ndarray,
    outcome: np.ndarray,
    unit: np.ndarray,
    others: dict[str, Forecast],
) -> Scored:
    """Of test rows X (rows, 28) at `places`, and what came of them, (rows,)."""  # fmt: skip
    mean, scale, df = fit.forecasts(X)
    diagnosis = diagnose(mean, scale, fit.acceptance, fit.divergences, fit.log_density)
    finite = np.isfinite(mean).all() and np.isfinite(scale).all()
    each = max(1, df.size // MOST_DRAWS)
    flat = mean.reshape(-1, len(X))[::each], scale.reshape(-1, len(X))[::each], df.ravel()[::each]
    net = Mixture(*flat) if finite else others["EWMA"]  # something to score: it is marked as failed
    assert isinstance(net, Mixture)
    found = [columns({NET: net, **others}.get(name), outcome) for name in MODELS]
    crps, log_score, pit, quantiles = (
        np.stack(part).astype(np.float32) for part in zip(*found, strict=True)
    )
    return Scored(
        series, day, places.astype(np.int32), outcome.astype(np.float32), unit.astype(np.float32),
        crps, log_score, pit, quantiles,
        scale=flat[1].mean(axis=0).astype(np.float32),
        shortfall=net.expected_shortfall(0.05).astype(np.float32),
        r_hat=diagnosis.r_hat, ess=diagnosis.ess, lock_in=lock_in(np.log(scale), fit.cold),
        acceptance=fit.acceptance, divergences=fit.divergences, gradients=fit.gradients,
        cold=fit.cold, failure=diagnosis.failure, state=fit.state,
    )  # fmt: skip


def lock_in(traces: np.ndarray, cold: np.ndarray) -> float:
    """Largest distance of warm chains' means from the cold ones', in Monte-Carlo errors.

    `traces` is (chains, draws, rows). Of some rows that are looked at, with errors from the
    effective sample sizes. A chain that is locked into one mode while a cold one finds another
    shows here.
    """
    if cold.all() or not cold.any() or not np.isfinite(traces).all():
        return float("nan")
    import arviz

    chosen = np.linspace(0, traces.shape[2] - 1, 5).astype(int)
    found = []
    for row in chosen:
        parts = [np.ascontiguousarray(traces[which, :, row]) for which in (cold, ~cold)]
        error = np.hypot(*(part.std() / np.sqrt(float(arviz.ess(part))) for part in parts))
        found.append(abs(parts[0].mean() - parts[1].mean()) / error)
    return float(np.max(found))
