"""Scores and quantiles of a forecast that is a mixture, over draws, of Student-t distributions.

In: locations (draws, rows), scales (draws,) or (draws, rows), degrees of freedom, one for all
(infinite: normal) or one a draw, and outcomes (rows,). Out: arrays over rows, with no sampling
error beyond that of the draws.

CRPS = E|X - y| - integral of F(1 - F) (Gneiting & Raftery 2007). The first term is in closed form
for each draw; the second is a trapezoid sum after x = centre + unit * sinh(v), under which it
converges as fast as the number of nodes allows; what lies beyond the nodes is in closed form again.
Rows whose draws lie apart, or differ much in scale, fall between such nodes: their intervals are
halved (`apart.py`). Expected shortfall is in closed form once its quantile is found, and at its
extreme there, so that it is surer than the quantile (Rockafellar & Uryasev 2000).
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import logit, logsumexp

from tilewright.alpha.apart import inverse, spread
from tilewright.alpha.student import (
    LIGHT,
    Student,
    exact_cdf,
    exact_quantile,
    log_student,
    partial_mean,
)
from tilewright.frozen import frozen

NODES = 64
REACH = 9.0
"""The nodes end at sinh(9) = 4,000 scales."""
NEWTON = 4
FAR, CLOSE = 1e-4, 1e-5
"""Levels beyond which tables do not tell; how near, as a share, a quantile's level must be."""
UNSEEN = 1e-3
"""Error of the nodes, as a share of the unit, from which on a row is looked at closely: that takes
some thirty times as long. Below it, means over rows are right to 1e-5 of themselves."""
MOST_POLE = 8.0
"""Degrees of freedom that a normal distribution counts as having, for nodes."""
ROWS, PAIRS = 32, 4096
"""That are looked at closely together, and places of theirs."""


