"""Whether the noise of a regression depends on its features, before anything is sampled.

In: standardised features (rows, features), a target (rows,) of about unit variance. Out: a p-value,
always the same for the same rows: how often noise that is the same everywhere would look so uneven.

The mean is a Gaussian process with a length for each feature. What it says of a row when that row
is left out, the residual over its own predictive deviation, is standard normal where noise is the
same everywhere (Sundararajan & Keerthi 2001), also where rows are few or the mean is steep, where
residuals alone are larger. The absolute values are regressed on features, their squares and the
forecast (Glejser 1969; White 1980), and the share of variance explained is held against that of
permuted rows, so neither heavy tails nor many columns raise a false alarm. A mean that is far
steeper in places than elsewhere does: no length fits it, and its residuals look like noise there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.linalg
import scipy.optimize
from threadpoolctl import threadpool_limits

FEWEST, MOST = 50, 400
"""Rows below which nothing is said, and those that are looked at, evenly spread."""
PERMUTATIONS = 999
SPREAD = 1.5
"""Prior deviation of each log-scale of the process."""
STEPS = 60
"""Of the optimiser, at most."""
BOUND = 5.0
"""Log-scales lie so far from 0 at most: a target without noise leaves a matrix that inverts."""


class LeftOut(NamedTuple):
    """Of each row, from all others, (rows,)."""

    forecast: np.ndarray
    residual: np.ndarray  # over its predictive deviation


def p_value(X: np.ndarray, y: np.ndarray) -> float:
    """Of noise that is the same everywhere; 1 where rows are too few, or y is constant."""
    chosen = np.unique(np.linspace(0, len(y) - 1, MOST).astype(int))
    X, y = X[chosen], y[chosen]
    if len(y) < FEWEST or np.ptp(y) == 0:
        return 1.0
    with threadpool_limits(1, "blas"):  # of matrices this small several threads wait for each other
        found = leave_one_out(most_likely(X, y), X, y)
        return _permuted(np.abs(found.residual), np.column_stack([X, X * X, found.forecast]))


def most_likely(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Log-scales of the process: a length for each feature, signal and noise, (features + 2,)."""
    centre = np.array([*np.full(X.shape[1], 0.5 * np.log(X.shape[1])), 0.0, -1.0])
    found = scipy.optimize.minimize(
        _surprise, centre, (X, y - y.mean(), centre), "L-BFGS-B", jac=True,
        bounds=[(-BOUND, BOUND)] * len(centre), options={"maxiter": STEPS},
    )  # fmt: skip
    return found.x


def leave_one_out(logs: np.ndarray, X: np.ndarray, y: np.ndarray) -> LeftOut:
    """By the process of these log-scales, about the mean of all rows."""
    inverse = _inverse(_signal(logs, X)[1], logs)[0]
    pulled, precision = inverse @ (y - y.mean()), np.diag(inverse)
    return LeftOut(y - pulled / precision, pulled / np.sqrt(precision))


def _surprise(
    logs: np.ndarray, X: np.ndarray, y: np.ndarray, centre: np.ndarray
) -> tuple[float, np.ndarray]:
    """Minus log posterior of lengths, signal and noise, up to a constant, and its slopes."""
    scaled, signal = _signal(logs, X)
    inverse, half_log = _inverse(signal, logs)
    pulled = inverse @ y
    off = inverse - np.outer(pulled, pulled)
    pull = off * signal
    lengths = pull.sum(axis=1) @ scaled**2 - np.sum(scaled * (pull @ scaled), axis=0)
    away = (logs - centre) / SPREAD
    slopes = np.array([*lengths, pull.sum(), np.trace(off) * np.exp(2 * logs[-1])])
    value = 0.5 * (y @ pulled + away @ away) + half_log
    return float(value), slopes + away / SPREAD


def _signal(logs: np.ndarray, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features over their lengths, (rows, features), and the mean's covariance, (rows, rows)."""
    scaled = X * np.exp(-logs[:-2])
    half = 0.5 * np.sum(scaled**2, axis=1)
    return scaled, np.exp(2 * logs[-2] + scaled @ scaled.T - half[:, None] - half)


def _inverse(signal: np.ndarray, logs: np.ndarray) -> tuple[np.ndarray, float]:
    """Of the covariance with noise, and half the logarithm of its determinant."""
    covariance = signal + np.exp(2 * logs[-1]) * np.eye(len(signal))
    factor = scipy.linalg.cho_factor(covariance, lower=True)
    half_log = float(np.sum(np.log(np.diag(factor[0]))))
    return scipy.linalg.cho_solve(factor, np.eye(len(signal))), half_log


def _permuted(sizes: np.ndarray, columns: np.ndarray) -> float:
    """p-value of the share of `sizes` (rows,) that columns (rows, columns) explain."""
    basis = scipy.linalg.orth(columns - columns.mean(axis=0))
    off = sizes - sizes.mean()
    others = np.random.default_rng(0).permuted(np.tile(off, (PERMUTATIONS, 1)), axis=1)
    beyond = np.sum((others @ basis) ** 2, axis=1) >= np.sum((off @ basis) ** 2)
    return float((1 + beyond.sum()) / (1 + PERMUTATIONS))
