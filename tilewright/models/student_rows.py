"""Log density of rows under a Student-t whose scale has a floor, derived by hand.

In: targets, means, log-scales and weights (rows,), means and log-scales also (), degrees of freedom
(). Out: the weighted sum of log densities, (), up to a constant of the degrees of freedom.

    v = exp(2 s) + floor^2,  u = (y - m)^2 / (df v)
    -1/2 sum w log v - 1/2 (df + 1) sum w log(1 + u)

An exponential, two logarithms and two divisions do for the sum and for all its slopes. What is
elementwise is a quarter of the gradient of short rows.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

Array = Any


class _Rows(NamedTuple):
    """Of each row; `share` is the weight over 1 + u, `pulled` the deviation over v."""

    log_variance: Array
    log_tail: Array
    inside: Array  # exp(2 s) / v
    pulled: Array
    ratio: Array  # u
    share: Array


@partial(jax.custom_jvp, nondiff_argnums=(5,))
def student_rows(
    y: Array, mean: Array, log_scale: Array, df: Array, weight: Array, floor: float
) -> Array:
    """The sum of log densities, ()."""
    return _total(_rows(y, mean, log_scale, df, weight, floor), df, weight)


def _rows(y: Array, mean: Array, log_scale: Array, df: Array, weight: Array, floor: float) -> _Rows:
    free = jnp.exp(2 * log_scale)
    variance = free + floor * floor
    precision = 1 / variance
    deviation = y - mean
    pulled = precision * deviation
    ratio = pulled * deviation * (1 / df)
    tail = 1 + ratio
    return _Rows(
        jnp.log(variance), jnp.log(tail), free * precision, pulled, ratio, weight / tail
    )  # fmt: skip


def _total(rows: _Rows, df: Array, weight: Array) -> Array:
    tails = jnp.sum(weight * rows.log_tail)
    return -0.5 * jnp.sum(weight * rows.log_variance) - 0.5 * (df + 1) * tails


@partial(student_rows.defjvp, symbolic_zeros=True)
def _slopes(floor: float, values: tuple[Array, ...], tangents: tuple[Any, ...]) -> Any:
    y, mean, log_scale, df, weight = values
    rows = _rows(y, mean, log_scale, df, weight, floor)
    pushed = rows.share * rows.ratio
    off = (df + 1) / df * (rows.share * rows.pulled)
    tails = jnp.sum(weight * rows.log_tail)
    slopes = (
        -off,
        off,
        rows.inside * ((df + 1) * pushed - weight),
        0.5 * (df + 1) / df * jnp.sum(pushed) - 0.5 * tails,
        -0.5 * rows.log_variance - 0.5 * (df + 1) * rows.log_tail,
    )
    moved = [
        jnp.sum(slope * tangent)
        for slope, tangent in zip(slopes, tangents, strict=True)
        if not isinstance(tangent, SymbolicZero)
    ]
    return _total(rows, df, weight), sum(moved, jnp.zeros(()))
