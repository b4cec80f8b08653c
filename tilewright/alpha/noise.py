"""Student-t noise fitted by maximum likelihood: the scale of residuals, and the window's df.

The degrees of freedom are those that suit the window's targets best as pure noise, from a grid;
every model of a window has the same, so that a difference of scores is one of means and scales.
"""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln

DEGREES = np.array([2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0, 12.0, 20.0, 30.0])


def fit_scale(residuals: np.ndarray, df: float, weight: np.ndarray | None = None) -> float:
    """Scale of t noise about zero, by the EM iteration of Lange, Little & Taylor (1989).

    A row counts `weight` (rows,) times.
    """
    squares = residuals**2
    variance = float(np.median(squares)) + 1e-12
    for _ in range(100):
        shares = (df + 1) / (df + squares / variance)
        new = float(np.average(shares * squares, weights=weight)) + 1e-12
        if abs(new / variance - 1) < 1e-9:
            break
        variance = new
    return variance**0.5


def fit_degrees(target: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Degrees of freedom of a window's targets (rows,), as noise about zero."""
    found = [
        np.average(_log_likelihood(target, fit_scale(target, df, weight), df), weights=weight)
        for df in DEGREES
    ]
    return float(DEGREES[int(np.argmax(found))])


def _log_likelihood(residuals: np.ndarray, scale: float, df: float) -> np.ndarray:
    z = residuals / scale
    constant = gammaln((df + 1) / 2) - gammaln(df / 2) - 0.5 * np.log(df * np.pi) - np.log(scale)
    return constant - (df + 1) / 2 * np.log1p(z * z / df)