@frozen(repr=False, eq=False)
class Mixture:
    """Locations (draws, rows), scales (draws,) or (draws, rows), degrees of freedom () or (draws,).

    Raises ValueError for shapes that do not belong together, for scales or degrees of freedom that
    are not above zero, and for locations and scales that are not finite.
    """

    location: np.ndarray
    scale: np.ndarray
    df: float | np.ndarray

    def __post_init__(self) -> None:
        for name in ("location", "scale"):
            object.__setattr__(self, name, np.asarray(getattr(self, name)))
        draws = np.shape(self.location)[:1]
        if np.ndim(self.location) != 2 or not draws[0]:
            raise ValueError(
                "location must be (draws, rows), with a draw, not of shape "
                f"{np.shape(self.location)}."
            )
        if np.shape(self.scale) not in (draws, np.shape(self.location)):
            raise ValueError(
                f"scale must be of shape {draws} or {np.shape(self.location)}, as location is, not "
                f"{np.shape(self.scale)}."
            )
        if np.shape(self.df) not in ((), draws):
            raise ValueError(f"df must be a number or {draws}, not of shape {np.shape(self.df)}.")
        if not np.isfinite(self.location).all() or not np.isfinite(self.scale).all():
            raise ValueError("location and scale must be finite everywhere.")
        if not (np.asarray(self.scale) > 0).all():
            raise ValueError("scale must be above 0 everywhere.")
        least = 1 if np.ndim(self.df) else 0
        if not (np.asarray(self.df) > least).all():
            raise ValueError(f"df must be above {least}{' in every draw' * least}.")

    def __repr__(self) -> str:
        draws, rows = self.location.shape
        low, high = float(np.min(self.df)), float(np.max(self.df))
        df = f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
        return f"Mixture of {draws} Student-t distributions (df {df}) for each of {rows} rows"

    def __len__(self) -> int:
        return self.location.shape[1]

    def mean(self) -> np.ndarray:
        """Mean of the locations, (rows,); that of the distribution where all df are above 1."""
        return self.location.mean(axis=0)

    def deviation(self) -> np.ndarray:
        """Standard deviation, (rows,); infinite where some df is 2 or less."""
        factor = _variance(self.df)
        noise = np.mean(factor * self.scale.T**2, axis=-1)  # (), or (rows,)
        return np.sqrt(noise + self.location.var(axis=0))

    def cdf(self, x: Any) -> np.ndarray:
        """P(X <= x), (rows,), NaN where x is."""
        x = np.asarray(x, np.float64)
        found = self._student.cdf(self._z(np.nan_to_num(x, posinf=np.inf, neginf=-np.inf)))
        return np.where(np.isnan(x), np.nan, found.mean(axis=0))

    def pdf(self, x: Any) -> np.ndarray:
        """Density, (rows,)."""
        return np.exp(self.log_pdf(x))

    def log_pdf(self, x: Any) -> np.ndarray:
        """Log density, (rows,), in nats."""
        each = log_student(self._z(x), self._df) - np.log(self._scale)
        return logsumexp(each, axis=0) - np.log(len(self.scale))

    def log_score(self, y: Any) -> np.ndarray:
        """Minus the log density, (rows,); smaller is better."""
        return -self.log_pdf(y)

    def quantile(self, levels: Any) -> np.ndarray:
        """(levels, rows), or (rows,) for one level, from 0 (minus infinity) to 1 (infinity).

        Read off the nodes, then found by Newton's method between the nodes beside it; where that
        does not end, or tables do not tell, by halving. Raises ValueError for what is no level.
        """
        wanted = np.asarray(levels, np.float64)
        if wanted.ndim > 1 or not ((wanted >= 0) & (wanted <= 1)).all():
            raise ValueError(f"Levels must lie between 0 and 1, not {levels!r}.")
        found = [self._quantile(float(p)) for p in wanted.flat]
        return np.reshape(found, (*wanted.shape, len(self)))

    def interval(self, share: float) -> tuple[np.ndarray, np.ndarray]:
        """Ends (rows,) of the central interval that holds this share of the probability."""
        if not 0 <= share <= 1:
            raise ValueError(f"share must lie between 0 and 1, not {share!r}.")
        low, high = self.quantile([0.5 - share / 2, 0.5 + share / 2])
        return low, high

    def expected_shortfall(self, level: float) -> np.ndarray:
        """Mean of what lies below the quantile of a level, (rows,). All df must be above 1.

        Of the upper tail it is that of minus the target. Raises ValueError unless 0 < level <= 1.
        """
        if not 0 < level <= 1:
            raise ValueError(f"level must be above 0, and 1 at most, not {level!r}.")
        if level == 1:
            return self.mean()
        at = self.quantile(level)
        z = self._z(at)
        F = exact_cdf(z, self._df) if _is_far(level) else self._student.cdf(z)
        under = self._scale * (z * F - partial_mean(z, self._df))
        return at - under.mean(axis=0) / level

    def sample(self, count: int, random_state: Any = None) -> np.ndarray:
        """Random outcomes, (count, rows): all rows of one outcome are from the same draw."""
        from sklearn.utils import check_random_state  # it takes a second to import

        rng = check_random_state(random_state)
        draw = rng.randint(len(self.location), size=count)
        df = np.broadcast_to(self.df, len(self.location))[draw][:, None]
        shape = count, len(self)
        heavy = np.isfinite(df)
        chi = rng.chisquare(np.where(heavy, df, 1.0), shape) / np.where(heavy, df, 1.0)
        z = rng.standard_normal(shape) / np.sqrt(np.where(heavy, chi, 1.0))
        return self.location[draw] + np.broadcast_to(self._scale, self.location.shape)[draw] * z

    def crps(self, y: Any) -> np.ndarray:
        """Continuous ranked probability score, (rows,), in units of y; smaller is better.

        Infinite for one number of degrees of freedom up to 1; NaN where y is.
        """
        y = np.asarray(y, np.float64)
        z = self._z(np.nan_to_num(y, posinf=np.inf, neginf=-np.inf))
        if np.min(self.df) <= 1:
            return np.where(np.isnan(y), np.nan, np.inf) + np.zeros(len(self))
        distance = z * (2 * self._student.cdf(z) - 1) - 2 * partial_mean(z, self._df)
        found = (self._scale * distance).mean(axis=0) - self._spread
        return np.where(np.isnan(y), np.nan, found)

    @cached_property
    def _spread(self) -> np.ndarray:
        """Integral of F (1 - F), (rows,): half of the mean distance of two outcomes."""
        nodes, F = self._nodes
        inside = F * (1 - F)
        v = np.linspace(-REACH, REACH, NODES)
        width = (v[1] - v[0]) * np.cosh(v)
        width[[0, -1]] /= 2
        found = inside @ width * np.ravel(self._unit) + self._beyond(nodes[:, 0], nodes[:, -1])
        coarse = np.flatnonzero(self._unseen > UNSEEN)
        for rows in np.split(coarse, range(ROWS, len(coarse), ROWS)):
            found[rows] = self._of(rows)._closely()
        return found

    def _closely(self) -> np.ndarray:
        """The same, whatever the draws."""
        if not len(self):
            return np.empty(0)
        centre = self.mean()
        width = np.broadcast_to(np.ravel(self._unit), centre.shape)
        width = np.maximum(width, np.abs(self.location - centre).max(axis=0))
        reach = np.sinh(REACH) * width
        return spread(self._at, centre, width) + self._beyond(centre - reach, centre + reach)

    def _at(self, x: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Distribution function at places (pairs,) of rows (pairs,)."""
        found = np.empty(len(x))
        for first in range(0, len(x), PAIRS):
            part = slice(first, first + PAIRS)
            scale = self._scale[:, rows[part]] if self._scale.shape[1] > 1 else self._scale
            z = (x[part] - self.location[:, rows[part]]) / scale
            found[part] = self._student.cdf(z).mean(axis=0)
        return found

    def _beyond(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """E[low - X; X < low] + E[X - high; X > high], (rows,), where tails are so heavy."""
        if np.min(self.df) >= LIGHT:
            return np.zeros(len(self))
        found = np.zeros(len(self))
        for z in (self._z(low), -self._z(high)):
            under = z * exact_cdf(z, self._df) - partial_mean(z, self._df)
            found += (self._scale * np.maximum(under, 0.0)).mean(axis=0)
        return found

    @property
    def _unseen(self) -> np.ndarray:
        """About how far the trapezoid sum is off, (rows,), in units.

        The distribution function of a draw has its poles the root of df scales from the real line,
        so with nodes a step apart its sum is off by about exp(-2 pi root(df) scale / step) steps.
        """
        away = np.hypot((self.location - self.mean()) / np.ravel(self._unit), 1.0)
        step = 2 * REACH / (NODES - 1) * away
        size = self._scale / np.ravel(self._unit)
        root = np.sqrt(np.minimum(self._df, MOST_POLE))
        off = step * np.exp(-2 * np.pi * root * size / step)
        return off.mean(axis=0)

    def _of(self, rows: np.ndarray) -> Mixture:
        """That of some rows."""
        scale = self.scale if self.scale.ndim == 1 else self.scale[:, rows]
        return Mixture(self.location[:, rows], scale, self.df)

    def _quantile(self, p: float) -> np.ndarray:
        if p in (0.0, 1.0):
            return np.full(len(self), -np.inf if p == 0 else np.inf)
        if _is_far(p):
            return self._between(p)
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
        off = np.flatnonzero(np.abs(self.cdf(x) - p) > CLOSE * min(p, 1 - p))
        for rows in np.split(off, range(ROWS, len(off), ROWS)):
            x[rows] = self._of(rows)._between(p)
        return x

    def _between(self, p: float) -> np.ndarray:
        """A quantile, (rows,): it lies between those of the draws."""
        if p > 0.5 and _is_far(p):  # what lies above has more digits than p
            return -Mixture(-self.location, self.scale, self.df)._between(1 - p)
        z = np.broadcast_to(exact_quantile(p, self._df), (len(self.location), 1))
        each = self.location + self._scale * z
        far = _is_far(p)
        return inverse(self._exactly if far else self.cdf, p, each.min(axis=0), each.max(axis=0))

    def _exactly(self, x: np.ndarray) -> np.ndarray:
        """P(X <= x), (rows,), to the last digits, where that is little."""
        return exact_cdf(self._z(x), self._df).mean(axis=0)

    def _z(self, x: Any) -> np.ndarray:
        return (np.asarray(x) - self.location) / self._scale

    @property
    def _scale(self) -> np.ndarray:
        """(draws, 1) or (draws, rows)."""
        return self.scale[:, None] if np.ndim(self.scale) == 1 else self.scale

    @property
    def _df(self) -> Any:
        """A number or (draws, 1)."""
        return float(self.df) if np.ndim(self.df) == 0 else np.asarray(self.df)[:, None]

    @property
    def _unit(self) -> np.ndarray:
        """() or (rows, 1): what nodes are spread by."""
        return self.scale.mean() if np.ndim(self.scale) == 1 else self.scale.mean(axis=0)[:, None]

    @cached_property
    def _student(self) -> Student:
        return Student(self.df)

    @cached_property
    def _nodes(self) -> tuple[np.ndarray, np.ndarray]:
        """Places (rows, nodes) and the distribution function there."""
        offsets = np.sinh(np.linspace(-REACH, REACH, NODES))
        centre = self.mean()[:, None]
        F = np.zeros((len(centre), NODES))
        away = (centre.T - self.location) / np.ravel(self._unit)
        away = away.astype(np.float32)[:, :, None]  # (draws, rows, 1)
        for draw, (shift, scale) in enumerate(zip(away, self._single, strict=True)):
            F += self._student.cdf_of(draw, (offsets.astype(np.float32) + shift) / scale)
        return centre + offsets * self._unit, F / len(self.scale)

    @property
    def _single(self) -> np.ndarray:
        """Scales of float32 in units, (draws,) or (draws, rows, 1)."""
        scale = (self.scale / np.ravel(self._unit)).astype(np.float32)
        return scale if scale.ndim == 1 else scale[:, :, None]


def _is_far(p: float) -> bool:
    return min(p, 1 - p) < FAR


def _variance(df: float | np.ndarray) -> Any:
    """Of the standard Student-t."""
    df = np.asarray(df, np.float64)
    finite = np.where(np.isinf(df) | (df <= 2), 3.0, df)
    return np.where(np.isinf(df), 1.0, np.where(df > 2, finite / (finite - 2), np.inf))
