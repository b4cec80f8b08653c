"""Did the chains of a window agree? Function-space diagnostics, by ArviZ.

In: forecasts of all chains. Out: R-hat and effective sample sizes of quantities that have a
meaning: the predictive mean of test rows, and the noise scale (of the same rows, where it differs
from row to row). (Weights of a net can be permuted
and flipped without a change of the forecast: their R-hat says little. Both measures are those of
Vehtari et al. 2021.)
"""

from __future__ import annotations

import warnings

import numpy as np

from tilewright.alpha.errors import AlphaError
from tilewright.frozen import frozen

ROWS = 9
"""Test rows that are looked at, evenly spread over the test block."""
AGREED, WORST_R_HAT, APART = 1.03, 1.2, 1.5
"""R-hat at which chains agree in `ROWS` rows, and so to 1.05 in nearly all; above which they
failed; and of chains that are each in a mode of its own, where longer ones do not meet."""
LEAST_ACCEPTANCE = 0.5
MOST_DIVERGENT = 0.05
MOVED, FEWEST = 0.1, 20
"""Share of its draws that are places of their own, of a chain that moves at all; draws below which
that means nothing."""


@frozen
class Diagnosis:
    """R-hat and ESS of each quantity, the noise scale last; `failure` is empty or says why."""

    r_hat: np.ndarray  # (ROWS + 1,), or (2 ROWS,) where scales differ
    ess: np.ndarray
    failure: str


def diagnose(
    mean: np.ndarray,
    scale: np.ndarray,
    acceptance: np.ndarray,
    divergences: np.ndarray,
    log_density: np.ndarray,
) -> Diagnosis:
    """From mean (chains, draws, rows), scale (chains, draws[, rows]), log density (chains, draws),
    and two figures a chain.

    Both measures are of ranks (R-hat) or nearly so: those of a scale and of its logarithm agree.
    """
    chosen = np.linspace(0, mean.shape[2] - 1, ROWS).astype(int)
    scales = scale[:, :, None] if scale.ndim == 2 else scale[:, :, chosen]
    traces = np.concatenate([mean[:, :, chosen], scales], axis=2).astype(np.float64)
    if not np.isfinite(traces).all():
        nothing = np.full(traces.shape[2], np.nan)
        return Diagnosis(nothing, nothing, "draws are not finite")
    if not np.isfinite(log_density).all():
        nothing = np.full(traces.shape[2], np.nan)
        return Diagnosis(nothing, nothing, "no start of a chain has a finite density")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import arviz

        columns = [np.ascontiguousarray(traces[:, :, i]) for i in range(traces.shape[2])]
        r_hat = np.array([float(arviz.rhat(trace)) for trace in columns])
        ess = np.array([float(arviz.ess(trace)) for trace in columns])
    return Diagnosis(r_hat, ess, _failure(r_hat, acceptance, divergences / mean.shape[1]))


def check_alive(divergences: np.ndarray, log_density: np.ndarray) -> None:
    """Raise `AlphaError` where no chain has moved: there is no posterior to forecast by.

    Of each chain: the number of divergent draws (chains,), log density (chains, draws).
    """
    chains, draws = log_density.shape
    started = np.isfinite(log_density).any(axis=1)
    if not started.any():
        raise AlphaError(
            f"None of {chains} chains can start: the posterior's density is not finite anywhere "
            "that was tried; is the target in units that the prior expects?"
        )
    places = np.array([len(np.unique(chain)) for chain in log_density])
    stuck = ~started | (divergences >= draws) | (places < MOVED * draws)
    if draws >= FEWEST and stuck.all():
        raise AlphaError(
            f"All {chains} chains diverged, or stood still: the posterior is far narrower than "
            "their steps; is the target in units that the prior expects?"
        )


def _failure(r_hat: np.ndarray, acceptance: np.ndarray, divergent: np.ndarray) -> str:
    if not r_hat.max() <= WORST_R_HAT:
        return f"chains disagree: R-hat {r_hat.max():.2f}"
    if not acceptance.min() >= LEAST_ACCEPTANCE:
        return f"a chain accepted {acceptance.min():.0%}"
    if divergent.max() > MOST_DIVERGENT:
        return f"{divergent.max():.0%} of a chain's draws diverged"
    return ""
