"""Are the draws of the compiled program those of JAX? One chain of one window, both ways.

In: the chain's draws from the program, and from `machine="xla"` with the same key. Out: `Check`.

Two tests. The first transitions have the same random numbers, so log densities agree but for
rounding. Later the chains part, since a leapfrog trajectory amplifies rounding, and both are
samples of one posterior: their predictive means agree within Monte-Carlo error.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from tilewright.alpha.diagnostics import ROWS
from tilewright.alpha.peer import Measured
from tilewright.frozen import frozen

FIRST = 2
LARGEST_GAP = 1e-4
"""Of log densities, relative."""
LARGEST_Z = 3.0
"""Root mean square over test rows of the difference in Monte-Carlo errors. For rows that all move
together it is one normal variable, for independent ones near 1: beyond 3 once in 370 at most."""


@frozen
class Check:
    """`gap` of the first transitions, relative; `z` of the predictive means."""

    gap: float
    z: float

    @property
    def passed(self) -> bool:
        return bool(self.gap <= LARGEST_GAP and self.z <= LARGEST_Z)

    def sentence(self) -> str:
        verdict = "agree" if self.passed else "DO NOT AGREE"
        return (
            f"Draws of one chain {verdict} with plain JAX: log density of the first {FIRST} "
            f"transitions to {self.gap:.1e}, predictive means to {self.z:.1f} Monte-Carlo errors."
        )


def compare(draws: Any, peer: Measured) -> Check:
    """`draws` of the same chain as the peer's."""
    ours = np.asarray(draws.warm_up, np.float64)[:FIRST]
    theirs = peer.log_density.astype(np.float64)[:FIRST]
    gap = float(np.max(np.abs(ours / theirs - 1)))
    mean = np.asarray(draws.kept.mean, np.float64)
    rows = np.linspace(0, mean.shape[1] - 1, ROWS).astype(int)
    difference = mean[:, rows].mean(axis=0) - peer.mean[:, rows].mean(axis=0)
    error = np.hypot(*(_error(part[:, rows]) for part in (mean, peer.mean)))
    return Check(gap, float(np.sqrt(np.mean((difference / error) ** 2))))


def _error(trace: np.ndarray) -> np.ndarray:
    """Monte-Carlo standard error of the mean of each column (draws, columns), by ArviZ."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import arviz

        sizes = [float(arviz.ess(np.ascontiguousarray(column[None]), method="mean"))
                 for column in trace.T.astype(np.float64)]  # fmt: skip
    return trace.std(axis=0) / np.sqrt(sizes)
