"""A finished window: forecasts scored against what came, and nothing of the draws but summaries.

In: the draws of a window's chains and its rows. Out: `Result`, small, and the same bits whenever it
is computed. It is written as one .npz file.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from tilewright.alpha.baselines import NAMES, NULL, Baseline, baselines
from tilewright.alpha.diagnostics import diagnose
from tilewright.alpha.mixture import Mixture
from tilewright.alpha.windows import Window, rows_of
from tilewright.files import write_bytes
from tilewright.frozen import frozen

NET = "net"
MODELS = (NET, *NAMES)
LEVELS = np.array([0.05, 0.25, 0.5, 0.75, 0.95])


@frozen
class Result:
    """Arrays over (models, test rows) unless noted; test rows are days x stocks, days first."""

    series: str
    index: int  # what the window is known by
    test: int  # position of the first test day
    outcome: np.ndarray  # (rows,)
    mean: np.ndarray
    crps: np.ndarray
    log_score: np.ndarray  # minus log density: smaller is better
    pit: np.ndarray  # distribution function at the outcome
    quantiles: np.ndarray  # (levels, rows) of the net
    df: float
    r_hat: np.ndarray  # (quantities,)
    ess: np.ndarray  # (quantities,)
    acceptance: np.ndarray  # (chains,)
    divergences: np.ndarray  # (chains,)
    leapfrogs: np.ndarray  # (chains,)
    step_size: np.ndarray  # (chains,)
    failure: str

    def save(self, path: Path, job: str) -> None:
        """All or nothing: a reader never sees half a file. `job` says whose it is."""
        content = io.BytesIO()
        np.savez(content, job=job, **{f.name: getattr(self, f.name) for f in fields(self)})
        write_bytes(path, content.getvalue())

    @staticmethod
    def load(path: Path) -> tuple[Result, str]:
        """What `save` wrote, and for which job. A file that is damaged raises what it will."""
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            values = {name: file[name] for name in file.files}
        plain = {k: v.item() if v.ndim == 0 else v for k, v in values.items()}
        job = plain.pop("job")
        return Result(**plain), job


def result_of(
    series: str,
    window: Window,
    chains: Sequence[Any],
    features: np.ndarray,
    target: np.ndarray,
    df: float,
) -> Result:
    """Score the forecasts of one window; `chains` are `Draws` in the order of chains."""
    X, y, X_test, outcome = rows_of(window, features, target)
    fitted = baselines(X, y, X_test, df)
    mean = np.stack([np.asarray(c.kept.mean, np.float64) for c in chains])
    scale = np.stack([np.asarray(c.kept.scale, np.float64) for c in chains])
    acceptance, divergences, leapfrogs, step_size = (
        np.array([float(getattr(c, name)) for c in chains])
        for name in ("acceptance", "divergences", "leapfrogs", "step_size")
    )
    log_density = np.stack([np.asarray(c.log_density) for c in chains])
    diagnosis = diagnose(mean, scale, acceptance, divergences, log_density)
    finite = np.isfinite(mean).all() and np.isfinite(scale).all()
    net = (
        Mixture(mean.reshape(-1, mean.shape[2]), scale.ravel(), df)
        if finite
        else _mixture(fitted[NULL])  # something to score; the window is marked as failed
    )
    forecasts = [net, *(_mixture(fitted[name]) for name in NAMES)]
    return Result(
        series=series,
        index=window.number,
        test=window.test,
        outcome=outcome.astype(np.float32),
        mean=_table([f.mean() for f in forecasts]),
        crps=_table([f.crps(outcome) for f in forecasts]),
        log_score=_table([-f.log_pdf(outcome) for f in forecasts]),
        pit=_table([f.cdf(outcome) for f in forecasts]),
        quantiles=net.quantile(LEVELS).astype(np.float32),
        df=df,
        r_hat=diagnosis.r_hat,
        ess=diagnosis.ess,
        acceptance=acceptance,
        divergences=divergences,
        leapfrogs=leapfrogs,
        step_size=step_size,
        failure=diagnosis.failure,
    )


def _mixture(model: Baseline) -> Mixture:
    return Mixture(model.location[None, :], np.array([model.scale]), model.df)


def _table(rows: list[np.ndarray]) -> np.ndarray:
    return np.stack(rows).astype(np.float32)
