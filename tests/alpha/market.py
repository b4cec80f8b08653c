"""Made-up prices, small results, and a watcher that only listens."""

from __future__ import annotations

import numpy as np

from tilewright.alpha.results import LEVELS, MODELS, Result
from tilewright.alpha.tables import Prices
from tilewright.alpha.windows import TEST


def prices(days: int = 620, stocks: int = 3, seed: int = 0) -> Prices:
    """Random walks with a common part."""
    rng = np.random.default_rng(seed)
    returns = 0.01 * (rng.standard_t(5, (days, 1)) + rng.standard_t(5, (days, stocks)))
    dates = np.datetime64("2015-01-01") + np.arange(days)
    names = tuple(f"S{i}" for i in range(stocks))
    return Prices(tuple(map(str, dates)), names, 50 * np.exp(returns.cumsum(axis=0)), "made up")


def result(series: str = "real", index: int = 0, test: int = 504, stocks: int = 3) -> Result:
    """A window whose figures are random."""
    rng = np.random.default_rng([index, 7])
    rows = TEST * stocks
    table = rng.uniform(0.4, 0.6, (len(MODELS), rows)).astype(np.float32)
    few = np.array([0.9, 0.8])
    return Result(
        series, index, test,
        outcome=rng.normal(size=rows).astype(np.float32),
        mean=rng.normal(size=(len(MODELS), rows)).astype(np.float32),
        crps=table, log_score=table + 1, pit=rng.uniform(size=table.shape).astype(np.float32),
        quantiles=np.sort(rng.normal(size=(len(LEVELS), rows)), axis=0).astype(np.float32),
        df=4.0, r_hat=np.full(10, 1.01), ess=np.full(10, 150.0), acceptance=few,
        divergences=0 * few, leapfrogs=3000 * few, step_size=few, failure="",
    )  # fmt: skip


class Listener:
    """Keeps what a job says; may stop it after some windows."""

    def __init__(self, stop_after: int | None = None):
        self.stages: list[str] = []
        self.done: list[tuple[str, int]] = []
        self.left: int | None = None
        self.stop_after = stop_after

    def stage(self, text: str) -> None:
        self.stages.append(text)

    def outlook(self, ask) -> None:
        self.asked = ask

    def progress(self, progress) -> None:
        self.resumed = progress.resumed

    def window(self, result: Result, progress) -> None:
        self.done.append((result.series, result.index))
        if len(self.done) == self.stop_after:
            raise KeyboardInterrupt

    def fewer(self, windows: int, planned: int) -> None:
        self.left = windows
