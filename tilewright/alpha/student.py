"""The standard Student-t distribution, fast: densities, partial means, and its cdf from tables.

In: places z, degrees of freedom (infinite: normal), one number or one a draw. Out: values to 1e-7.

For one number, a table over asinh(z) is read by linear interpolation. Degrees of freedom that are
draws are each seen once: a coarse table is interpolated for each, by cubics in 1/df between those
of a fixed grid, and read by Hermite's cubics, for which the density gives the slopes.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from scipy.special import gammaln, ndtr, ndtri, stdtr, stdtrit

REACH = 9.0
"""Tables end at sinh(9) = 4,000 scales."""
LIGHT = 4.0
"""Degrees of freedom from which on less than 1e-13 lies beyond them."""
STEP = 1 / 1024
COARSE, GRID = 1 / 32, 64
"""Step of the tables of draws; intervals of 1/df from 0 to 1."""
LOG_2_PI = float(np.log(2 * np.pi))


class Student:
    """Distribution functions for one number of degrees of freedom, or one a draw."""

    def __init__(self, df: float | np.ndarray):
        """`df` is a number or (draws,); draws are above 1."""
        self.df = float(df) if np.ndim(df) == 0 else None
        self._each = np.asarray(df, np.float64)
        self.tables = None if np.ndim(df) == 0 else _tables(self._each)

    def cdf(self, z: np.ndarray) -> np.ndarray:
        """Of the standard distribution at `z` (draws, ...)."""
        if self.tables is None:
            assert self.df is not None
            return student_cdf(z, self.df)
        rows = np.arange(len(z)).reshape(-1, *[1] * (z.ndim - 1))
        return _beyond(_read_coarse(self.tables, rows, z), z, self._each[rows])

    def cdf_of(self, draw: int, z: np.ndarray) -> np.ndarray:
        """That of one draw, for places of any shape."""
        if self.tables is None:
            assert self.df is not None
            return student_cdf(z, self.df)
        return _beyond(_read_coarse(self.tables, draw, z), z, self._each[draw])


def log_student(z: np.ndarray, df: float | np.ndarray) -> np.ndarray:
    """Log density of the standard Student-t."""
    normal = np.isinf(df)
    if np.all(normal):
        return -0.5 * (z * z + LOG_2_PI)
    heavy = np.where(normal, 1.0, df)
    found = _constant(heavy) - (heavy + 1) / 2 * np.log1p(z * z / heavy)
    return np.where(normal, -0.5 * (z * z + LOG_2_PI), found) if np.any(normal) else found


def partial_mean(z: np.ndarray, df: float | np.ndarray) -> np.ndarray:
    """E[Z; Z <= z] of the standard Student-t, minus infinity for df up to 1."""
    normal = np.isinf(df)
    if np.all(normal):
        return -np.exp(log_student(z, df))
    heavy = np.where(normal | (df <= 1), 2.0, df)
    body = _constant(heavy) - (heavy - 1) / 2 * np.log1p(z * z / heavy)
    found = -np.exp(body) * heavy / (heavy - 1)
    found = np.where(df <= 1, -np.inf, found)
    return np.where(normal, -np.exp(log_student(z, np.inf)), found) if np.any(normal) else found


def exact_cdf(z: np.ndarray, df: float | np.ndarray) -> np.ndarray:
    """Distribution function to the last digits, far out, too; slow."""
    normal = np.isinf(df)
    if np.all(normal):
        return ndtr(z)
    found = stdtr(np.where(normal, 1.0, df), z)
    return np.where(normal, ndtr(z), found) if np.any(normal) else found


def exact_quantile(p: float, df: float | np.ndarray) -> np.ndarray:
    """Of the standard Student-t, in the shape of `df`."""
    normal = np.isinf(df)
    return np.where(normal, ndtri(p), stdtrit(np.where(normal, 1.0, df), p))


def student_cdf(z: np.ndarray, df: float) -> np.ndarray:
    """Distribution function of the standard Student-t, to 1e-8, from a table over asinh(z)."""
    values, slopes = _table(float(df))
    place = np.arcsinh(z) * (1 / STEP) + (len(values) // 2)
    place = np.clip(place, 0, len(values) - 1.001)
    cell = place.astype(np.int32)
    return _beyond(values.take(cell) + (place - cell) * slopes.take(cell), z, df)


def _beyond(found: np.ndarray, z: np.ndarray, df: float | np.ndarray) -> np.ndarray:
    """What tables give, but for places where they have ended, and the tail has not."""
    if np.min(df) >= LIGHT:
        return found
    far = np.abs(z) > np.sinh(REACH)
    if far.any():
        found[far] = exact_cdf(z[far].astype(np.float64), np.broadcast_to(df, z.shape)[far])
    return found


def _constant(df: np.ndarray) -> np.ndarray:
    """Log density at 0."""
    return gammaln((df + 1) / 2) - gammaln(df / 2) - 0.5 * np.log(df * np.pi)


@lru_cache(maxsize=16)
def _table(df: float) -> tuple[np.ndarray, np.ndarray]:
    count = int(2 * REACH / STEP)
    v = (np.arange(-count, count + 1)) * STEP
    values = exact_cdf(np.sinh(v), df)
    return values, np.append(np.diff(values), 0.0)


def _read_coarse(tables: tuple[np.ndarray, np.ndarray], rows: Any, z: np.ndarray) -> np.ndarray:
    """Hermite's cubics between the nodes of `tables`, of which row `rows` belongs to `z`."""
    values, slopes = tables
    place = np.clip(np.arcsinh(z) * (1 / COARSE) + values.shape[1] // 2, 0, values.shape[1] - 1.001)
    cell = place.astype(np.int32)
    t = place - cell
    left, right = values[rows, cell], values[rows, cell + 1]
    rise = right - left
    first, last = slopes[rows, cell], slopes[rows, cell + 1]
    return left + t * (first + t * (3 * rise - 2 * first - last + t * (first + last - 2 * rise)))


def _tables(df: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values and slopes a node, (draws, nodes) each, for degrees of freedom (draws,)."""
    place = GRID / df
    first = np.clip(np.floor(place) - 1, 0, GRID - 3).astype(int)
    knots = first[:, None] + np.arange(4)
    weights = np.stack([_lagrange(place[:, None], knots, k) for k in range(4)], axis=1)
    values, slopes = (np.einsum("dk,dkn->dn", weights, grid[knots]) for grid in _grid())
    return values, slopes


def _lagrange(place: np.ndarray, knots: np.ndarray, k: int) -> np.ndarray:
    """Weight of knot k of four, (draws,)."""
    others = [i for i in range(4) if i != k]
    return np.prod((place - knots[:, others]) / (knots[:, [k]] - knots[:, others]), axis=1)


@lru_cache(maxsize=1)
def _grid() -> tuple[np.ndarray, np.ndarray]:
    """Values and slopes, (GRID + 1, nodes), for 1/df from 0 to 1."""
    count = int(REACH / COARSE)
    v = np.arange(-count, count + 1) * COARSE
    z = np.sinh(v)
    freedoms = [np.inf, *(GRID / knot for knot in range(1, GRID + 1))]
    values = np.stack([exact_cdf(z, df) for df in freedoms])
    density = np.stack([np.exp(log_student(z, df)) for df in freedoms])
    return values, density * np.cosh(v) * COARSE
