"""What the net is held against: null, ridge, OLS with the net's noise, and OLS with normal noise.

In: a window's rows and df. Out: for each model the location of every test row, one scale, and the
noise's df (infinite: normal).
"""

from __future__ import annotations

import numpy as np

from tilewright.alpha.noise import fit_scale
from tilewright.frozen import frozen

NULL, RIDGE, OLS, NORMAL = "null", "ridge", "OLS", "OLS, normal"
NAMES = (NULL, RIDGE, OLS, NORMAL)
PENALTIES = np.logspace(1, 6, 11)


@frozen
class Baseline:
    """Forecast of a window: location (test rows,), scale, degrees of freedom."""

    location: np.ndarray
    scale: float
    df: float


def baselines(X: np.ndarray, y: np.ndarray, X_test: np.ndarray, df: float) -> dict[str, Baseline]:
    """Fit all of them on rows X (rows, features), y (rows,)."""
    least = _Linear(X, y, 0.0)
    shrunk = _Linear(X, y, best_penalty(X, y))
    deviation = float(np.sqrt(np.sum(least.residuals**2) / (len(y) - X.shape[1] - 1)))
    return {
        NULL: Baseline(np.zeros(len(X_test)), fit_scale(y, df), df),
        RIDGE: Baseline(shrunk.predict(X_test), fit_scale(shrunk.residuals, df), df),
        OLS: Baseline(least.predict(X_test), fit_scale(least.residuals, df), df),
        NORMAL: Baseline(least.predict(X_test), deviation, np.inf),
    }


class _Linear:
    """Ridge regression with an unpenalised intercept; a penalty of 0 is least squares."""

    def __init__(self, X: np.ndarray, y: np.ndarray, penalty: float):
        self.centre, self.intercept = X.mean(axis=0), float(y.mean())
        Xc, yc = X - self.centre, y - self.intercept
        gram = Xc.T @ Xc + penalty * np.eye(X.shape[1])
        self.slope = np.linalg.lstsq(gram, Xc.T @ yc, rcond=None)[0]  # constant features: slope 0
        self.residuals = y - self.predict(X)

    def predict(self, X: np.ndarray) -> np.ndarray:
        return (X - self.centre) @ self.slope + self.intercept


def best_penalty(X: np.ndarray, y: np.ndarray) -> float:
    """The ridge penalty with the least score."""
    return float(PENALTIES[int(np.argmin(cross_validation(X, y, PENALTIES)))])


def cross_validation(
    X: np.ndarray, y: np.ndarray, penalties: np.ndarray, weight: np.ndarray | None = None
) -> np.ndarray:
    """Generalised cross-validation of ridge regressions with an intercept, (penalties,).

    A sum of squares over all rows, as it would be of rows not fitted (Golub, Heath & Wahba 1979). A
    row counts `weight` (rows,) times.
    """
    Xc = X - np.average(X, axis=0, weights=weight)
    yc, rows = y - np.average(y, weights=weight), float(len(y))
    if weight is not None:
        root, rows = np.sqrt(weight), float(weight.sum())
        Xc, yc = Xc * root[:, None], yc * root
    values, vectors = np.linalg.eigh(Xc.T @ Xc)
    along = vectors.T @ (Xc.T @ yc)
    total = float(yc @ yc)
    scores = []
    for penalty in penalties:
        shrunk = along / (values + penalty)
        error = total - 2 * shrunk @ along + (shrunk * values) @ shrunk
        freedom = 1 + np.sum(values / (values + penalty))
        scores.append(error / (1 - freedom / rows) ** 2)
    return np.array(scores)
