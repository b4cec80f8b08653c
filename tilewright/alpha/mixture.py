"""Scores and quantiles of a forecast that is a mixture, over draws, of Student-t distributions.

In: locations (draws, rows), scales (draws,) or (draws, rows), degrees of freedom, one for all
(infinite: normal) or one a draw, and outcomes (rows,). Out: arrays over rows, with no sampling
error beyond that of the draws.

CRPS = E|X - y| - integral of F(1 - F) (Gneiting & Raftery 2007). The first term is in closed form
for each draw; the second is a trapezoid sum after x = centre + unit * sinh(v), under which it
converges as fast as the number of nodes allows, whatever the tails. Expected shortfall is in closed
form, too, once its quantile is found.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import logit, logsumexp

from tilewright.alpha.student import Student, log_student, partial_mean
from tilewright.frozen import frozen

NODES = 64
REACH = 9.0
"""The nodes end at sinh(9) = 4,000 scales."""
NEWTON = 4


@frozen(repr=False, eq=False)
class Mixture:
    """Locations (draws, rows), scales (draws,) or (draws, rows), degrees of freedom () or (draws,).

    Raises ValueError for shapes that do not belong together, and for scales or degrees of freedom
    that are not above zero.
    """

    location: np.ndarray
    scale: np.ndarray
    df: float | np.ndarray

    def __post_init__(self) -> None:
        draws = np.shape(self.location)[:1]
        if np.ndim(self.location) != 2:
            raise ValueError(
                f"location must be (draws, rows), not of shape {np.shape(self.location)}."
            )
        if np.shape(self.scale) not in (draws, np.shape(self.location)):
            raise ValueError(
                f"scale must be of shape {draws} or {np.shape(self.location)}, as location is, not "
                f"{np.shape(self.scale)}."
            )
        if np.shape(self.df) not in ((), draws):
            raise ValueError(f"df must be a number or {draws}, not of shape {np.shape(self.df)}.")
        if not (self.scale > 0).all():
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
        """P(X <= x), (rows,)."""
        return self._student.cdf(self._z(x)).mean(axis=0)

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

        Read off the nodes, then found by Newton's method between the nodes beside it. No other
        quantile lies further out than the last node. Raises ValueError for what is no level.
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
        z = self._z(self.quantile(level))
        below = self.location * self._student.cdf(z) + self._scale * partial_mean(z, self._df)
        return below.mean(axis=0) / level

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
        """Continuous ranked probability score, (rows,), in units of y; smaller is better."""
        z = self._z(y)
        distance = z * (2 * self._student.cdf(z) - 1) - 2 * partial_mean(z, self._df)
        _, F = self._nodes
        inside = F * (1 - F)
        v = np.linspace(-REACH, REACH, NODES)
        width = (v[1] - v[0]) * np.cosh(v) * self._unit
        spread = inside @ width if width.ndim == 1 else (inside * width).sum(axis=1)
        return (self._scale * distance).mean(axis=0) - spread

    def _quantile(self, p: float) -> np.ndarray:
        if p in (0.0, 1.0):
            return np.full(len(self), -np.inf if p == 0 else np.inf)
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
        offsets = np.sinh(np.linspace(-REACH, REACH, NODES)) * self._unit
        centre = self.mean()[:, None]
        F = np.zeros((len(centre), NODES))
        away = (centre.T - self.location).astype(np.float32)[:, :, None]  # (draws, rows, 1)
        for draw, (shift, scale) in enumerate(zip(away, self._single, strict=True)):
            F += self._student.cdf_of(draw, (offsets.astype(np.float32) + shift) / scale)
        return centre + offsets, F / len(self.scale)

    @property
    def _single(self) -> np.ndarray:
        """Scales of float32, (draws,) or (draws, rows, 1)."""
        scale = self.scale.astype(np.float32)
        return scale if scale.ndim == 1 else scale[:, :, None]


def _variance(df: float | np.ndarray) -> Any:
    """Of the standard Student-t."""
    df = np.asarray(df, np.float64)
    finite = np.where(np.isinf(df) | (df <= 2), 3.0, df)
    return np.where(np.isinf(df), 1.0, np.where(df > 2, finite / (finite - 2), np.inf))
