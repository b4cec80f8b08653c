"""Scores and quantiles of a forecast that is a mixture, over draws, of Student-t distributions.

In: locations (draws, rows), scales (draws,), df (infinite: normal), and outcomes (rows,). Out:
arrays over rows, with no sampling error beyond that of the draws.

CRPS = E|X - y| - integral of F(1 - F) (Gneiting & Raftery 2007). The first term is in closed form
for each draw; the second is a trapezoid sum after x = centre + scale * sinh(v), under which it
converges as fast as the number of nodes allows, whatever the tails.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from scipy.special import gammaln, logit, logsumexp, ndtr, stdtr

NODES = 64
REACH = 9.0
"""The nodes end at sinh(9) = 4,000 scales."""
STEP = 1 / 1024
NEWTON = 4


@dataclass(frozen=True)
class Mixture:
    """Locations (draws, rows), scales (draws,), degrees of freedom."""

    location: np.ndarray
    scale: np.ndarray
    df: float

    def mean(self) -> np.ndarray:
        """(rows,)."""
        return self.location.mean(axis=0)

    def deviation(self) -> np.ndarray:
        """Standard deviation, (rows,); infinite for df up to 2."""
        factor = 1.0 if np.isinf(self.df) else self.df / (self.df - 2) if self.df > 2 else np.inf
        return np.sqrt(factor * np.mean(self.scale**2) + self.location.var(axis=0))

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """P(X <= x), (rows,)."""
        return student_cdf(self._z(x), self.df).mean(axis=0)

    def log_pdf(self, x: np.ndarray) -> np.ndarray:
        """(rows,)."""
        scale = self.scale[:, None]
        each = log_student(self._z(x), self.df) - np.log(scale)
        return logsumexp(each, axis=0) - np.log(len(self.scale))

    def quantile(self, levels: Any) -> np.ndarray:
        """(levels, rows), or (rows,) for one level; each above 0 and below 1.

        Read off the nodes, then found by Newton's method between the nodes beside it. No quantile
        lies further out than the last node.
        """
        wanted = np.asarray(levels, np.float64)
        if wanted.ndim > 1 or not ((wanted > 0) & (wanted < 1)).all():
            raise ValueError(f"Levels must lie above 0 and below 1, not {levels!r}.")
        found = [self._quantile(float(p)) for p in wanted.flat]
        return np.reshape(found, (*wanted.shape, self.location.shape[1]))

    def _quantile(self, p: float) -> np.ndarray:
        nodes, F = self._nodes
        each = np.arange(len(F))
        above = np.clip((p > F).sum(axis=1), 1, NODES - 1)
        low, high = nodes[each, above - 1], nodes[each, above]
        left, right = logit(np.clip((F[each, above - 1], F[each, above]), 1e-12, 1 - 1e-7))
        share = (logit(p) - left) / np.maximum(right - left, 1e-12)
        x = low + np.clip(share, 0, 1) * (high - low)
        for _ in range(NEWTON):
            density = np.maximum(np.exp(self.log_pdf(x)), 1e-300)
            x = np.clip(x - (self.cdf(x) - p) / density, low, high)
        return x

    def crps(self, y: np.ndarray) -> np.ndarray:
        """Continuous ranked probability score, (rows,), in units of y; smaller is better."""
        df, scale = self.df, self.scale[:, None]
        z = self._z(y)
        density = np.exp(log_student(z, df))
        distance = z * (2 * student_cdf(z, df) - 1) + 2 * density * _tail(z, df)
        _, F = self._nodes
        inside = F * (1 - F)
        v = np.linspace(-REACH, REACH, NODES)
        width = (v[1] - v[0]) * np.cosh(v) * self._unit()
        return (scale * distance).mean(axis=0) - inside @ width

    def _z(self, x: np.ndarray) -> np.ndarray:
        return (x - self.location) / self.scale[:, None]

    def _unit(self) -> float:
        return float(self.scale.mean())

    @cached_property
    def _nodes(self) -> tuple[np.ndarray, np.ndarray]:
        """Places (rows, nodes) and the distribution function there."""
        offsets = np.sinh(np.linspace(-REACH, REACH, NODES)) * self._unit()
        centre = self.mean()[:, None]
        F = np.zeros((len(centre), NODES))
        away = (centre.T - self.location).astype(np.float32)  # (draws, rows)
        for shift, scale in zip(away, self.scale.astype(np.float32), strict=True):
            F += student_cdf((offsets.astype(np.float32) + shift[:, None]) / scale, self.df)
        return centre + offsets, F / len(self.scale)


def log_student(z: np.ndarray, df: float) -> np.ndarray:
    """Log density of the standard Student-t."""
    if np.isinf(df):
        return -0.5 * (z * z + np.log(2 * np.pi))
    constant = gammaln((df + 1) / 2) - gammaln(df / 2) - 0.5 * np.log(df * np.pi)
    return constant - (df + 1) / 2 * np.log1p(z * z / df)


def _tail(z: np.ndarray, df: float) -> np.ndarray | float:
    """E[Z; Z > z] over the density at z."""
    return 1.0 if np.isinf(df) else (df + z * z) / (df - 1)


def student_cdf(z: np.ndarray, df: float) -> np.ndarray:
    """Distribution function of the standard Student-t, to 1e-8, from a table over asinh(z)."""
    values, slopes = _table(float(df))
    place = np.arcsinh(z) * (1 / STEP) + (len(values) // 2)
    place = np.clip(place, 0, len(values) - 1.001)
    cell = place.astype(np.int32)
    return values.take(cell) + (place - cell) * slopes.take(cell)


@lru_cache(maxsize=16)
def _table(df: float) -> tuple[np.ndarray, np.ndarray]:
    count = int(2 * REACH / STEP)
    v = (np.arange(-count, count + 1)) * STEP
    values = ndtr(np.sinh(v)) if np.isinf(df) else stdtr(df, np.sinh(v))
    return values, np.append(np.diff(values), 0.0)
